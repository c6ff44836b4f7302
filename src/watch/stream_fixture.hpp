#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "stats/scalar.hpp"
#include "watch/watch.hpp"

namespace heddle::watch::fixture {

/// A small world for tests: trips at hours of the day, on routes that fix their distance, late by a
/// chance that depends on hour and distance, moved by a day effect (lateness comes by whole days).
/// Everything follows from the seed.
class Stream {
 public:
  struct Fault {
    double distance_ratio = 1;  ///< of source `s1`
    int shift_hours = 0;        ///< of `at`, in all traffic
    double malformed = 0;       ///< share of rows with a null time, refused by rule `at.required`
    bool inverted = false;      ///< labels of true hours 6 to 11 turned over
    double prior = 0;           ///< logits
    bool wrong_labels = false;  ///< what is sent as label is the opposite of it
    bool quarantined = false;   ///< rows of `s1` come back as quarantined
    bool held_back = false;     ///< good rows of `s1` do
    bool nobody = false;        ///< the rows of all sources do
  };

  explicit Stream(unsigned seed) : random_(seed) {}

  [[nodiscard]] static spec::Monitor monitor() {
    spec::Monitor m;
    m.distributions = {{"hour_of_day", "at", &statistic::hour_of_day(), 0.1, 3},
                       {"distance", "distance", &statistic::ks(), 0.1, 3},
                       {"place", "place", &statistic::total_variation(), 0.1, 3},
                       {"score", "prediction", &statistic::ks(), 0.1, 3}};
    m.quality.prior_shift = 0.5;
    return m;
  }
  [[nodiscard]] static spec::Contract contract() {
    spec::Contract c;
    c.fields.resize(3);
    c.fields[0].name = "at";
    c.fields[0].type = expr::Type::kTimestamp;
    c.fields[1].name = "place";
    c.fields[2].name = "distance";
    c.fields[2].type = expr::Type::kInt;
    spec::RowRule rule;
    rule.id = "place-fixes-distance";
    rule.kind = spec::RowRule::Kind::kDependency;
    rule.determinant = {"place"};
    rule.dependent = "distance";
    c.row_rules = {rule};
    return c;
  }
  [[nodiscard]] static Watch::Options options() {
    return {monitor(), contract(), {"at", "place", "distance"}};
  }

  /// 40 days of clean rows as a baseline, as training would leave it.
  [[nodiscard]] Baseline baseline() {
    expr::ColumnView at, place, distance;
    std::vector<Micros> time;
    std::vector<std::int64_t> distances;
    std::vector<std::int32_t> codes;
    std::vector<float> margins;
    std::vector<double> labels;
    for (int day = 0; day < 40; ++day) {
      new_day({});
      for (int i = 0; i < kRows; ++i) {
        const Trip t = trip(day, i, {});
        time.push_back(t.time);
        distances.push_back(t.distance);
        codes.push_back(t.place);
        margins.push_back(static_cast<float>(t.margin));
        labels.push_back(t.late);
      }
    }
    std::vector<std::string> names;
    for (int p = 0; p < kPlaces; ++p) names.push_back(place_name(p));
    std::vector<std::string_view> views(names.begin(), names.end());
    at = {expr::Type::kTimestamp, static_cast<std::int64_t>(time.size()), time.data()};
    distance = {expr::Type::kInt, at.length, distances.data()};
    place.type = expr::Type::kString;
    place.length = at.length;
    place.codes = codes.data();
    place.dictionary = views.data();
    return *build_baseline(
        monitor(), contract(),
        {{"at", "place", "distance"}, {at, place, distance}, time, margins, labels, {}, {}});
  }

  /// One day of requests with the labels of the day before, in event order, and a tick every two
  /// hours.
  void day(int day, const Fault& fault, std::vector<plane::Record>& out,
           std::uint64_t route_version = 1) {
    new_day(fault);
    std::vector<plane::LabelRecord> labels;
    std::size_t due = 0;
    Micros tick = day * kDay;
    for (int i = 0; i < kRows; ++i) {
      const Trip t = trip(day, i, fault);
      while (t.time >= tick) {
        out.emplace_back(plane::TickRecord{tick});
        tick += 2 * kHour;
      }
      while (due < late_labels_.size() && late_labels_[due].event_time <= t.time)
        out.push_back(late_labels_[due++]);
      plane::RequestRecord request;
      request.request_id = "r" + std::to_string(day) + "-" + std::to_string(i);
      request.source = "s" + std::to_string(t.place % 5);
      request.account = "app";
      request.event_time = t.time;
      request.slot = "primary";
      request.route_version = route_version;
      plane::RowRecord row;
      std::int64_t value = t.distance;
      if (fault.distance_ratio != 1 && request.source == "s1") {
        value = std::llround(static_cast<double>(value) * fault.distance_ratio);
        row.outcome =
            fault.quarantined ? plane::RowOutcome::kQuarantined : plane::RowOutcome::kRefused;
        row.rules = {"place-fixes-distance"};
      }
      if (fault.nobody || (fault.held_back && request.source == "s1")) {
        row.outcome = plane::RowOutcome::kQuarantined;
        row.rules.push_back("source-quarantined");
      }
      row.fields.resize(3);
      row.fields[0].kind = expr::Datum::Kind::kTimestamp;
      row.fields[0].i = t.time + fault.shift_hours * kHour;
      row.fields[1].kind = expr::Datum::Kind::kString;
      row.fields[1].s = place_name(t.place);
      row.fields[2].kind = expr::Datum::Kind::kInt;
      row.fields[2].i = value;
      if (unit_(random_) < fault.malformed) {
        row.fields[0] = {};
        row.outcome = plane::RowOutcome::kRefused;
        row.rules = {"at.required"};
      }
      // A standby that ignores the hour: worse on clean days, better when the hour is wrong.
      row.prediction = {
          static_cast<float>(stats::sigmoid(margin(t.hour + fault.shift_hours, t.distance)))};
      row.standby_prediction = {
          static_cast<float>(stats::sigmoid(-1.35 + static_cast<double>(t.distance) / 2000))};
      request.rows.push_back(row);
      out.push_back(request);
      labels.push_back(
          {request.request_id + "#0", (t.late != 0) != fault.wrong_labels, t.time + kDay});
    }
    while (due < late_labels_.size()) out.push_back(late_labels_[due++]);
    late_labels_ = std::move(labels);
    out.emplace_back(plane::TickRecord{(day + 1) * kDay});
  }

  static constexpr int kRows = 3000;

 private:
  static constexpr int kPlaces = 40;
  struct Trip {
    Micros time;
    int hour;
    int place;
    std::int64_t distance;
    double margin;
    std::uint8_t late;
  };
  static std::string place_name(int p) { return "P" + std::to_string(p); }
  static double margin(int hour, std::int64_t distance) {
    return -2.6 + 0.16 * ((hour % 24 + 24) % 24 - 6) + static_cast<double>(distance) / 2000;
  }
  void new_day(const Fault& fault) {
    std::normal_distribution<double> effect(0, 0.25);
    day_effect_ = effect(random_) + fault.prior;
  }
  Trip trip(int day, int i, const Fault& fault) {
    Trip t;
    const double u = (i + unit_(random_)) / kRows;
    const double in_day =
        5 + 19 * (u < 0.5 ? u * 0.9 : 0.45 + (u - 0.5) * 1.1);  // nights are empty
    t.time =
        day * kDay + static_cast<Micros>(std::min(in_day, 23.999) * static_cast<double>(kHour));
    t.hour = static_cast<int>(in_day);
    t.place = static_cast<int>(unit_(random_) * unit_(random_) * kPlaces);
    t.distance = 100 + 37 * t.place;
    t.margin = margin(t.hour, t.distance);
    t.late = static_cast<std::uint8_t>(unit_(random_) < stats::sigmoid(t.margin + day_effect_));
    if (fault.inverted && t.hour >= 6 && t.hour <= 11)
      t.late = static_cast<std::uint8_t>(1 - t.late);
    return t;
  }

  std::mt19937 random_;
  std::uniform_real_distribution<double> unit_{0, 1};
  double day_effect_ = 0;
  std::vector<plane::LabelRecord> late_labels_;
};

/// Whether a row is of a share of all rows, by its id.
inline bool is_of(double share, const std::string& id) {
  return static_cast<double>(std::hash<std::string>{}(id) % 1000) < 1000 * share;
}

/// Puts the day of another account's stream into `records`, in order of time: its requests and
/// labels, not its ticks.
inline void beside(Stream& stream, const std::string& account, int day, const Stream::Fault& fault,
                   std::vector<plane::Record>& records) {
  const auto time_of = [](const plane::Record& record) {
    if (const auto* request = std::get_if<plane::RequestRecord>(&record))
      return request->event_time;
    if (const auto* label = std::get_if<plane::LabelRecord>(&record)) return label->event_time;
    return std::get<plane::TickRecord>(record).event_time;
  };
  std::vector<plane::Record> others;
  stream.day(day, fault, others);
  std::erase_if(others, [](const plane::Record& record) {
    return std::holds_alternative<plane::TickRecord>(record);
  });
  for (plane::Record& record : others) {
    if (auto* request = std::get_if<plane::RequestRecord>(&record)) {
      request->request_id = account + "-" + request->request_id;
      request->account = account;
    } else {
      auto& label = std::get<plane::LabelRecord>(record);
      label.row_id = account + "-" + label.row_id;
    }
  }
  std::vector<plane::Record> all;
  std::merge(others.begin(), others.end(), records.begin(), records.end(), std::back_inserter(all),
             [&](const auto& a, const auto& b) { return time_of(a) < time_of(b); });
  records = std::move(all);
}

}  // namespace heddle::watch::fixture
