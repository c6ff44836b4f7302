#include <cmath>
#include <limits>

#include "evaluate/measured.hpp"
#include "stats/metric.hpp"
#include "stats/scalar.hpp"

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
  const std::size_t rows = predictions.margins.size();
  if (predictions.rows == nullptr || predictions.labels.size() != rows ||
      static_cast<std::size_t>(predictions.rows->rows()) != rows) {
    return Error{
        ErrorKind::kInvalid, "evaluate-shape",
        fmt::format("{} margins, {} labels, {} rows to evaluate", rows, predictions.labels.size(),
                    predictions.rows == nullptr ? 0 : predictions.rows->rows()),
        "score and label the same rows"};
  }
  if (rows == 0) {
    return Error{ErrorKind::kInvalid, "evaluate-no-rows", "there are no held-out rows to evaluate",
                 "set `test_fraction` above 0, or a longer time range"};
  }
  return {};
}

}  // namespace

Result<Measured> measure(const spec::Evaluation& definition, const Predictions& predictions) {
  HEDDLE_TRY(check(predictions));
  Measured out;
  const std::size_t rows = predictions.margins.size();
  out.margins.assign(predictions.margins.begin(), predictions.margins.end());
  out.labels.assign(predictions.labels.begin(), predictions.labels.end());
  std::vector<double> probabilities(rows);
  std::vector<std::int64_t> labels(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    probabilities[i] = stats::sigmoid(predictions.margins[i]);
    out.probabilities.push_back(static_cast<float>(probabilities[i]));
    labels[i] = predictions.labels[i] != 0;
  }
  expr::Environment environment;
  std::vector<expr::ColumnView> columns;
  const auto count = static_cast<std::int64_t>(rows);
  environment.variables = {{"probability", expr::Type::kDouble}, {"label", expr::Type::kInt}};
  columns.push_back({expr::Type::kDouble, count, nullptr, probabilities.data()});
  columns.push_back({expr::Type::kInt, count, labels.data()});
  for (const auto& column : predictions.rows->columns()) {
    if (column.name == "probability" || column.name == "label")
      continue;  // the model's, not a field's
    environment.variables.push_back({column.name, column.type});
    columns.push_back(column.view());
  }
  expr::Program::Scratch scratch;
  for (const auto& metric : definition.metrics) {
    if (metric.expression.text.empty()) {
      if (metric.name == "rows" || stats::metrics().find(metric.name) != nullptr) continue;
      return Error{ErrorKind::kInvalid, "evaluate-unknown-metric",
                   fmt::format("there is no built-in metric `{}`", metric.name),
                   fmt::format("use one of `{}`, or give it an `expression`",
                               fmt::join(stats::metrics().names(), "`, `"))};
    }
    if (metric.aggregation != "mean" && metric.aggregation != "sum") {
      return Error{ErrorKind::kInvalid, "evaluate-aggregation",
                   fmt::format("metric `{}` has aggregation `{}`", metric.name, metric.aggregation),
                   "use `mean` or `sum`"};
    }
    auto program = expr::Program::compile(metric.expression.text, environment);
    if (program.ok() && program->type() != expr::Type::kBool &&
        program->type() != expr::Type::kInt && program->type() != expr::Type::kDouble) {
      return Error{ErrorKind::kInvalid, "evaluate-metric-type",
                   fmt::format("metric `{}` gives a {}, not a number", metric.name,
                               expr::type_name(program->type())),
                   "give a number a row"};
    }
    if (!program.ok()) {
      Error error = program.error();
      error.message = fmt::format("metric `{}`: {}", metric.name, error.message);
      return error;
    }
    Measured::Own own{metric.name, metric.aggregation == "mean", std::vector<double>(rows, kNan)};
    program->evaluate_columns(columns, 0, count, scratch, [&](std::int64_t row, expr::Datum datum) {
      own.values[static_cast<std::size_t>(row)] = number_of(datum);
    });
    out.own.push_back(std::move(own));
  }
  return out;
}

stats::Answers answers_of(const Measured& measured) {
  return {measured.margins, measured.probabilities, measured.labels};
}

Numbers numbers_of(const Measured& measured, const std::vector<std::int64_t>* rows) {
  Measured picked;
  const Measured* use = &measured;
  if (rows != nullptr) {
    for (const std::int64_t row : *rows) {
      const auto i = static_cast<std::size_t>(row);
      picked.margins.push_back(measured.margins[i]);
      picked.probabilities.push_back(measured.probabilities[i]);
      picked.labels.push_back(measured.labels[i]);
    }
    use = &picked;
  }
  Numbers numbers{{"rows", static_cast<double>(use->labels.size())}};
  for (const stats::Metric* metric : stats::metrics().rows())
    numbers.emplace(metric->name(), metric->value(answers_of(*use)));
  for (const auto& own : measured.own) {
    double sum = 0;
    std::int64_t counted = 0;
    const auto add = [&](double value) {
      if (std::isnan(value)) return;
      sum += value;
      ++counted;
    };
    if (rows == nullptr) {
      for (const double value : own.values) add(value);
    } else {
      for (const std::int64_t row : *rows) add(own.values[static_cast<std::size_t>(row)]);
    }
    numbers[own.name] = counted == 0 ? kNan : own.mean ? sum / static_cast<double>(counted) : sum;
  }
  return numbers;
}

Result<Numbers> metrics(const spec::Evaluation& definition, const Predictions& predictions) {
  HEDDLE_ASSIGN_OR_RETURN(const Measured measured, measure(definition, predictions));
  return numbers_of(measured, nullptr);
}

Result<std::vector<SliceResult>> slices(const spec::Evaluation& definition,
                                        const Predictions& predictions) {
  HEDDLE_ASSIGN_OR_RETURN(const Measured measured, measure(definition, predictions));
  std::vector<SliceResult> results;
  for (const auto& slice : definition.slices) {
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, predictions.rows->column(slice.field));
    if (column->type == expr::Type::kDouble || column->type == expr::Type::kTimestamp) {
      return Error{ErrorKind::kInvalid, "evaluate-slice-field",
                   fmt::format("slice `{}` is by `{}`, a {}: too many values", slice.name,
                               slice.field, expr::type_name(column->type)),
                   "slice by a string, integer or boolean field"};
    }
    SliceResult result{slice.name, slice.field, {}, 0};
    std::map<std::string, std::vector<std::int64_t>> groups;
    std::map<std::int64_t, std::vector<std::int64_t>>
        by_number;  // codes of a dictionary, or the integers themselves
    for (std::int64_t row = 0; row < column->length(); ++row) {
      const auto i = static_cast<std::size_t>(row);
      if (!column->valid.empty() && column->valid[i] == 0) {
        ++result.left_out_rows;
      } else {
        by_number[column->type == expr::Type::kString ? column->codes[i] : column->ints[i]]
            .push_back(row);
      }
    }
    for (auto& [number, rows] : by_number) {
      std::string name =
          column->type == expr::Type::kString
              ? std::string(column->dictionary->views()[static_cast<std::size_t>(number)])
          : column->type == expr::Type::kBool ? (number != 0 ? "true" : "false")
                                              : fmt::format("{}", number);
      if (static_cast<std::int64_t>(rows.size()) < slice.minimum_rows) {
        result.left_out_rows += static_cast<std::int64_t>(rows.size());
      } else {
        groups[std::move(name)] = std::move(rows);
      }
    }
    for (const auto& [name, rows] : groups) result.values[name] = numbers_of(measured, &rows);
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace heddle::evaluate
