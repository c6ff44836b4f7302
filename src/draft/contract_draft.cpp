#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "doc/json.hpp"
#include "draft/draft.hpp"

namespace heddle::draft {
namespace {

using profile::Kind;
using profile::Reading;

constexpr std::size_t kMostEnum = 50;
/// Good-Turing: the share of values that came once is about the chance that the next row brings a
/// new one. Below this the values are taken for all there are.
constexpr double kNewValueShare = 0.001;
constexpr std::size_t kMostDependencies = 10;
constexpr std::size_t kMostKnown = 500;  ///< values that a rule lists
constexpr std::int64_t kRowsOfDeterminant = 5;

/// A bound a little beyond, with two digits: `1234` up is `1300`, down `1200`.
double rounded(double value, bool up) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double unit = std::pow(10, std::floor(std::log10(std::abs(value))) - 1);
  const double steps = value / unit;
  // A little less, so that a step that is whole but for its last bit is not rounded once more.
  return (up ? std::ceil(steps - 1e-9) : std::floor(steps + 1e-9)) * unit;
}

std::string number(double value, bool is_whole) {
  if (is_whole && std::abs(value) < 0x1p53)
    return fmt::format("{}", static_cast<std::int64_t>(value));
  return fmt::format("{:.12g}", value);
}

std::string_view logical_type(const Reading& reading) {
  switch (reading.type) {
    case expr::Type::kBool: return "boolean";
    case expr::Type::kInt: return "integer";
    case expr::Type::kDouble: return "number";
    case expr::Type::kTimestamp:
      // No row has a time of day.
      return reading.column->midnights == reading.column->times ? "date" : "timestamp";
    default: return "string";
  }
}

/// What a unit is called at the end of a name.
std::string unit_of(const std::string& name) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 24> kUnits = {
      {{"km", "kilometres"},
       {"miles", "miles"},
       {"kg", "kilograms"},
       {"lbs", "pounds"},
       {"cm", "centimetres"},
       {"mm", "millimetres"},
       {"ms", "milliseconds"},
       {"sec", "seconds"},
       {"secs", "seconds"},
       {"seconds", "seconds"},
       {"minutes", "minutes"},
       {"mins", "minutes"},
       {"hours", "hours"},
       {"days", "days"},
       {"usd", "US dollars"},
       {"eur", "euros"},
       {"gbp", "pounds sterling"},
       {"pct", "per cent"},
       {"percent", "per cent"},
       {"percentage", "per cent"},
       {"celsius", "degrees Celsius"},
       {"fahrenheit", "degrees Fahrenheit"},
       {"mph", "miles an hour"},
       {"kmh", "kilometres an hour"}}};
  const auto words = profile::words_of(name);
  // A column named `days` is not a number in days, but perhaps one of days.
  if (words.size() < 2) return "";
  for (const auto& [word, unit] : kUnits) {
    if (words.back() == word) return std::string(unit);
  }
  return "";
}

class ContractDraft {
 public:
  ContractDraft(const Decisions& decisions, const Names& names)
      : decisions_(decisions), names_(names) {}

  std::string text() {
    const auto& profile = *decisions_.profile;
    out_ += fmt::format(
        "# What a row must be: kept in training, in files and in each request.\n"
        "apiVersion: v3.2.0\nkind: DataContract\nid: {0}\nname: {0}\nversion: 1.0.0\n"
        "status: draft\nschema:\n  - name: {0}\n    logicalType: object\n    properties:\n",
        names_.rows);
    for (const Column& column : decisions_.columns) {
      if (column.in_contract || column.is_label) {
        property(column);
      } else {
        line(6, fmt::format("# `{}` is not asked for: {}", comment(column.name()),
                            comment(column.left_out)));
      }
    }
    for (const auto& name : profile.left_out)
      line(6, fmt::format("# `{}` is not asked for: no field holds its type", comment(name)));
    line(4, "quality:");
    line(6, fmt::format("# the file has {} rows", counted(profile.rows)));
    line(6, "- id: enough-rows");
    line(6, "  type: library");
    line(6, "  metric: rowCount");
    // Half, and a warning: the next file may well be smaller, but not by that much without a
    // reason.
    line(6, fmt::format("  mustBeGreaterThan: {}", profile.rows / 2));
    line(6, "  severity: warning");
    dependencies();
    known_categories();
    return std::move(out_);
  }

 private:
  void line(int indent, std::string_view text) {
    out_.append(static_cast<std::size_t>(indent), ' ');
    out_ += text;
    out_ += '\n';
  }

  void property(const Column& column) {
    const Reading& reading = column.reading;
    const auto& profile = *reading.column;
    line(6, fmt::format("# {}", summary(reading)));
    line(6, fmt::format("- name: {}", quoted(column.name())));
    line(6, fmt::format("  logicalType: {}", logical_type(reading)));
    if (column.is_label) {
      line(6, fmt::format("  required: true  # {} of {} rows lack it; a row without it teaches "
                          "nothing",
                          counted(reading.missing), counted(profile.rows)));
    } else if (reading.missing == 0 && !reading.is_key) {
      // Nothing is said of a key: a request may leave it out, since no feature is made of it.
      line(6, fmt::format("  required: true  # none of {} rows lacks it", counted(profile.rows)));
    } else if (reading.missing > 0) {
      line(6, fmt::format("  required: false  # {} of {} rows lack it", counted(reading.missing),
                          counted(profile.rows)));
    }
    if (const std::string unit = unit_of(column.name()); !unit.empty() && reading.is_number())
      line(6, fmt::format("  description: in {}, as its name says", unit));
    if (reading.is_key)
      line(6, fmt::format("  unique: true  # {} distinct values in {} rows",
                          counted(reading.column->distinct()), counted(profile.present())));
    if (!column.is_label) bounds(reading);
    if (column.is_label && reading.kind == Kind::kNumberInText)
      options({{"pattern", quoted("^[+-]?[0-9.]")}}, "a label that is no number teaches nothing");
    if (!column.is_label) return;
    line(6, "  customProperties:");
    line(6, "    - {property: role, vendor: heddle, value: label}");
  }

  static std::string summary(const Reading& reading) {
    const auto& profile = *reading.column;
    const std::string kind(profile::in_words(reading.kind));
    switch (reading.kind) {
      case Kind::kInteger:
      case Kind::kNumber:
      case Kind::kNumberInText:
        return fmt::format(
            "{}: {:.6g} to {:.6g}, mean {:.6g}, standard deviation {:.4g}, {} "
            "distinct",
            kind, profile.numbers.low, profile.numbers.high, profile.numbers.mean,
            profile.numbers.sd(), counted(profile.distinct()));
      case Kind::kTime:
      case Kind::kTimeInText:
        return fmt::format("{}: {} to {}, {} distinct", kind, format_time(profile.earliest),
                           format_time(profile.latest), counted(profile.distinct()));
      default: return fmt::format("{}: {} distinct", kind, counted(profile.distinct()));
    }
  }

  void options(const std::vector<std::pair<std::string, std::string>>& values,
               std::string_view why) {
    line(6, fmt::format("  logicalTypeOptions:  # {}", comment(why)));
    for (const auto& [key, value] : values) line(6, fmt::format("    {}: {}", key, value));
  }

  void bounds(const Reading& reading) {
    switch (reading.kind) {
      case Kind::kInteger:
      case Kind::kNumber: return range(reading);
      case Kind::kCategory:
      case Kind::kText:
        if (reading.type == expr::Type::kString) return words(reading);
        return;
      default: return;
    }
  }

  /// As wide again on either side as the values are; what was never negative stays so.
  void range(const Reading& reading) {
    const auto& numbers = reading.column->numbers;
    const double span = numbers.high - numbers.low;
    // Of one value nothing is known of the others.
    if (!(span > 0) || !std::isfinite(span)) return;
    const bool is_whole = reading.kind == Kind::kInteger;
    const double low = numbers.low >= 0 ? 0 : rounded(numbers.low - span, false);
    const double high = numbers.high <= 0 ? 0 : rounded(numbers.high + span, true);
    // A double no longer holds every whole number beyond, and a bound there would be another one.
    if (std::abs(low) > 0x1p52 || std::abs(high) > 0x1p52) return;
    options({{"minimum", number(low, is_whole)}, {"maximum", number(high, is_whole)}},
            fmt::format("seen {} to {}; as much again is let through, {}",
                        number(numbers.low, is_whole), number(numbers.high, is_whole),
                        numbers.low >= 0 ? "and nothing negative was seen" : "on either side"));
  }

  /// What a model that is there says of a column; null: there is none, or it does not read it.
  [[nodiscard]] const train::SignatureFeature* feature_of(const std::string& name) const {
    if (!decisions_.adopted) return nullptr;
    const auto& columns = decisions_.adopted->columns;
    const auto found = std::find(columns.begin(), columns.end(), name);
    return found == columns.end()
               ? nullptr
               : &decisions_.adopted->signature
                      ->features[static_cast<std::size_t>(found - columns.begin())];
  }

  void words(const Reading& reading) {
    // What a model that is there answers at home it answers here: no value is refused.
    if (feature_of(reading.name()) != nullptr)
      return line(6,
                  "  # open: any value reaches the model, and a rule below says which are known");
    const auto& values = reading.column->values;
    const auto n = static_cast<double>(std::max<std::int64_t>(1, reading.column->present()));
    // The estimate of Good and Turing, by the values that came once.
    const double fresh = static_cast<double>(values.singletons()) / n;
    const bool is_short = std::all_of(values.entries().begin(), values.entries().end(),
                                      [](const auto& entry) { return entry.value.size() < 100; });
    if (values.is_exact() && values.entries().size() <= kMostEnum && fresh < kNewValueShare &&
        is_short && reading.kind == Kind::kCategory) {
      line(6, fmt::format("  enum:  # {} values in {} rows, {} of them once: a new one is not "
                          "expected (Good-Turing)",
                          values.entries().size(), counted(reading.column->present()),
                          values.singletons()));
      // The most frequent first, as a person looks through them.
      for (const auto& entry : values.by_count())
        line(6, fmt::format("    - {{value: {}}}  # {} rows", quoted(entry.value),
                            counted(entry.count)));
      return;
    }
    if (reading.kind == Kind::kCategory)
      line(6, fmt::format("  # open: {} of {} values came once, so new ones are to be expected",
                          counted(static_cast<std::int64_t>(values.singletons())),
                          counted(reading.column->distinct())));
    pattern(reading);
  }

  /// Every value has one shape, which says more than letters alone.
  void pattern(const Reading& reading) {
    const auto& column = *reading.column;
    const auto most = static_cast<std::int64_t>(column.lengths.high);
    const auto& shapes = column.shapes;
    std::int64_t shaped = 0;
    for (const auto& entry : shapes.entries()) shaped += entry.count;
    if (shapes.is_exact() && shapes.entries().size() == 1 && shaped == column.present() &&
        // Of a few rows a shape may be chance.
        column.present() >= 100 && shapes.entries()[0].value != "long") {
      return options({{"pattern", quoted(regex_of(shapes.entries()[0].value))}},
                     fmt::format("all {} values have this shape", counted(shaped)));
    }
    // Twice as long as seen: bounded, since texts of any length cost memory.
    options({{"maxLength", fmt::to_string(std::max<std::int64_t>(2 * most, 16))}},
            fmt::format("the longest has {} bytes", most));
  }

  static std::string regex_of(std::string_view shape) {
    std::string out = "^";
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const char c = shape[i];
      // `9{4}` in a shape is four digits; everything else stands for itself.
      const bool is_class = i + 1 < shape.size() && shape[i + 1] == '{';
      if (is_class && (c == '9' || c == 'a' || c == 'A')) {
        out += c == '9' ? "[0-9]" : c == 'a' ? "[a-z]" : "[A-Z]";
        while (shape[++i] != '}') out += shape[i];
        out += '}';
      } else {
        if (std::string_view(R"(\^$.|?*+()[]{}/)").find(c) != std::string_view::npos) out += '\\';
        out += c;
      }
    }
    return out + "$";
  }

  /// Categories that fix others, as warnings: the sample may have missed an exception.
  void dependencies() {
    std::vector<const Column*> columns;
    std::vector<std::vector<int>> codes;
    const table::Table rows = decisions_.profile->sample.rows();
    for (const Column& column : decisions_.columns) {
      // Several rows for each value: where each value has one row, it determines everything.
      const bool is_looked_at = column.in_contract && !column.is_label && !column.reading.is_key &&
                                column.reading.kind == Kind::kCategory &&
                                column.reading.missing == 0 &&
                                column.reading.column->distinct() * kRowsOfDeterminant <=
                                    decisions_.profile->sample.size();
      // Every pair is looked at.
      if (!is_looked_at || columns.size() == 100) continue;
      columns.push_back(&column);
      codes.push_back(profile::codes_of(*rows.find(column.name())));
    }
    auto found = profile::find_dependencies(codes);
    if (found.size() > kMostDependencies) found.resize(kMostDependencies);
    for (const auto& each : found) {
      const std::string& from = columns[each.determinant]->name();
      const std::string& to = columns[each.dependent]->name();
      line(6, fmt::format("# in {} rows, each of {} values of `{}` has one `{}`",
                          counted(decisions_.profile->sample.size()), counted(each.values),
                          comment(from), comment(to)));
      line(6, fmt::format("- id: {}", quoted(fmt::format("{}-fixes-{}", plain_name(from, "a"),
                                                         plain_name(to, "b")))));
      line(6, "  type: custom");
      line(6, "  engine: heddle");
      line(6, "  severity: warning");
      line(6, fmt::format("  implementation: {{dependency: {{determinant: [{}], dependent: {}}}}}",
                          quoted(from), quoted(to)));
    }
  }

  /// The values of a text that are known: the model's own categories, else those of the sample
  /// where it seems to have them all. Another one is answered, and the answer says so.
  [[nodiscard]] std::vector<std::string> known_values(const Column& column) const {
    std::vector<std::string> out;
    for (const auto& each : feature_of(column.name())->categories)
      out.push_back(each.is_string() ? literal(each.as_string()) : doc::to_json(each));
    const auto& values = column.reading.column->values;
    const bool is_whole = column.reading.kind == Kind::kCategory &&
                          column.reading.type == expr::Type::kString && values.is_exact();
    if (!out.empty() || !is_whole) return out;
    for (const auto& entry : values.by_count()) out.push_back(literal(entry.value));
    return out;
  }

  void known_categories() {
    for (const Column& column : decisions_.columns) {
      if (feature_of(column.name()) == nullptr) continue;
      const auto values = known_values(column);
      if (values.empty() || values.size() > kMostKnown) continue;
      const bool are_models = !feature_of(column.name())->categories.empty();
      line(6, fmt::format("# {} values of `{}`, as {}; another is answered with a warning",
                          values.size(), comment(column.name()),
                          are_models ? "the model knows them" : "the sample has them"));
      line(6, fmt::format("- id: {}", quoted(plain_name(column.name(), "category") + "-is-known")));
      line(6, "  type: custom");
      line(6, "  engine: heddle");
      line(6, "  severity: warning");
      line(6,
           fmt::format("  implementation: {{expression: {}}}",
                       quoted(fmt::format("{0} == null || {0} in [{1}]",
                                          in_expression(column.name()), fmt::join(values, ", ")))));
    }
  }

  const Decisions& decisions_;
  const Names& names_;
  std::string out_{};
};

}  // namespace

std::string draft_contract(const Decisions& decisions, const Names& names) {
  return ContractDraft(decisions, names).text();
}

}  // namespace heddle::draft
