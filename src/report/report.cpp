#include "report/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "draft/findings.hpp"
#include "report/counting.hpp"
#include "report/sentences.hpp"

namespace heddle::report {
namespace {

using profile::Reading;

/// The chance that a report calls any column moved that is not, over all of its comparisons.
constexpr double kChance = 0.001;
constexpr std::size_t kMostShown = 200;  ///< bytes of a value

Result<Read> read_file_of(const table::Input& input, const Progress& progress) {
  Read out;
  HEDDLE_ASSIGN_OR_RETURN(out.profile,
                          profile::profile_file(input, [&](const profile::Progress& so_far) {
                            if (progress) progress(input, so_far);
                          }));
  if (out.profile.rows == 0)
    return Error{ErrorKind::kUnprocessable, "report-no-rows",
                 fmt::format("`{}` has no rows", input.text()),
                 "name a file with at least one row below its header"};
  return out;
}

void settle(Read& read) {
  read.readings = profile::read_columns(read.profile);
  read.sample = read.profile.sample.rows();
  for (std::size_t i = 0; i < read.readings.size(); ++i)
    read.places.emplace(read.readings[i].name(), i);
}

Side side_of(const Reading& reading) {
  Side out;
  out.kind = profile::in_words(reading.kind);
  // Words between numbers are no values in a report.
  out.missing = reading.missing + reading.odd;
  out.distinct = reading.column->distinct();
  return out;
}

/// The same with what was counted of it.
Side side_of(const Reading& reading, const CountingPlan& plan, const Counted& counted) {
  Side out = side_of(reading);
  out.missing = counted.missing;
  const auto& numbers = counted.numbers;
  if (numbers.count == 0) return out;
  if (plan.type == expr::Type::kTimestamp) {
    out.first = reading.column->earliest;
    out.last = reading.column->latest;
    return out;
  }
  out.low = numbers.low;
  out.high = numbers.high;
  // Of numbers at the ends of what a double holds the sums are none.
  if (std::isfinite(numbers.mean)) out.mean = numbers.mean;
  if (std::isfinite(numbers.sd())) out.sd = numbers.sd();
  return out;
}

bool is_of_rows(const Reading* reading) {
  return reading != nullptr && (reading->is_key || reading->is_row_number);
}

std::string shortened(const std::string& text) {
  if (text.size() <= kMostShown) return text;
  std::size_t end = kMostShown;
  // Not in the middle of a character.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

/// What a picture shows. `reference` is empty where there is none.
void draw_from(const CountingPlan& plan, const Counted& reference, const Counted& file,
               ColumnReport& out) {
  if (plan.grid) {
    out.curve = Curve{plan.grid->from, plan.grid->width, reference.grid, file.grid,
                      reference.outside + file.outside};
    return;
  }
  const auto& names = plan.bins.names();
  const auto at = [](const Counted& of, std::size_t bin) {
    return bin < of.bins.counts().size() ? of.bins.counts()[bin] : 0;
  };
  // Bin 0 is of missing values, the last one of all that have no bin of their own.
  for (std::size_t i = 0; i < names.size(); ++i)
    out.frequent.push_back({shortened(names[i]), at(reference, 1 + i), at(file, 1 + i)});
  out.other_values = Frequency{"", at(reference, 1 + names.size()), at(file, 1 + names.size())};
}

class Reporter {
 public:
  Reporter(const table::Input& file, const table::Input* reference, const Progress& progress)
      : input_(file), reference_input_(reference), progress_(progress) {}

  Result<Report> run() {
    HEDDLE_TRY(read());
    out_.file = input_.text();
    out_.rows = file_.profile.rows;
    out_.findings = draft::look_at_file(file_.profile);
    // Rows of the file are nobody's to see who sees the report.
    for (draft::Finding& finding : out_.findings) finding.examples.clear();
    if (reference_input_ != nullptr) {
      out_.reference = reference_input_->text();
      out_.reference_rows = reference_.profile.rows;
    }
    plan();
    HEDDLE_TRY(count());
    for (std::size_t i = 0; i < out_.columns.size(); ++i) finish(out_.columns[i], i);
    order();
    return std::move(out_);
  }

 private:
  [[nodiscard]] bool has_reference() const noexcept { return reference_input_ != nullptr; }

  Result<void> read() {
    HEDDLE_ASSIGN_OR_RETURN(file_, read_file_of(input_, progress_));
    if (has_reference()) {
      HEDDLE_ASSIGN_OR_RETURN(reference_, read_file_of(*reference_input_, progress_));
      // Before `settle`, which says what each column is.
      HEDDLE_TRY(share_nulls(file_, reference_));
      HEDDLE_TRY(share_nulls(reference_, file_));
      settle(reference_);
    }
    settle(file_);
    return {};
  }

  /// Words that stand between the numbers of `from` for no value are none in `to` either, where
  /// both are texts: else they were new values there.
  Result<void> share_nulls(Read& to, const Read& from) const {
    if (!to.profile.text || from.profile.nulls.empty()) return {};
    table::Input input = to.profile.input;
    auto nulls = input.form.nulls.value_or(std::vector<std::string>{"", "NULL", "null"});
    const std::size_t before = nulls.size();
    for (const auto& [word, unused] : from.profile.nulls) {
      if (std::find(nulls.begin(), nulls.end(), word) == nulls.end()) nulls.push_back(word);
    }
    if (nulls.size() == before) return {};
    input.form.nulls = std::move(nulls);
    const auto declared = to.profile.nulls;
    HEDDLE_ASSIGN_OR_RETURN(to, read_file_of(input, progress_));
    // The file's own words are told of; the other's are only read as missing.
    to.profile.nulls = declared;
    return {};
  }

  /// A column of the report for each of both files, and for each what is counted.
  void plan() {
    for (const Reading& reading : file_.readings) add_column(reading.name());
    if (!has_reference()) return;
    for (const Reading& reading : reference_.readings) {
      if (file_.find(reading.name()) == nullptr) add_column(reading.name());
    }
  }

  void add_column(const std::string& name) {
    const Reading* file = file_.find(name);
    const Reading* reference = has_reference() ? reference_.find(name) : nullptr;
    auto type = common_type(reference, file, reference_.profile.text, file_.profile.text);
    ColumnReport& column = out_.columns.emplace_back();
    column.name = name;
    column.names_rows = is_of_rows(file) || is_of_rows(reference);
    column.state = state_of(file, reference, type.has_value());
    if (column.state == State::kRetyped) {
      column.says.push_back(
          fmt::format("{}, in the reference {}", in_words(file->kind), in_words(reference->kind)));
      // Its picture is of what the file has now.
      reference = nullptr;
      type = common_type(nullptr, file, false, file_.profile.text);
    }
    // Of a reference without a value the file says what the texts are.
    const bool is_known =
        reference != nullptr && (file == nullptr || reference->kind != profile::Kind::kEmpty);
    column.of_lengths = type == expr::Type::kString && is_free_text(is_known ? *reference : *file);
    plans_.push_back(plan_column(name, *type, column.of_lengths,
                                 reference != nullptr ? &reference_ : nullptr, file_));
  }

  [[nodiscard]] State state_of(const Reading* file, const Reading* reference,
                               bool is_of_one_type) const {
    if (!has_reference()) return State::kAlone;
    if (file == nullptr) return State::kVanished;
    if (reference == nullptr) return State::kAppeared;
    return is_of_one_type ? State::kSame : State::kRetyped;
  }

  Result<void> count() {
    if (has_reference()) {
      HEDDLE_ASSIGN_OR_RETURN(counted_reference_, count_rows(reference_, plans_, progress_));
      // The file is counted next: what of it lies outside of the reference's range is known by
      // this.
      for (std::size_t i = 0; i < plans_.size(); ++i) {
        const auto& numbers = counted_reference_[i].numbers;
        if (numbers.count == 0) continue;
        plans_[i].low = numbers.low;
        plans_[i].high = numbers.high;
      }
    }
    HEDDLE_ASSIGN_OR_RETURN(counted_, count_rows(file_, plans_, progress_));
    const auto shared = std::count_if(out_.columns.begin(), out_.columns.end(),
                                      [](const auto& each) { return each.state == State::kSame; });
    // Each is compared by its values and by their absence.
    out_.chance = kChance / static_cast<double>(std::max<std::ptrdiff_t>(1, 2 * shared));
    return {};
  }

  void finish(ColumnReport& column, std::size_t at) {
    static const Counted kNone{};
    const CountingPlan& plan = plans_[at];
    const Counted& file = counted_[at];
    const bool is_retyped = column.state == State::kRetyped;
    const Counted& reference = has_reference() && !is_retyped ? counted_reference_[at] : kNone;
    if (const Reading* reading = file_.find(column.name))
      column.file = side_of(*reading, plan, file);
    if (const Reading* reading = has_reference() ? reference_.find(column.name) : nullptr)
      column.reference =
          is_retyped ? side_of(*reading) : side_of(*reading, plan, counted_reference_[at]);
    draw_from(plan, reference, file, column);
    if (column.state == State::kSame) compare(column, plan, reference, file);
    std::stable_sort(
        column.frequent.begin(), column.frequent.end(),
        [&](const Frequency& a, const Frequency& b) { return share_of(a) > share_of(b); });
  }

  /// The larger of a value's shares.
  [[nodiscard]] double share_of(const Frequency& value) const {
    return std::max(static_cast<double>(value.file) / static_cast<double>(out_.rows),
                    static_cast<double>(value.reference) /
                        static_cast<double>(std::max<std::int64_t>(1, out_.reference_rows)));
  }

  void compare(ColumnReport& column, const CountingPlan& plan, const Counted& reference,
               const Counted& file) {
    column.missing = compare_missing(reference.missing, out_.reference_rows, file.missing,
                                     out_.rows, out_.chance);
    const auto before = reference.bins.present();
    const auto now = file.bins.present();
    if (!column.names_rows && before.total() > 0 && now.total() > 0) {
      column.statistic = plan.statistic->name();
      Difference values;
      values.size = plan.statistic->distance(before, now);
      values.by_chance = plan.statistic == &statistic::ks()
                             ? ks_by_chance(before.total(), now.total(), out_.chance)
                             : total_variation_by_chance(before, now, out_.chance);
      values.moved = values.size > values.by_chance && values.size > kLeastDistance;
      column.values = values;
    }
    const bool is_moved = column.missing->moved || (column.values && column.values->moved);
    if (is_moved) column.state = State::kMoved;
    column.says = sentences_of(column, {plan, reference, file, out_.chance});
  }

  /// What changed first, the farthest before the others.
  void order() {
    static constexpr std::array kOrder{State::kRetyped, State::kVanished, State::kAppeared,
                                       State::kMoved};
    const auto rank = [](const ColumnReport& column) {
      const auto* at = std::find(kOrder.begin(), kOrder.end(), column.state);
      const double far = column.state == State::kMoved
                             ? std::max(column.values ? column.values->size : 0,
                                        column.missing ? column.missing->size : 0)
                             : 0;
      // Negated, so that the farthest comes first.
      return std::pair(at - kOrder.begin(), -far);
    };
    std::stable_sort(out_.columns.begin(), out_.columns.end(),
                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  }

  Report out_{};
  const table::Input& input_;
  const table::Input* reference_input_;
  const Progress& progress_;
  Read file_{};
  Read reference_{};
  std::vector<CountingPlan> plans_{};
  std::vector<Counted> counted_{};
  std::vector<Counted> counted_reference_{};
};

}  // namespace

std::int64_t Report::count(State state) const noexcept {
  return std::count_if(columns.begin(), columns.end(),
                       [&](const ColumnReport& each) { return each.state == state; });
}

bool Report::has_drift() const noexcept {
  return std::any_of(columns.begin(), columns.end(), [](const ColumnReport& each) {
    return each.state != State::kAlone && each.state != State::kSame;
  });
}

Result<Report> make_report(const table::Input& file, const table::Input* reference,
                           const Progress& progress) {
  return Reporter(file, reference, progress).run();
}

}  // namespace heddle::report
