#pragma once

// Days of rows of several classes or of a number, with their labels. For tests only.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "stats/conformal.hpp"
#include "watch/watch.hpp"

namespace heddle::watch::fixture {

inline const stats::Task kClasses{stats::TaskKind::kClasses, {"early", "late", "lost"}};
inline const stats::Task kNumber{stats::TaskKind::kRegression};

/// What is the matter with a day.
struct TaskFault {
  std::vector<double> moved{};  ///< added to the margins before labels are drawn
  bool turned = false;          ///< labels have nothing to do with the predictions
  double noise = 1;             ///< so many times as much beside what the predictions tell
  std::string named{};          ///< every tenth label is of this class
  /// What is sent in place of a label's code; empty: the label.
  std::function<double(double)> said{};
  bool of_one = false;  ///< every second label is account `other`'s, and only those are noisy
};

/// Rows with a prediction and a label, of either task. Everything follows from the seed.
class TaskWorld {
 public:
  TaskWorld(stats::Task task, unsigned seed) : task_(std::move(task)), random_(seed) {}

  [[nodiscard]] static spec::Monitor monitor() {
    spec::Monitor m;
    m.distributions = {{"told", "prediction", nullptr, 0.1, 3}};
    m.quality.chunk_rows = 1000;
    return m;
  }
  [[nodiscard]] spec::Monitor own_monitor() const {
    spec::Monitor m = monitor();
    m.distributions[0].kind =
        task_.kind == stats::TaskKind::kClasses ? &statistic::total_variation() : &statistic::ks();
    return m;
  }
  [[nodiscard]] Watch watch() {
    Watch out = *Watch::open(Watch::Options{own_monitor(), {}, {}, {}});
    Route route{1, sha256("primary"), "", baseline()};
    route.task = task_;
    route.interval = interval();
    out.register_route(std::move(route));
    return out;
  }

  /// Of rows of its own.
  [[nodiscard]] const stats::Conformal& interval() {
    if (interval_) return *interval_;
    std::vector<double> scores;
    std::vector<float> prediction(task_.outputs());
    for (int i = 0; i < 5000; ++i) {
      const auto margins = margins_of_row();
      task_.predict(margins, prediction);
      scores.push_back(stats::conformal_score(task_, prediction, label(margins, {})));
    }
    return interval_.emplace(stats::Conformal{0.9, *stats::conformal_quantile(scores, 0.9)});
  }

  [[nodiscard]] std::shared_ptr<const Baseline> baseline() {
    std::vector<Micros> time;
    std::vector<float> margins;
    std::vector<double> codes;
    for (int day = 0; day < 20; ++day) {
      for (int i = 0; i < kRows; ++i) {
        const auto row = margins_of_row();
        time.push_back(time_of(day, i));
        margins.insert(margins.end(), row.begin(), row.end());
        codes.push_back(label(row, {}));
      }
    }
    auto built =
        build_baseline(own_monitor(), {}, {{}, {}, time, margins, codes, task_, interval()});
    EXPECT_TRUE(built.ok()) << built.error().str();
    return std::make_shared<const Baseline>(*std::move(built));
  }

  /// A day of rows with the labels of the day before, and ticks.
  void day(int day, const TaskFault& fault, const std::function<void(const plane::Record&)>& sink) {
    std::vector<plane::LabelRecord> said;
    for (int i = 0; i < kRows; ++i) {
      if (i % (kRows / 6) == 0) sink(plane::TickRecord{time_of(day, i)});
      if (static_cast<std::size_t>(i) < labels_.size()) sink(labels_[static_cast<std::size_t>(i)]);
      const auto told = margins_of_row();
      std::vector<float> margins = told;
      for (std::size_t k = 0; k < added.size(); ++k) margins[k] += static_cast<float>(added[k]);
      plane::RequestRecord request;
      request.request_id = fmt::format("r{}-{}", day, i);
      request.account = "app";
      request.event_time = time_of(day, i);
      request.slot = "primary";
      request.route_version = version;
      plane::RowRecord row;
      for (const float margin : told)
        row.fields.push_back({expr::Datum::Kind::kDouble, 0, static_cast<double>(margin)});
      row.prediction.resize(task_.outputs());
      task_.predict(margins, row.prediction);
      // A standby that is always a little off.
      row.standby_prediction = row.prediction;
      std::rotate(row.standby_prediction.begin(), row.standby_prediction.begin() + 1,
                  row.standby_prediction.end());
      if (task_.outputs() == 1) row.standby_prediction[0] += 1;
      request.rows = {row};
      sink(request);
      const bool is_other = fault.of_one && i % 2 == 1;
      TaskFault own = fault;
      if (fault.of_one && !is_other) own.noise = 1;
      stats::Label value =
          task_.label_of(fault.said ? fault.said(label(told, own)) : label(told, own));
      if (!fault.named.empty() && i % 10 == 0) value = fault.named;
      said.push_back(
          {request.request_id + "#0", value, time_of(day + 1, i), is_other ? "other" : "labels"});
    }
    labels_ = std::move(said);
    sink(plane::TickRecord{(day + 1) * kDay});
  }

  std::uint64_t version = 1;    ///< of the route that answers
  std::vector<double> added{};  ///< to the margins of what is served
  static constexpr int kRows = 1500;

 private:
  static Micros time_of(int day, int i) { return day * kDay + i * (kDay / kRows); }
  std::vector<float> margins_of_row() {
    std::vector<float> out(task_.outputs());
    for (float& margin : out) margin = 1.5F * normal_(random_);
    return out;
  }
  double label(const std::vector<float>& margins, const TaskFault& fault) {
    std::vector<float> row = margins;
    if (fault.turned) row = margins_of_row();
    for (std::size_t k = 0; k < fault.moved.size(); ++k)
      row[k] += static_cast<float>(fault.moved[k]);
    if (task_.kind == stats::TaskKind::kRegression)
      return static_cast<double>(row[0]) + fault.noise * static_cast<double>(normal_(random_));
    for (float& margin : row) margin /= static_cast<float>(fault.noise);
    task_.predict(row, row);
    double left = unit_(random_);
    std::size_t k = 0;
    while (k + 1 < row.size() && (left -= static_cast<double>(row[k])) > 0) ++k;
    return static_cast<double>(k);
  }

  stats::Task task_;
  std::mt19937 random_;
  std::normal_distribution<float> normal_{0, 1};
  std::uniform_real_distribution<double> unit_{0, 1};
  std::vector<plane::LabelRecord> labels_;
  std::optional<stats::Conformal> interval_;
};

}  // namespace heddle::watch::fixture
