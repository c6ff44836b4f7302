#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "evaluate/measured.hpp"
#include "spec/environment.hpp"
#include "stats/metric.hpp"

namespace heddle::evaluate {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double number_of(const expr::Datum& datum) {
  switch (datum.kind) {
    case expr::Datum::Kind::kBool: return datum.b ? 1 : 0;
    case expr::Datum::Kind::kInt:
    case expr::Datum::Kind::kDouble: return datum.number();
    default: return kNan;
  }
}

Result<void> check(const Predictions& predictions) {
  const std::size_t rows = predictions.labels.size();
  if (predictions.task == nullptr || predictions.rows == nullptr ||
      predictions.margins.size() != rows * predictions.task->outputs() ||
      static_cast<std::size_t>(predictions.rows->rows()) != rows) {
    return Error{
        ErrorKind::kInvalid, "evaluate-shape",
        fmt::format("{} margins, {} labels, {} rows to evaluate", predictions.margins.size(), rows,
                    predictions.rows == nullptr ? 0 : predictions.rows->rows()),
        "score and label the same rows"};
  }
  // There is no metric of nothing that a gate could look at.
  if (rows == 0) {
    return Error{ErrorKind::kInvalid, "evaluate-no-rows", "there are no held-out rows to evaluate",
                 "set `test_fraction` above 0, or a longer time range"};
  }
  return {};
}

/// What was answered and what was true, as columns that a metric's expression reads.
class AnswerColumns {
 public:
  explicit AnswerColumns(const Measured& measured) {
    const stats::Task& task = *measured.task;
    const std::size_t outputs = task.outputs();
    const std::size_t rows = measured.labels.size();
    const std::string prefix = task.kind == stats::TaskKind::kClasses ? "probabilities." : "";
    const std::vector<std::string> names = task.output_names();
    // First the numbers of the prediction, then what is said of classes.
    for (std::size_t k = 0; k < outputs; ++k) {
      table::Column column{.name = prefix + names[k], .type = expr::Type::kDouble};
      for (std::size_t row = 0; row < rows; ++row)
        column.doubles.push_back(static_cast<double>(measured.predictions[row * outputs + k]));
      columns_.push_back(std::move(column));
    }
    if (task.kind == stats::TaskKind::kClasses) {
      std::vector<double> best;
      for (std::size_t row = 0; row < rows; ++row) {
        best.push_back(static_cast<double>(
            stats::Task::best(std::span(measured.predictions).subspan(row * outputs, outputs))));
      }
      columns_.push_back(class_column("predicted", task, best));
      columns_.push_back(class_column("label", task, measured.labels));
    } else if (task.kind == stats::TaskKind::kBinary) {
      table::Column label{.name = "label", .type = expr::Type::kInt};
      for (const double code : measured.labels) label.ints.push_back(code != 0 ? 1 : 0);
      columns_.push_back(std::move(label));
    } else {
      columns_.push_back(
          {.name = "label", .type = expr::Type::kDouble, .doubles = measured.labels});
    }
  }
  [[nodiscard]] const std::vector<table::Column>& columns() const noexcept { return columns_; }

 private:
  static table::Column class_column(std::string name, const stats::Task& task,
                                    const std::vector<double>& codes) {
    table::Column column{.name = std::move(name)};
    column.type = task.whole_classes ? expr::Type::kInt : expr::Type::kString;
    if (!task.whole_classes)
      column.dictionary = std::make_shared<const table::Dictionary>(task.classes);
    for (const double code : codes) {
      if (task.whole_classes)
        column.ints.push_back(static_cast<std::int64_t>(std::get<double>(task.label_of(code))));
      else
        column.codes.push_back(static_cast<std::int32_t>(code));
    }
    return column;
  }

  std::vector<table::Column> columns_;
};

/// A metric without an expression is one that the task has.
Result<void> check_builtin(const spec::Metric& metric, const stats::Task& task) {
  if (metric.name == "rows" || stats::find_metric(task.kind, metric.name) != nullptr) return {};
  std::vector<std::string_view> names;
  for (const auto* each : stats::metrics_of(task.kind)) names.push_back(each->name());
  return Error{
      ErrorKind::kInvalid, "evaluate-unknown-metric",
      fmt::format("a model of task `{}` has no built-in metric `{}`", stats::task_name(task.kind),
                  metric.name),
      fmt::format("use one of `{}`, or give it an `expression`", fmt::join(names, "`, `"))};
}

Result<expr::Program> compile_metric(const spec::Metric& metric,
                                     const expr::Environment& environment) {
  if (metric.aggregation != "mean" && metric.aggregation != "sum") {
    return Error{ErrorKind::kInvalid, "evaluate-aggregation",
                 fmt::format("metric `{}` has aggregation `{}`", metric.name, metric.aggregation),
                 "use `mean` or `sum`"};
  }
  auto program = expr::Program::compile(metric.expression.text, environment);
  if (!program.ok()) {
    Error error = program.error();
    error.message = fmt::format("metric `{}`: {}", metric.name, error.message);
    return error;
  }
  const expr::Type type = program->type();
  if (type != expr::Type::kBool && type != expr::Type::kInt && type != expr::Type::kDouble) {
    return Error{
        ErrorKind::kInvalid, "evaluate-metric-type",
        fmt::format("metric `{}` gives a {}, not a number", metric.name, expr::type_name(type)),
        "give a number a row"};
  }
  return program;
}

/// The same, of some rows.
Measured picked(const Measured& measured, const std::vector<std::int64_t>& rows) {
  Measured out;
  out.task = measured.task;
  out.interval = measured.interval;
  const auto outputs = static_cast<std::ptrdiff_t>(measured.task->outputs());
  const auto take = [&](const std::vector<float>& from, std::int64_t row, std::vector<float>& to) {
    const auto begin = from.begin() + row * outputs;
    to.insert(to.end(), begin, begin + outputs);
  };
  for (const std::int64_t row : rows) {
    take(measured.margins, row, out.margins);
    take(measured.predictions, row, out.predictions);
    out.labels.push_back(measured.labels[static_cast<std::size_t>(row)]);
  }
  return out;
}

/// A metric of the project's own over some rows, `nullptr` all; NaN when no row has a value.
double own_value(const Measured::Own& own, const std::vector<std::int64_t>* rows) {
  double sum = 0;
  std::int64_t counted = 0;
  const auto add = [&](double value) {
    // A row without a value counts for nothing: an expression over a missing field has none.
    if (std::isnan(value)) return;
    sum += value;
    ++counted;
  };
  if (rows == nullptr) {
    for (const double value : own.values) add(value);
  } else {
    for (const std::int64_t row : *rows) add(own.values[static_cast<std::size_t>(row)]);
  }
  if (counted == 0) return kNan;
  return own.mean ? sum / static_cast<double>(counted) : sum;
}

/// What a slice calls the rows of one code or whole number.
std::string group_name(const table::Column& column, std::int64_t number) {
  if (column.type == expr::Type::kString)
    return std::string(column.dictionary->views()[static_cast<std::size_t>(number)]);
  if (column.type == expr::Type::kBool) return number != 0 ? "true" : "false";
  return fmt::format("{}", number);
}

/// The rows of each value, by a dictionary's code or the whole number itself; `missing` counts
/// those without a value.
std::map<std::int64_t, std::vector<std::int64_t>> rows_by_value(const table::Column& column,
                                                                std::int64_t& missing) {
  std::map<std::int64_t, std::vector<std::int64_t>> out;
  for (std::int64_t row = 0; row < column.length(); ++row) {
    const auto i = static_cast<std::size_t>(row);
    if (!column.valid.empty() && column.valid[i] == 0) {
      ++missing;
    } else {
      out[column.type == expr::Type::kString ? column.codes[i] : column.ints[i]].push_back(row);
    }
  }
  return out;
}

}  // namespace

Result<Measured> measure(const spec::Evaluation& definition, const Predictions& predictions) {
  HEDDLE_TRY(check(predictions));
  Measured out;
  const stats::Task& task = *predictions.task;
  const std::size_t rows = predictions.labels.size();
  const std::size_t outputs = task.outputs();
  out.task = &task;
  out.interval = predictions.interval;
  out.margins.assign(predictions.margins.begin(), predictions.margins.end());
  out.labels.assign(predictions.labels.begin(), predictions.labels.end());
  out.predictions.resize(out.margins.size());
  for (std::size_t row = 0; row < rows; ++row) {
    task.predict(std::span(out.margins).subspan(row * outputs, outputs),
                 std::span(out.predictions).subspan(row * outputs, outputs));
  }
  const bool is_any_own =
      std::any_of(definition.metrics.begin(), definition.metrics.end(),
                  [](const spec::Metric& metric) { return !metric.expression.text.empty(); });
  // A thousand classes are a thousand columns, which only expressions read.
  const AnswerColumns answered(is_any_own ? out : Measured{.task = &task});
  expr::Environment environment;
  std::vector<expr::ColumnView> columns;
  const auto count = static_cast<std::int64_t>(rows);
  for (const auto& column : answered.columns()) {
    environment.variables.push_back({column.name, column.type});
    columns.push_back(column.view());
  }
  for (const auto& column : predictions.rows->columns()) {
    const bool is_answer =
        std::any_of(answered.columns().begin(), answered.columns().end(),
                    [&](const table::Column& each) { return each.name == column.name; });
    if (is_answer) continue;  // the model's, not a field's
    environment.variables.push_back({column.name, column.type});
    columns.push_back(column.view());
  }
  expr::Program::Scratch scratch;
  for (const auto& metric : definition.metrics) {
    if (metric.expression.text.empty()) {
      HEDDLE_TRY(check_builtin(metric, task));
      continue;
    }
    HEDDLE_ASSIGN_OR_RETURN(const expr::Program program, compile_metric(metric, environment));
    Measured::Own own{metric.name, metric.aggregation == "mean", std::vector<double>(rows, kNan)};
    program.evaluate_columns(columns, 0, count, scratch, [&](std::int64_t row, expr::Datum datum) {
      own.values[static_cast<std::size_t>(row)] = number_of(datum);
    });
    out.own.push_back(std::move(own));
  }
  return out;
}

stats::Answers answers_of(const Measured& measured) {
  return {measured.task, measured.margins, measured.predictions, measured.labels,
          measured.interval};
}

Numbers numbers_of(const Measured& measured, const std::vector<std::int64_t>* rows) {
  const Measured some = rows == nullptr ? Measured{} : picked(measured, *rows);
  const Measured* use = rows == nullptr ? &measured : &some;
  const stats::Task& task = *measured.task;
  Numbers numbers{{"rows", static_cast<double>(use->labels.size())}};
  const stats::Answers answers = answers_of(*use);
  for (const stats::Metric* metric : stats::metrics_of(task.kind, measured.interval.has_value())) {
    numbers.emplace(metric->name(), metric->value(answers));
    if (!metric->is_per_class()) continue;
    const std::vector<double> of_class = metric->class_values(answers);
    for (std::size_t k = 0; k < of_class.size(); ++k)
      numbers.emplace(fmt::format("{}.{}", metric->name(), task.classes[k]), of_class[k]);
  }
  for (const auto& own : measured.own) numbers[own.name] = own_value(own, rows);
  return numbers;
}

Result<Numbers> metrics(const spec::Evaluation& definition, const Predictions& predictions) {
  HEDDLE_ASSIGN_OR_RETURN(const Measured measured, measure(definition, predictions));
  return numbers_of(measured, nullptr);
}

std::vector<ConfusionCell> confusion(const Predictions& predictions) {
  const stats::Task& task = *predictions.task;
  if (task.kind != stats::TaskKind::kClasses) return {};
  std::map<std::pair<std::size_t, std::size_t>, std::int64_t> cells;
  for (std::size_t row = 0; row < predictions.labels.size(); ++row) {
    const auto margins = predictions.margins.subspan(row * task.outputs(), task.outputs());
    // By margins: the largest stays the largest as a probability.
    ++cells[{static_cast<std::size_t>(predictions.labels[row]), stats::Task::best(margins)}];
  }
  std::vector<ConfusionCell> out;
  for (const auto& [cell, rows] : cells)
    out.push_back({task.classes[cell.first], task.classes[cell.second], rows});
  return out;
}

Result<std::vector<SliceResult>> slices(const spec::Evaluation& definition,
                                        const Predictions& predictions) {
  HEDDLE_ASSIGN_OR_RETURN(const Measured measured, measure(definition, predictions));
  std::vector<SliceResult> results;
  for (const auto& slice : definition.slices) {
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, predictions.rows->column(slice.field));
    // Nearly every row would be a slice of its own.
    if (column->type == expr::Type::kDouble || column->type == expr::Type::kTimestamp) {
      return Error{ErrorKind::kInvalid, "evaluate-slice-field",
                   fmt::format("slice `{}` is by `{}`, a {}: too many values", slice.name,
                               slice.field, expr::type_name(column->type)),
                   "slice by a string, integer or boolean field"};
    }
    SliceResult result{slice.name, slice.field, {}, 0};
    std::map<std::string, std::vector<std::int64_t>> groups;
    for (auto& [number, rows] : rows_by_value(*column, result.left_out_rows)) {
      // Counted as left out, so that the report adds up.
      if (static_cast<std::int64_t>(rows.size()) < slice.minimum_rows) {
        result.left_out_rows += static_cast<std::int64_t>(rows.size());
      } else {
        groups[group_name(*column, number)] = std::move(rows);
      }
    }
    for (const auto& [name, rows] : groups) result.values[name] = numbers_of(measured, &rows);
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace heddle::evaluate
