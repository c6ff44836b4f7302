#include "draft/findings.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace heddle::draft {
namespace {

using profile::Kind;
using profile::Look;
using profile::Reading;
using stats::TaskKind;

/// A column that explains this much of the target by itself, on rows that it was not fitted to, or
/// orders it this well, was not known before the target was.
constexpr double kLeakExplained = 0.98;
constexpr double kLeakAuc = 0.998;
constexpr double kLeakCorrelation = 0.995;
/// One column that explains this much is kept, and said.
constexpr double kStrongExplained = 0.7;
constexpr double kOddShare = 0.05;         ///< of values, that is an exception
constexpr double kTestShare = 0.15;        ///< of the rows, as drafts split them
constexpr std::size_t kMostColumns = 400;  ///< that features are made of
constexpr std::size_t kMostExamples = 3;
constexpr std::size_t kMostNamed = 8;
constexpr std::string_view kSeenRows =
    ": a model that is tested on rows it has seen looks better than it is";

std::string list_of(const std::vector<std::string>& names) {
  std::vector<std::string> shown(
      names.begin(),
      names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kMostNamed)));
  std::string out = fmt::format("`{}`", fmt::join(shown, "`, `"));
  if (names.size() > kMostNamed) out += fmt::format(" and {} more", names.size() - kMostNamed);
  return out;
}

/// Rows as people count them: the first of the file is row 1.
std::string row_name(std::int64_t row) { return fmt::format("row {}", counted(row + 1)); }

std::string text_of(const table::Column& column, std::int64_t row) {
  const expr::Datum value = column.view().at(row);
  switch (value.kind) {
    case expr::Datum::Kind::kString: return std::string(value.str().substr(0, 60));
    case expr::Datum::Kind::kBool: return value.b ? "true" : "false";
    case expr::Datum::Kind::kInt: return fmt::to_string(value.i);
    case expr::Datum::Kind::kDouble: return fmt::format("{:.6g}", value.d);
    case expr::Datum::Kind::kTimestamp: return format_time(value.i);
    default: return "nothing";
  }
}

class FindingsOf {
 public:
  FindingsOf(Decisions& decisions, const profile::Target& target)
      : out_(decisions),
        target_(target),
        rows_(decisions.profile->sample.rows()),
        numbers_(decisions.profile->sample.numbers()) {}

  void run() {
    is_draft_ = true;
    formulas();
    leaks();
    strong();
    too_many();
    repeats();
    labels();
    of_the_file();
    best_alone();
  }

  /// What needs no target.
  void run_without_target() {
    repeats();
    of_the_file();
  }

 private:
  void of_the_file() {
    keys();
    declared();
    odd_values();
    sentinels();
    impossible();
    times();
    constants();
    left_out();
  }

  /// What a draft makes of it; of a file alone nothing is made.
  [[nodiscard]] std::string_view drafted(std::string_view said) const {
    return is_draft_ ? said : std::string_view();
  }

  void add(std::string id, std::string text, std::vector<std::string> columns,
           std::vector<std::string> examples = {}) {
    out_.findings.push_back(
        {std::move(id), std::move(text), std::move(columns), std::move(examples)});
  }

  [[nodiscard]] const table::Column& rows_of(const std::string& name) const {
    return *rows_.find(name);
  }
  [[nodiscard]] const std::string& target_name() const { return out_.target_column().name(); }

  /// The sampled row with what it has of some columns.
  std::string example(std::size_t row, const std::vector<std::string>& columns) const {
    std::vector<std::string> parts;
    for (const auto& name : columns)
      parts.push_back(
          fmt::format("{} = {}", name, text_of(rows_of(name), static_cast<std::int64_t>(row))));
    return fmt::format("{}: {}", row_name(numbers_[row]), fmt::join(parts, ", "));
  }
  std::vector<std::string> first_rows(const std::vector<std::string>& columns) const {
    std::vector<std::string> out;
    for (std::size_t row = 0; row < numbers_.size() && out.size() < kMostExamples; ++row) {
      if (!std::isnan(target_.codes[row])) out.push_back(example(row, columns));
    }
    return out;
  }

  void leave_out(Column& column, std::string why) {
    column.left_out = std::move(why);
    column.in_contract = false;
  }

  /// The target as a formula of other columns: whoever knows those knows it already. The longest
  /// formula is of two columns; what is left is looked through again.
  void formulas() {
    // The codes of classes are numbers only by chance: no formula computes them.
    if (out_.task == TaskKind::kClasses) return;
    for (;;) {
      std::vector<std::string> names;
      std::vector<std::vector<double>> columns;
      std::vector<std::size_t> places;
      for (std::size_t i = 0; i < out_.columns.size(); ++i) {
        const Column& column = out_.columns[i];
        const bool is_tried = !column.is_label && column.left_out.empty() &&
                              (column.reading.is_number() || column.reading.kind == Kind::kBoolean);
        if (!is_tried) continue;
        names.push_back(column.name());
        columns.push_back(profile::numbers_of(rows_of(column.name()), column.reading));
        places.push_back(i);
      }
      const auto formula = profile::find_formula(names, columns, target_.codes);
      if (formula.text.empty()) return;
      std::vector<std::string> used;
      for (const std::size_t at : formula.columns) {
        used.push_back(names[at]);
        leave_out(out_.columns[places[at]],
                  fmt::format("`{}` is `{}` in every row", target_name(), formula.text));
      }
      auto shown = used;
      shown.push_back(target_name());
      add("target-computed",
          fmt::format("the target `{}` is `{}` in every row: whoever knows {} knows it already, so "
                      "{} left out of the features",
                      target_name(), formula.text, list_of(used),
                      used.size() == 1 ? "it is" : "they are"),
          used, first_rows(shown));
    }
  }

  void leaks() {
    for (Column& column : out_.columns) {
      if (column.is_label || column.is_time_field || !column.left_out.empty()) continue;
      const auto& found = column.association;
      const double alone_bound = out_.task == TaskKind::kRegression ? kLeakCorrelation : kLeakAuc;
      const bool is_leak =
          found.explained >= kLeakExplained || found.alone >= alone_bound || is_same(column);
      if (!is_leak) continue;
      const std::string how =
          found.alone >= alone_bound
              ? fmt::format("{} {:.4f}",
                            out_.task == TaskKind::kRegression ? "rank correlation" : "AUC",
                            found.alone)
              : fmt::format("{} of what can be explained", percent(found.explained));
      leave_out(column, fmt::format("alone it predicts the target nearly perfectly ({})", how));
      add("target-leak",
          fmt::format("`{}` alone predicts `{}` nearly perfectly ({}): it is likely known only "
                      "after the target is, so it is left out of the features",
                      column.name(), target_name(), how),
          {column.name()}, first_rows({column.name(), target_name()}));
    }
  }

  /// What may be a leak and may be the world: a person says which.
  void strong() {
    for (const Column& column : out_.columns) {
      const bool is_kept = !column.is_label && !column.is_time_field && column.left_out.empty();
      if (!is_kept || column.association.explained < kStrongExplained) continue;
      add("strong-column",
          fmt::format("`{}` alone explains {} of `{}`: if it is known only after the target is, "
                      "take it out of `features/`",
                      column.name(), percent(column.association.explained), target_name()),
          {column.name()}, first_rows({column.name(), target_name()}));
    }
  }

  /// Of more columns than a person reads and a request should have, those that say most alone.
  void too_many() {
    std::vector<Column*> kept;
    for (Column& column : out_.columns) {
      if (!column.is_label && !column.is_time_field && column.left_out.empty())
        kept.push_back(&column);
    }
    if (kept.size() <= kMostColumns) return;
    std::stable_sort(kept.begin(), kept.end(), [](const Column* a, const Column* b) {
      return a->association.explained > b->association.explained;
    });
    for (std::size_t i = kMostColumns; i < kept.size(); ++i)
      leave_out(*kept[i], fmt::format("{} other columns say more of the target", kMostColumns));
    add("many-columns",
        fmt::format("of {} columns the {} that say most of `{}` alone are used: the others are "
                    "left out, and each is a line in `features/` to bring back",
                    counted(std::ssize(kept)), kMostColumns, target_name()),
        {});
  }

  /// Each value of a column that comes again and again goes with one value of the target: the
  /// target under another name.
  [[nodiscard]] bool is_same(const Column& column) const {
    constexpr double kRowsOfValue = 5;
    if (out_.task == TaskKind::kRegression) return false;
    const auto codes = profile::codes_of(rows_of(column.name()));
    std::vector<double> of;
    std::int64_t rows = 0;
    for (std::size_t row = 0; row < codes.size(); ++row) {
      // Without a value, or without a label.
      if (codes[row] < 0 || std::isnan(target_.codes[row])) continue;
      const auto code = static_cast<std::size_t>(codes[row]);
      // The first row of a value says what all of its rows must have.
      if (of.size() <= code) of.resize(code + 1, -1);
      if (of[code] < 0) of[code] = target_.codes[row];
      if (of[code] != target_.codes[row]) return false;
      ++rows;
    }
    // Values that hardly come again prove nothing.
    return of.size() >= 2 &&
           static_cast<double>(rows) >= kRowsOfValue * static_cast<double>(of.size());
  }

  /// Rows that are equal in all that a model and its contract see.
  void repeats() {
    profile::DistinctSample seen(1 << 17);
    std::vector<std::string> looked_at;
    std::vector<std::uint64_t> hashes(numbers_.size(), 0);
    for (const Column& column : out_.columns) {
      // A key differs in every row and would hide that all the rest is equal.
      if (column.reading.is_key || !(column.in_contract || column.is_label)) continue;
      // Equal texts have one code.
      const auto codes = profile::codes_of(rows_of(column.name()));
      for (std::size_t row = 0; row < hashes.size(); ++row)
        // A missing value has the code -1: two of them are equal too.
        hashes[row] = profile::mixed(hashes[row] ^ static_cast<std::uint64_t>(codes[row] + 1));
      looked_at.push_back(column.name());
    }
    for (std::size_t row = 0; row < hashes.size(); ++row)
      seen.add(hashes[row], static_cast<std::int64_t>(row), [] { return std::string(); });
    out_.repeated_share = repeated_share(seen.entries(), static_cast<double>(numbers_.size()));
    std::int64_t repeated = 0;
    std::vector<std::string> examples;
    for (const auto& entry : seen.by_count()) {
      repeated += entry.count - 1;
      if (entry.count < 2 || examples.size() == kMostExamples) continue;
      examples.push_back(fmt::format(
          "{} equals {}{}", row_name(numbers_[static_cast<std::size_t>(entry.second)]),
          row_name(numbers_[static_cast<std::size_t>(entry.first)]),
          entry.count > 2 ? fmt::format(" and {} more", counted(entry.count - 2)) : ""));
    }
    whole_repeats(repeated);
    if (repeated == 0) return;
    const bool is_whole = out_.profile->sample.is_whole();
    add("duplicate-rows",
        fmt::format("{} of {} {}rows equal an earlier one in every column {}{}", counted(repeated),
                    counted(std::ssize(numbers_)), is_whole ? "" : "sampled ",
                    is_draft_ ? "that is used" : "but keys", drafted(kSeenRows)),
        {}, std::move(examples));
  }

  /// Of a file of which only a part was sampled: copies of a row were mostly not sampled together.
  void whole_repeats(std::int64_t& repeated) {
    const auto& whole = out_.profile->repeats;
    if (out_.profile->sample.is_whole()) return;
    double rows = 0;
    for (const auto& entry : whole.entries()) rows += static_cast<double>(entry.count);
    out_.repeated_share =
        std::max(out_.repeated_share, repeated_share(whole.entries(), std::max(rows, 1.0)));
    std::int64_t of_whole = 0;
    std::vector<std::string> examples;
    for (const auto& entry : whole.entries()) {
      of_whole += entry.count - 1;
      if (entry.count > 1 && examples.size() < kMostExamples)
        examples.push_back(
            fmt::format("{} equals {}", row_name(entry.second), row_name(entry.first)));
    }
    if (of_whole == 0) return;
    repeated = 0;  // said once
    // The sample keeps one in 2^level of the distinct rows.
    const double all =
        static_cast<double>(of_whole) * static_cast<double>(std::uint64_t{1} << whole.level());
    add("duplicate-rows",
        fmt::format("{}{} of {} rows equal an earlier one in every column{}",
                    whole.is_exact() ? "" : "about ", counted(std::llround(all)),
                    counted(out_.profile->rows), drafted(kSeenRows)),
        {}, std::move(examples));
  }

  /// The share of held-out rows that a row to train on equals, when rows are drawn.
  static double repeated_share(const std::vector<profile::DistinctSample::Entry>& entries,
                               double rows) {
    double share = 0;
    for (const auto& entry : entries) {
      const auto others = static_cast<double>(entry.count - 1);
      // Validation takes as much as the test: the chance that all the others were drawn into those
      // two as well.
      share += static_cast<double>(entry.count) * (1 - std::pow(2 * kTestShare, others));
    }
    return share / std::max(rows, 1.0);
  }

  void labels() {
    const Reading& reading = out_.target_column().reading;
    const std::int64_t without = out_.profile->rows - out_.labelled();
    if (without > 0)
      add("target-missing",
          fmt::format("{} of {} rows have no `{}`: the contract refuses them, and they are in the "
                      "quarantine",
                      counted(without), counted(out_.profile->rows), reading.name()),
          {reading.name()});
    if (out_.task == TaskKind::kBinary && std::min(out_.base_rate, 1 - out_.base_rate) < .02)
      add("target-rare",
          fmt::format("`{}` is `{}` in {} of the rows: metrics of so few are unsure",
                      reading.name(), out_.positive, percent(out_.base_rate)),
          {reading.name()});
  }

  void keys() {
    std::vector<std::string> numbered;
    std::vector<std::string> named;
    for (const Column& column : out_.columns) {
      if (column.is_label) continue;
      if (column.reading.is_row_number)
        numbered.push_back(column.name());
      else if (column.reading.is_key)
        named.push_back(column.name());
    }
    if (!numbered.empty())
      add("row-number",
          fmt::format("{} ascend{} by one step from row to row: a row number or an index{}",
                      list_of(numbered), numbered.size() == 1 ? "s" : "",
                      drafted(", left out of the features")),
          numbered);
    if (!named.empty())
      add("id-like",
          fmt::format("{} {} another value in each row: an id{}", list_of(named),
                      named.size() == 1 ? "has" : "have", drafted(", left out of the features")),
          named, first_rows({named.front()}));
  }

  /// Values between others that are of another kind.
  void odd_values() {
    std::vector<std::string> with_words;
    std::vector<std::string> counts;
    std::vector<std::string> examples;
    for (const Column& column : out_.columns) {
      const auto& profile = *column.reading.column;
      const bool is_words = column.reading.kind == Kind::kCategory ||
                            column.reading.kind == Kind::kText || !profile.is_text();
      if (is_words) mixed_types(column);
      if (is_words || column.reading.odd == 0) continue;
      const auto word = static_cast<std::size_t>(Look::kMissing);
      // Something else than words for no value stands there too.
      if (profile.looks[word] < column.reading.odd) {
        other_kinds(column);
        continue;
      }
      with_words.push_back(column.name());
      if (counts.size() < kMostNamed)
        counts.push_back(fmt::format("`{}` {}", column.name(), counted(profile.looks[word])));
      if (examples.size() < kMostExamples)
        examples.push_back(fmt::format("{}: {} = {}", row_name(profile.look_rows[word]),
                                       column.name(), profile.look_texts[word]));
    }
    if (with_words.empty()) return;
    add("missing-words",
        fmt::format("words for no value stand between numbers or times ({}{}){}",
                    fmt::join(counts, ", "),
                    with_words.size() > counts.size()
                        ? fmt::format(", and {} columns more", with_words.size() - counts.size())
                        : "",
                    drafted(": the contract reads such a column as text, and the features take its "
                            "numbers")),
        with_words, std::move(examples));
  }

  /// What is declared of the file as a whole.
  void declared() {
    const auto& nulls = out_.profile->nulls;
    if (nulls.empty()) return;
    std::vector<std::string> counts;
    for (const auto& [word, count] : nulls)
      counts.push_back(fmt::format("`{}` {} times", word, counted(count)));
    add("missing-words",
        fmt::format("words for no value stand between numbers or times ({}): {} them as missing "
                    "values, in every column",
                    fmt::join(counts, ", "), is_draft_ ? "heddle.yaml declares" : "this takes"),
        {});
  }

  /// A column of numbers or times in which other things stand.
  void other_kinds(const Column& column) {
    const auto& profile = *column.reading.column;
    const bool is_time = column.reading.kind == Kind::kTimeInText;
    std::vector<std::string> examples;
    std::vector<std::string> counts;
    for (const Look look : {Look::kMissing, Look::kText, Look::kOtherTime, Look::kComma,
                            Look::kBoolean, Look::kTime, Look::kInteger, Look::kNumber}) {
      const auto at = static_cast<std::size_t>(look);
      const bool is_main =
          is_time ? look == Look::kTime : look == Look::kInteger || look == Look::kNumber;
      if (is_main || profile.looks[at] == 0) continue;
      counts.push_back(fmt::format("{} times {}", counted(profile.looks[at]), in_words(look)));
      examples.push_back(fmt::format("{}: {} = {}", row_name(profile.look_rows[at]), column.name(),
                                     profile.look_texts[at]));
    }
    // Texts of a file whose types are its own: nothing else stands between them.
    if (counts.empty()) return;
    add("mixed-types",
        fmt::format("`{}` is {}, and between them stands {}{}", column.name(),
                    in_words(column.reading.kind), fmt::join(counts, ", "),
                    drafted(": the contract reads it as text, and features take what they can")),
        {column.name()}, std::move(examples));
  }

  /// Numbers and words in one column, and neither is rare.
  void mixed_types(const Column& column) {
    const auto& profile = *column.reading.column;
    const std::int64_t numbers =
        profile.looks_like(Look::kInteger) + profile.looks_like(Look::kNumber);
    const std::int64_t others = profile.present() - numbers;
    // `007` is a name that looks like a number.
    if (!profile.is_text() || profile.leading_zeros > 0) return;
    const double share = static_cast<double>(numbers) /
                         static_cast<double>(std::max<std::int64_t>(1, profile.present()));
    // A few numbers between names are names too.
    if (share < .2 || others == 0) return;
    std::vector<std::string> examples;
    for (std::size_t at = 0; at < profile::kLooks; ++at) {
      if (profile.looks[at] > 0 && examples.size() < kMostExamples)
        examples.push_back(fmt::format("{}: {} = {}", row_name(profile.look_rows[at]),
                                       column.name(), profile.look_texts[at]));
    }
    add("mixed-types",
        fmt::format("`{}` has {} numbers and {} other texts: it is read as text", column.name(),
                    counted(numbers), counted(others)),
        {column.name()}, std::move(examples));
  }

  /// A number of nines, far from all others, that comes again: what is written where there is none.
  void sentinels() {
    for (const Column& column : out_.columns) {
      // Of a few numbers none is far from the others.
      if (!column.reading.is_number() || column.reading.column->numbers.count < 20) continue;
      for (const auto& entry : column.reading.column->values.entries()) {
        if (entry.count < 2 || !is_nines(entry.value)) continue;
        const double value = std::strtod(entry.value.c_str(), nullptr);
        if (!is_far(column, value)) continue;
        add("missing-as-number",
            fmt::format("`{}` is {} in {} rows, far from every other value: what is often written "
                        "where there is no value",
                        column.name(), entry.value, counted(entry.count)),
            {column.name()},
            {fmt::format("{}: {} = {}", row_name(entry.first), column.name(), entry.value)});
      }
    }
  }

  static bool is_nines(std::string_view text) {
    if (text.starts_with('-')) text.remove_prefix(1);
    if (text.ends_with(".0")) text.remove_suffix(2);
    return text.size() >= 2 && text.find_first_not_of('9') == std::string_view::npos;
  }

  /// Farther from the rest than the rest is wide.
  [[nodiscard]] bool is_far(const Column& column, double value) const {
    double low = HUGE_VAL;
    double high = -HUGE_VAL;
    for (const double x : profile::numbers_of(rows_of(column.name()), column.reading)) {
      if (std::isnan(x) || x == value) continue;
      low = std::min(low, x);
      high = std::max(high, x);
    }
    const double gap = value > high ? value - high : low - value;
    return low < high && gap > high - low;
  }

  /// Where a rule holds for whatever carries the name.
  void impossible() {
    struct Rule {
      std::string_view word;
      double low;
      double high;
      std::string_view why;
    };
    static constexpr std::array kRules = {
        Rule{"latitude", -90, 90, "a latitude is from -90 to 90 degrees"},
        Rule{"lat", -90, 90, "a latitude is from -90 to 90 degrees"},
        Rule{"longitude", -180, 360, "a longitude is from -180 to 360 degrees"},
        Rule{"age", 0, HUGE_VAL, "nobody is younger than 0"}};
    for (const Column& column : out_.columns) {
      if (!column.reading.is_number()) continue;
      for (const Rule& rule : kRules) {
        const auto& numbers = column.reading.column->numbers;
        if (!profile::has_word(column.name(), rule.word) ||
            (numbers.low >= rule.low && numbers.high <= rule.high))
          continue;
        // Where many are out of the range, the name means something else, or another scale.
        if (static_cast<double>(numbers.negative) > kOddShare * static_cast<double>(numbers.count))
          continue;
        const auto values = profile::numbers_of(rows_of(column.name()), column.reading);
        std::vector<std::string> examples;
        for (std::size_t row = 0; row < values.size() && examples.size() < kMostExamples; ++row) {
          if (values[row] < rule.low || values[row] > rule.high)
            examples.push_back(example(row, {column.name()}));
        }
        add("impossible-values",
            fmt::format("`{}` goes from {:g} to {:g}, and {}", column.name(), numbers.low,
                        numbers.high, rule.why),
            {column.name()}, std::move(examples));
        break;
      }
    }
  }

  void times() {
    for (const Column& column : out_.columns) {
      const auto& profile = *column.reading.column;
      if (column.reading.kind == Kind::kOtherTime)
        add("time-format",
            fmt::format("`{}` holds dates that are not written as ISO 8601, for example `{}`: "
                        "write them like `2001-04-30` to have them read",
                        column.name(), profile.values.by_count().front().value),
            {column.name()});
      if (column.reading.kind == Kind::kCommaNumber)
        add("decimal-comma",
            fmt::format("`{}` holds numbers with a decimal comma, for example `{}`: write them "
                        "with a point to have them read",
                        column.name(), profile.look_texts[static_cast<std::size_t>(Look::kComma)]),
            {column.name()});
      zones(column);
    }
    gaps();
  }

  void zones(const Column& column) {
    const auto& profile = *column.reading.column;
    if (profile.times == 0 || !profile.is_text()) return;
    const bool is_part = profile.zoned > 0 && profile.zoned < profile.times;
    if (!is_part && profile.offsets.size() < 2) return;
    add("mixed-time-zones",
        is_part
            ? fmt::format("{} of {} times of `{}` name their offset from UTC, and the others do "
                          "not: those are taken for UTC",
                          counted(profile.zoned), counted(profile.times), column.name())
            : fmt::format("times of `{}` have {} offsets from UTC: all are read as UTC, and hours "
                          "are of UTC",
                          column.name(), profile.offsets.size()),
        {column.name()});
  }

  /// A step in time that is far larger than the usual one.
  void gaps() {
    constexpr double kTimes = 10;
    const Column* time = out_.time_column();
    if (time == nullptr) return;
    const auto& order = time->reading.column->order;
    const auto steps = order.steps.by_count();
    if (!order.is_ascending || steps.empty()) return;
    const double usual = std::strtod(steps.front().value.c_str(), nullptr);
    const auto largest = static_cast<double>(order.largest.size);
    // Rows that come at no steady pace have no gaps.
    if (steps.front().count * 2 < time->reading.column->present() / 2 || largest < kTimes * usual)
      return;
    const bool is_long = largest > .02 * static_cast<double>(order.last - order.first);
    if (!is_long && largest < 100 * usual) return;
    add("time-gap",
        fmt::format("`{}` goes by {} from row to row, and between {} and {} lie {}", time->name(),
                    format_duration(static_cast<Micros>(usual)), row_name(order.largest.from_row),
                    row_name(order.largest.to_row), format_duration(order.largest.size)),
        {time->name()});
  }

  void constants() {
    std::vector<std::string> empty;
    std::vector<std::string> constant;
    for (const Column& column : out_.columns) {
      if (column.reading.kind == Kind::kEmpty) empty.push_back(column.name());
      if (column.reading.kind == Kind::kConstant) constant.push_back(column.name());
    }
    if (!empty.empty())
      add("empty-column",
          fmt::format("{} {} no value in any row{}", list_of(empty),
                      empty.size() == 1 ? "has" : "have", drafted(": left out")),
          empty);
    if (!constant.empty())
      add("constant-column",
          fmt::format("{} {} one value in every row{}", list_of(constant),
                      constant.size() == 1 ? "has" : "have", drafted(": left out")),
          constant);
  }

  void left_out() {
    const auto& names = out_.profile->left_out;
    if (names.empty()) return;
    add("column-not-read",
        fmt::format("{} {} lists, structures, bytes or times of day, which no field holds: left "
                    "out",
                    list_of(names), names.size() == 1 ? "holds" : "hold"),
        names);
  }

  void best_alone() {
    for (const Column& column : out_.columns) {
      if (column.is_label || !column.left_out.empty()) continue;
      out_.best_alone = std::max(out_.best_alone, column.association.alone);
    }
  }

  Decisions& out_;
  const profile::Target& target_;
  table::Table rows_;
  std::vector<std::int64_t> numbers_;
  bool is_draft_ = false;
};

}  // namespace

void look_for_findings(Decisions& decisions, const profile::Target& target) {
  FindingsOf(decisions, target).run();
}

std::vector<Finding> look_at_file(const profile::Profile& profile) {
  if (profile.rows == 0) return {};
  Decisions decisions;
  decisions.profile = &profile;
  for (const Reading& reading : profile::read_columns(profile)) {
    const auto& order = reading.column->order;
    if (!decisions.time && reading.is_time() && reading.missing == 0 && order.is_ascending)
      decisions.time = decisions.columns.size();
    decisions.columns.emplace_back().reading = reading;
  }
  // Any row may be an example, as if each had a target.
  profile::Target none;
  none.codes.assign(static_cast<std::size_t>(profile.sample.size()), 0);
  FindingsOf(decisions, none).run_without_target();
  return std::move(decisions.findings);
}

}  // namespace heddle::draft
