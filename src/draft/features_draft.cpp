#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "draft/draft.hpp"

namespace heddle::draft {
namespace {

using profile::Kind;
using profile::Reading;
using stats::TaskKind;

constexpr std::size_t kMostOneHot = 12;
constexpr std::size_t kMostOneHotOfClasses = 24;

class FeaturesDraft {
 public:
  FeaturesDraft(const Decisions& decisions, const Names& names)
      : decisions_(decisions), names_(names) {
    for (const Column& column : decisions_.columns) {
      // A feature of that name would be taken for the label.
      if (column.is_label) taken_.insert(column.name());
    }
  }

  std::string text() {
    out_ = fmt::format(
        "# What the model sees of a row. `alone` is the share of the target that a column explains "
        "by\n# itself, on rows that it was not fitted to.\n"
        "apiVersion: heddle/v1\nkind: FeatureSet\nname: {0}\ncontract: {0}\nfolds: 5\nfeatures:\n",
        names_.rows);
    if (decisions_.adopted && decisions_.adopted->are_features) {
      // In the model's order.
      for (const auto& name : decisions_.adopted->columns) add(name, in_expression(name));
      return std::move(out_);
    }
    for (const Column& column : decisions_.columns) {
      if (column.is_label) continue;
      if (!column.left_out.empty()) {
        out_ += fmt::format("  # not `{}`: {}\n", comment(column.name()), comment(column.left_out));
        continue;
      }
      out_ += fmt::format("  # `{}`: {}, alone {}\n", comment(column.name()),
                          profile::in_words(column.reading.kind),
                          percent(std::max(0.0, column.association.explained)));
      features_of(column);
    }
    return std::move(out_);
  }

 private:
  /// A name that no other feature and no label has.
  std::string fresh(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 2; !taken_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  void add(const std::string& name, const std::string& expression, std::string_view why = {}) {
    out_ += fmt::format("  - name: {}\n    expression: {}{}\n", quoted(fresh(name)),
                        quoted(expression), why.empty() ? "" : fmt::format("  # {}", comment(why)));
  }

  void encode(const std::string& name, std::string_view encoder, const Column& column,
              std::string_view more, std::string_view why) {
    out_ += fmt::format("  - name: {}\n    {}: {{inputs: [{}]{}}}  # {}\n", quoted(fresh(name)),
                        encoder, quoted(column.name()), more, comment(why));
  }

  void features_of(const Column& column) {
    const Reading& reading = column.reading;
    switch (reading.kind) {
      case Kind::kBoolean:
      case Kind::kInteger:
      case Kind::kNumber: return add(column.name(), in_expression(column.name()));
      case Kind::kNumberInText:
        return add(plain_name(column.name(), "number") + "_number", number_of(reading),
                   "a text that is no number is missing");
      case Kind::kTime:
      case Kind::kTimeInText: return times(column);
      case Kind::kCategory: return categories(column);
      case Kind::kText:
        return add(
            plain_name(column.name(), "text") + "_length",
            fmt::format("size({})", in_expression(column.name())),
            fmt::format("{} distinct texts in {} rows: too many to tell apart",
                        counted(reading.column->distinct()), counted(reading.column->present())));
      default: return;
    }
  }

  void times(const Column& column) {
    const auto& profile = *column.reading.column;
    const std::string name = in_expression(column.name());
    const std::string time =
        column.reading.kind == Kind::kTimeInText ? fmt::format("timestamp({})", name) : name;
    const std::string base = plain_name(column.name(), "time");
    const Parts parts = parts_of(column);
    const auto part = [&](const char* what, std::size_t count, const char* call) {
      // A part that is the same in every row says nothing.
      if (count > 1)
        add(base + "_" + what, fmt::format("{}.{}()", time, call),
            fmt::format("{} of them", count));
    };
    part("hour", parts.hours, "getHours");
    part("weekday", parts.weekdays, "getDayOfWeek");
    part("month", parts.months, "getMonth");
    part("year", parts.years, "getFullYear");
    if (decisions_.time && !column.is_time_field && column.reading.kind == Kind::kTime)
      add(base + "_before",
          fmt::format("int({}) - int({})", in_expression(decisions_.time_column()->name()), name),
          "seconds from it to the row's time");
    // Within one hour of one day only the seconds tell times apart.
    if (parts.hours < 2 && parts.weekdays < 2 && parts.months < 2 && parts.years < 2)
      add(base + "_seconds", fmt::format("int({})", time),
          fmt::format("it spans {}", format_duration(profile.latest - profile.earliest)));
  }

  /// How many hours, days of the week, months and years the sampled times have.
  struct Parts {
    std::size_t hours = 0;
    std::size_t weekdays = 0;
    std::size_t months = 0;
    std::size_t years = 0;
  };
  [[nodiscard]] Parts parts_of(const Column& column) const {
    const table::Table rows = decisions_.profile->sample.rows();
    std::set<Micros> hours;
    std::set<Micros> weekdays;
    std::set<int> months;
    std::set<int> years;
    for (const double since : profile::numbers_of(*rows.find(column.name()), column.reading)) {
      if (std::isnan(since)) continue;
      const Micros time = column.reading.column->earliest + static_cast<Micros>(since);
      // Rounded down, before 1970 too.
      const Micros day = (time - (time % kDay + kDay) % kDay) / kDay;
      hours.insert((time - day * kDay) / kHour);
      weekdays.insert((day % 7 + 7) % 7);
      const CivilDate date = civil_date(time);
      months.insert(date.month);
      years.insert(date.year);
    }
    return {hours.size(), weekdays.size(), months.size(), years.size()};
  }

  void categories(const Column& column) {
    const auto values = column.reading.column->values.by_count();
    const std::string base = plain_name(column.name(), "category");
    const bool is_classes = decisions_.task == TaskKind::kClasses;
    const std::size_t most = is_classes ? kMostOneHotOfClasses : kMostOneHot;
    const bool is_few = column.reading.column->values.is_exact() && values.size() <= most;
    const std::string why =
        fmt::format("{} values in {} rows", counted(column.reading.column->distinct()),
                    counted(column.reading.column->present()));
    // For several classes there is no target encoding, so that the most frequent values stand for
    // themselves however many there are.
    if (is_few || is_classes) {
      // Of two values one says all.
      const std::size_t shown = values.size() == 2 ? 1 : std::min(values.size(), most);
      for (std::size_t i = 0; i < shown; ++i)
        add(fmt::format("{}_is_{}", base, plain_name(values[i].value, fmt::format("value_{}", i))),
            fmt::format("{} == {}", in_expression(column.name()), literal(values[i].value)),
            fmt::format("{} rows", counted(values[i].count)));
    }
    if (is_few) return;
    if (!is_classes) encode(base + "_target", "target_encoding", column, ", smoothing: 20", why);
    encode(base + "_share", "frequency_encoding", column, "", why);
  }

  const Decisions& decisions_;
  const Names& names_;
  std::string out_{};
  std::set<std::string> taken_{};
};

}  // namespace

std::string draft_features(const Decisions& decisions, const Names& names) {
  return FeaturesDraft(decisions, names).text();
}

}  // namespace heddle::draft
