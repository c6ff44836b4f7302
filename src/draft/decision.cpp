#include "draft/decision.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "doc/diagnostic.hpp"
#include "draft/adoption.hpp"
#include "draft/findings.hpp"

namespace heddle::draft {
namespace {

using profile::Kind;
using profile::Reading;
using stats::TaskKind;

constexpr std::int64_t kFewestRows = 30;
constexpr std::size_t kMostClasses = 100;
/// Whole numbers of so few values may be classes, if each class has this share and so many rows.
constexpr std::size_t kMostWholeClasses = 12;
constexpr double kClassShare = 0.01;
constexpr std::int64_t kClassRows = 10;

Error refused(ErrorKind kind, std::string id, std::string message, std::string hint) {
  return Error{kind, std::move(id), std::move(message), std::move(hint)};
}

/// A column that a model could predict: more than one value, and not one a row.
bool can_be_target(const Reading& reading) {
  switch (reading.kind) {
    case Kind::kEmpty:
    case Kind::kConstant:
    case Kind::kTime:
    case Kind::kTimeInText:
    case Kind::kOtherTime:
    case Kind::kCommaNumber: return false;
    case Kind::kText: return false;
    case Kind::kCategory:
      return reading.column->values.is_exact() &&
             reading.column->values.entries().size() <= kMostClasses;
    // Numbers and truths, unless each row has another value.
    default: return !reading.is_key;
  }
}

bool has_target_name(const std::string& name) {
  static constexpr std::string_view kNames[] = {"target",  "label",    "class", "y",
                                                "outcome", "response", "labels"};
  std::string lower;
  for (const char c : name) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(std::begin(kNames), std::end(kNames), lower) != std::end(kNames);
}

std::vector<std::string> names_of(const profile::Profile& profile) {
  std::vector<std::string> out;
  for (const auto& column : profile.columns) out.push_back(column.name);
  return out;
}

Result<std::size_t> index_of(const profile::Profile& profile, const std::string& name,
                             std::string_view flag) {
  const auto names = names_of(profile);
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  const std::string near = doc::nearest(name, names);
  return refused(
      ErrorKind::kInvalid, "init-no-column",
      fmt::format("the file has no column `{}` (of {})", name, flag),
      near.empty()
          ? fmt::format("its columns are `{}`",
                        fmt::join(names.begin(),
                                  names.begin() + static_cast<std::ptrdiff_t>(
                                                      std::min<std::size_t>(20, names.size())),
                                  "`, `"))
          : fmt::format("did you mean `{}`?", near));
}

/// The distinct values of a column of few, the most frequent first; empty where there are too many.
std::vector<profile::DistinctSample::Entry> values_of(const Reading& reading) {
  if (!reading.column->values.is_exact()) return {};
  auto out = reading.column->values.by_count();
  // Cells that say nothing where a number or a time is read.
  if (reading.type != expr::Type::kString)
    std::erase_if(out, [](const auto& entry) {
      const auto look = profile::look_at(entry.value).look;
      return look == profile::Look::kBlank || look == profile::Look::kNan;
    });
  return out;
}

bool is_yes(std::string_view value) {
  std::string lower;
  for (const char c : value)
    lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower == "yes" || lower == "true" || lower == "y" || lower == "t" || lower == "1" ||
         lower == "1.0" || lower == "positive" || lower == "pos";
}

/// Of two values the one that a probability is of: one that says yes, else the rarer one.
std::string positive_of(const std::vector<profile::DistinctSample::Entry>& values) {
  for (const auto& entry : values) {
    if (is_yes(entry.value)) return entry.value;
  }
  // They are in the order of their counts: the rarer one is last.
  return values.back().value;
}

/// Whether whole numbers of a few values are told apart as classes: each comes often enough to be
/// learned and tested.
bool are_classes(const std::vector<profile::DistinctSample::Entry>& values, std::int64_t rows) {
  return values.size() <= kMostWholeClasses &&
         std::all_of(values.begin(), values.end(), [&](const auto& entry) {
           return entry.count >= kClassRows &&
                  static_cast<double>(entry.count) >= kClassShare * static_cast<double>(rows);
         });
}

class Decider {
 public:
  Decider(const profile::Profile& profile, const Wishes& wishes)
      : profile_(profile), wishes_(wishes) {
    out_.profile = &profile;
    for (auto& reading : profile::read_columns(profile)) out_.columns.push_back({reading, {}});
  }

  Result<Decisions> run() {
    HEDDLE_TRY(check_file());
    HEDDLE_TRY(match_model());
    HEDDLE_TRY(choose_target());
    HEDDLE_TRY(choose_task());
    HEDDLE_TRY(choose_time());
    // What follows is measured against the target.
    choose_columns();
    look_for_findings(out_, target_);
    // After the findings, which leave out what the model reads all the same.
    keep_what_the_model_reads();
    HEDDLE_TRY(check_left());
    return std::move(out_);
  }

 private:
  Result<void> check_file() const {
    if (profile_.rows == 0)
      return refused(ErrorKind::kUnprocessable, "init-no-rows", "the file has a header and no row",
                     "write it again with its rows");
    if (profile_.columns.size() < 2)
      return refused(
          ErrorKind::kUnprocessable, "init-one-column",
          fmt::format("the file has {}: a target, and nothing to predict it from",
                      profile_.columns.empty() ? "no column that can be read" : "one column"),
          "add the columns that are known when the prediction is made");
    if (profile_.rows < kFewestRows)
      return refused(ErrorKind::kUnprocessable, "init-too-few-rows",
                     fmt::format("the file has {} row{}: too few to train on some and to test on "
                                 "others",
                                 profile_.rows, profile_.rows == 1 ? "" : "s"),
                     fmt::format("bring {} rows or more; hundreds say something", kFewestRows));
    return {};
  }

  [[nodiscard]] bool is_adopted() const { return wishes_.signature != nullptr; }

  /// Which columns a model that is there reads. What it predicts is not among them.
  Result<void> match_model() {
    if (!is_adopted()) return {};
    std::vector<Reading> readings;
    for (const Column& column : out_.columns) readings.push_back(column.reading);
    HEDDLE_ASSIGN_OR_RETURN(const Matching found,
                            Matching::of(*wishes_.signature, readings, wishes_.target));
    Adoption adoption{.signature = wishes_.signature};
    std::vector<const Reading*> read;
    for (const std::size_t at : found.features()) {
      adoption.columns.push_back(readings[at].name());
      read.push_back(&out_.columns[at].reading);
    }
    const Inputs inputs = inputs_of(*wishes_.signature, read);
    adoption.are_features = inputs.are_features;
    adoption.inputs_reason = inputs.why;
    out_.adopted = std::move(adoption);
    return {};
  }

  [[nodiscard]] bool model_reads(std::size_t column) const {
    if (!out_.adopted) return false;
    const auto& columns = out_.adopted->columns;
    return std::find(columns.begin(), columns.end(), out_.columns[column].name()) != columns.end();
  }

  Result<void> choose_target() {
    if (!wishes_.target.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(out_.target, index_of(profile_, wishes_.target, "--target"));
      out_.target_reason = "as --target says";
      return {};
    }
    std::optional<std::size_t> last;
    for (std::size_t i = 0; i < out_.columns.size(); ++i) {
      // A name does not make a target of a column that cannot be one.
      if (model_reads(i) || !can_be_target(out_.columns[i].reading)) continue;
      // Tables are mostly written with the outcome last.
      last = i;
      if (!has_target_name(out_.columns[i].name())) continue;
      out_.target = i;
      out_.target_reason = "its name says so";
      return {};
    }
    if (!last)
      return refused(ErrorKind::kUnprocessable, "init-no-target",
                     "no column can be a target: each is empty, constant, a key, a time or free "
                     "text",
                     "name one with --target");
    out_.target = *last;
    out_.target_reason =
        "no column is called target, label, class, y, outcome or response, and it "
        "is the last that can be one";
    return {};
  }

  /// As the model says, or as a person does.
  Result<std::optional<TaskKind>> wanted_task() const {
    // A model that does not say its task leaves it to the person.
    if (!is_adopted() || wishes_.signature->task.empty()) return wishes_.task;
    for (const auto kind : {TaskKind::kBinary, TaskKind::kClasses, TaskKind::kRegression}) {
      if (stats::task_name(kind) != wishes_.signature->task) continue;
      if (wishes_.task.value_or(kind) == kind) return std::optional(kind);
      return refused(ErrorKind::kInvalid, "init-task",
                     fmt::format("the model's task is {}, and --task is {}",
                                 wishes_.signature->task, stats::task_name(*wishes_.task)),
                     "leave --task out");
    }
    return wishes_.task;
  }

  /// The model's classes among the target's values.
  Result<ClassesOf> classes_of_model(const std::vector<profile::DistinctSample::Entry>& values) {
    if (!is_adopted()) return ClassesOf{};
    std::vector<std::string> texts;
    for (const auto& entry : values) texts.push_back(entry.value);
    HEDDLE_ASSIGN_OR_RETURN(auto found,
                            match_classes(*wishes_.signature, out_.target_column().name(), texts));
    out_.adopted->positive = found.model_positive;
    out_.adopted->classes_unsaid = found.unsaid;
    return found;
  }

  Result<void> choose_task() {
    const Reading& reading = out_.target_column().reading;
    const auto values = values_of(reading);
    if (reading.kind == Kind::kEmpty || reading.kind == Kind::kConstant)
      return refused(ErrorKind::kUnprocessable, "init-target-constant",
                     reading.kind == Kind::kEmpty
                         ? fmt::format("the target `{}` has no value in any row", reading.name())
                         : fmt::format("the target `{}` has one value, `{}`, in all {} rows that "
                                       "have one: there is nothing to predict",
                                       reading.name(), reading.column->values.entries()[0].value,
                                       counted(reading.column->present())),
                     "name another with --target, or bring rows of the other outcome");
    // Two values may well be a regression or classes, if somebody says so.
    HEDDLE_ASSIGN_OR_RETURN(const auto wanted, wanted_task());
    if (values.size() == 2 && wanted.value_or(TaskKind::kBinary) == TaskKind::kBinary)
      return take_binary(values);
    const bool is_number = reading.is_number();
    const bool is_category = reading.kind == Kind::kCategory;
    if (wanted == TaskKind::kBinary)
      return refused(
          ErrorKind::kInvalid, "init-task",
          fmt::format("the target `{}` has {} values, and {} is binary", reading.name(),
                      counted(reading.column->distinct()), wishes_.task ? "--task" : "the model"),
          wishes_.task ? "leave --task out, or name a target of two values"
                       : "name the column that the model predicts with --target");
    // A number with a fraction is no class; without `values` there are too many to be classes.
    const bool may_be_classes =
        !values.empty() && values.size() <= kMostClasses && reading.kind != Kind::kNumber;
    const bool classes = wanted ? wanted == TaskKind::kClasses
                                : is_category || (reading.kind == Kind::kInteger &&
                                                  are_classes(values, profile_.rows));
    if (classes && may_be_classes && reading.kind != Kind::kNumberInText)
      return take_classes(values);
    // Classes that somebody asked for are not answered by a regression.
    if (is_number && !(classes && wanted)) return take_regression();
    return refused(
        ErrorKind::kUnprocessable, "init-target-kind",
        fmt::format("the target `{}` is {} with {} distinct values: neither a number, nor classes "
                    "that come again",
                    reading.name(), profile::in_words(reading.kind),
                    counted(reading.column->distinct())),
        reading.kind == Kind::kCommaNumber ? "write its numbers with a decimal point"
                                           : "name another with --target");
  }

  Result<void> take_binary(const std::vector<profile::DistinctSample::Entry>& values) {
    out_.task = TaskKind::kBinary;
    HEDDLE_ASSIGN_OR_RETURN(const ClassesOf of_model, classes_of_model(values));
    out_.positive = of_model.positive.empty() ? positive_of(values) : of_model.positive;
    const auto found = std::find_if(values.begin(), values.end(), [&](const auto& entry) {
      return entry.value == out_.positive;
    });
    // Of the rows that have a value.
    out_.base_rate =
        static_cast<double>(found->count) / static_cast<double>(values[0].count + values[1].count);
    out_.task_reason =
        fmt::format("two values, `{}` {} and `{}` {}", values[0].value, counted(values[0].count),
                    values[1].value, counted(values[1].count));
    target_.task = TaskKind::kBinary;
    target_.classes = 2;
    label_rows([&](std::string_view value) -> double { return value == out_.positive ? 1 : 0; });
    return {};
  }

  Result<void> take_classes(const std::vector<profile::DistinctSample::Entry>& values) {
    out_.task = TaskKind::kClasses;
    for (const auto& entry : values) out_.classes.push_back(entry.value);
    // As people count, so that 10 stands after 9.
    if (out_.target_column().reading.kind == Kind::kInteger)
      std::sort(out_.classes.begin(), out_.classes.end(), [](const auto& a, const auto& b) {
        return std::atoll(a.c_str()) < std::atoll(b.c_str());
      });
    else
      std::sort(out_.classes.begin(), out_.classes.end());
    HEDDLE_ASSIGN_OR_RETURN(const ClassesOf of_model, classes_of_model(values));
    // The order is the model's, in which it answers.
    if (!of_model.classes.empty()) out_.classes = of_model.classes;
    out_.task_reason = fmt::format("{} values, the rarest in {} rows", values.size(),
                                   counted(values.back().count));
    // They are in the order of their counts: the rarest is last.
    if (values.back().count < 2)
      return refused(ErrorKind::kUnprocessable, "init-class-rare",
                     fmt::format("the class `{}` of the target `{}` has one row: it cannot be "
                                 "learned from one and tested on another",
                                 values.back().value, out_.target_column().name()),
                     "leave such rows out, or bring more of them");
    target_.task = TaskKind::kClasses;
    target_.classes = out_.classes.size();
    std::map<std::string, double, std::less<>> codes;
    for (const auto& name : out_.classes) codes.emplace(name, static_cast<double>(codes.size()));
    label_rows([&](std::string_view value) -> double {
      const auto found = codes.find(value);
      return found == codes.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
    });
    return {};
  }

  Result<void> take_regression() {
    const Reading& reading = out_.target_column().reading;
    out_.task = TaskKind::kRegression;
    out_.task_reason = fmt::format("{} distinct numbers from {:.6g} to {:.6g}",
                                   counted(reading.column->distinct()), reading.column->numbers.low,
                                   reading.column->numbers.high);
    target_.task = TaskKind::kRegression;
    sample_ = profile_.sample.rows();
    target_.codes = profile::numbers_of(*sample_->find(reading.name()), reading);
    return {};
  }

  /// The target of the sampled rows, by the text of its value.
  template <class F>
  void label_rows(const F& code_of) {
    sample_ = profile_.sample.rows();
    const table::Column& column = *sample_->find(out_.target_column().name());
    const auto view = column.view();
    for (std::int64_t row = 0; row < column.length(); ++row) {
      const expr::Datum value = view.at(row);
      double code = std::numeric_limits<double>::quiet_NaN();
      switch (value.kind) {
        case expr::Datum::Kind::kString: code = code_of(value.str()); break;
        case expr::Datum::Kind::kBool: code = code_of(value.b ? "true" : "false"); break;
        case expr::Datum::Kind::kInt: code = code_of(fmt::to_string(value.i)); break;
        case expr::Datum::Kind::kDouble:
          if (!std::isnan(value.d)) code = code_of(fmt::to_string(value.d));
          break;
        default: break;
      }
      target_.codes.push_back(code);
    }
  }

  Result<void> choose_time() {
    if (!wishes_.time.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(const std::size_t at, index_of(profile_, wishes_.time, "--time"));
      const Reading& reading = out_.columns[at].reading;
      if (!reading.is_time())
        return refused(ErrorKind::kInvalid, "init-time-kind",
                       fmt::format("`{}` of --time is {}, not times as ISO 8601 writes them",
                                   reading.name(), profile::in_words(reading.kind)),
                       "write it like `2001-04-10T05:06:07Z`, or leave --time out when the rows "
                       "have no order");
      if (at == out_.target)
        return refused(ErrorKind::kInvalid, "init-time-target",
                       fmt::format("`{}` is both the target and the time", reading.name()),
                       "name two columns");
      out_.time = at;
      out_.time_reason = "as --time says";
      return {};
    }
    // In the order of the file, else the only one that every row has.
    std::vector<std::size_t> whole;
    for (std::size_t i = 0; i < out_.columns.size(); ++i) {
      const Reading& reading = out_.columns[i].reading;
      // A row without a time has no place in the order.
      if (i == out_.target || !reading.is_time() || reading.missing > 0) continue;
      // A field that the model does not read would be asked of every request for its order alone.
      if (is_adopted() && !model_reads(i)) continue;
      if (!out_.time &&
          (reading.column->order.is_ascending || reading.column->order.is_descending)) {
        out_.time = i;
        out_.time_reason = "the rows stand in its order";
      }
      whole.push_back(i);
    }
    // Of several none is better than another, and a wrong order would hide what changes in time.
    if (!out_.time && whole.size() == 1) {
      out_.time = whole[0];
      out_.time_reason = "the only time that every row has";
    }
    return {};
  }

  void choose_columns() {
    for (std::size_t i = 0; i < out_.columns.size(); ++i) {
      Column& column = out_.columns[i];
      column.is_label = i == out_.target;
      column.is_time_field = out_.time == i;
      if (column.is_label) continue;
      if (is_adopted()) {
        choose_by_model(column, model_reads(i));
        continue;
      }
      // A key is not a feature, but it stays in the contract: rows are known by it.
      column.left_out = reason_against(column.reading);
      column.in_contract =
          column.left_out.empty() || (column.reading.is_key && !column.reading.is_row_number);
      // What is not read as it is written is not asked for either.
      if (column.reading.kind == Kind::kOtherTime || column.reading.kind == Kind::kCommaNumber)
        column.in_contract = false;
      if (!column.left_out.empty()) continue;
      column.association =
          profile::associate(*sample_->find(column.name()), column.reading, target_);
    }
  }

  void choose_by_model(Column& column, bool is_read) {
    column.in_contract = is_read || column.is_time_field;
    if (!is_read) {
      column.left_out = "the model does not read it";
      return;
    }
    column.association = profile::associate(*sample_->find(column.name()), column.reading, target_);
  }

  /// A draft takes leaks, ids and constants out of the features; what a model reads stays, and is
  /// said.
  void keep_what_the_model_reads() {
    if (!is_adopted()) return;
    std::vector<std::string> kept;
    for (std::size_t i = 0; i < out_.columns.size(); ++i) {
      Column& column = out_.columns[i];
      if (column.is_label || !model_reads(i)) continue;
      // What a draft without a model would leave out.
      if (!column.left_out.empty() || !reason_against(column.reading).empty())
        kept.push_back(column.name());
      column.left_out.clear();
      column.in_contract = true;
      out_.best_alone = std::max(out_.best_alone, column.association.alone);
    }
    auto first = findings_of(*wishes_.signature, out_, kept);
    out_.findings.insert(out_.findings.begin(), std::make_move_iterator(first.begin()),
                         std::make_move_iterator(first.end()));
  }

  static std::string reason_against(const Reading& reading) {
    switch (reading.kind) {
      case Kind::kEmpty: return "it has no value in any row";
      case Kind::kConstant:
        return fmt::format("it is `{}` in every row that has a value",
                           reading.column->values.entries()[0].value);
      case Kind::kOtherTime:
        return "its dates are not written as ISO 8601, and which number is the month is not known";
      case Kind::kCommaNumber: return "its numbers have a decimal comma";
      default: break;
    }
    if (reading.is_row_number) return "it numbers the rows";
    if (reading.is_key) return "each row has another value: it names the row";
    return "";
  }

  Result<void> check_left() {
    const bool is_any = std::any_of(out_.columns.begin(), out_.columns.end(), [](const auto& each) {
      return !each.is_label && each.left_out.empty();
    });
    if (is_any) return {};
    std::vector<std::string> reasons;
    for (const auto& column : out_.columns) {
      if (!column.is_label)
        reasons.push_back(fmt::format("`{}`: {}", column.name(), column.left_out));
    }
    if (reasons.size() > 5) reasons.resize(5);
    return refused(ErrorKind::kUnprocessable, "init-nothing-left",
                   fmt::format("no column is left to predict `{}` from ({})",
                               out_.target_column().name(), fmt::join(reasons, "; ")),
                   "add columns that are known when the prediction is made");
  }

  const profile::Profile& profile_;
  const Wishes& wishes_;
  Decisions out_;
  profile::Target target_{};
  std::optional<table::Table> sample_{};
};

}  // namespace

std::int64_t Decisions::labelled() const {
  // A value of another kind than the column's is no label.
  return profile->rows - target_column().reading.missing - target_column().reading.odd;
}

Candidates candidates(const profile::Profile& profile) {
  Candidates out;
  const auto readings = profile::read_columns(profile);
  for (const Reading& reading : readings) {
    if (reading.is_time() && reading.missing == 0) out.times.push_back(reading.name());
    if (can_be_target(reading)) out.targets.push_back(reading.name());
  }
  // The last first, then one whose name says so.
  std::reverse(out.targets.begin(), out.targets.end());
  std::stable_partition(out.targets.begin(), out.targets.end(), has_target_name);
  return out;
}

Result<Decisions> decide(const profile::Profile& profile, const Wishes& wishes) {
  return Decider(profile, wishes).run();
}

std::string counted(std::int64_t count) {
  std::string digits = fmt::to_string(count);
  // Before a sign stands no comma.
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > (count < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

std::string percent(double share) {
  const double value = 100 * share;
  // A share that rounds to nothing is not nothing.
  if (value > 0 && value < .01) return "less than 0.01 %";
  if (value == 0) return "0 %";
  return fmt::format("{:.{}f} %", value, value < 1 ? 2 : value < 10 ? 1 : 0);
}

}  // namespace heddle::draft
