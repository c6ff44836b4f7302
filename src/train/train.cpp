#include "train/train.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/scorer.hpp"
#include "model/task_link.hpp"
#include "stats/quality.hpp"

namespace heddle::train {
namespace {

using stats::TaskKind;

Error invalid(std::string id, std::string message, std::string hint) {
  return Error{ErrorKind::kInvalid, std::move(id), std::move(message), std::move(hint)};
}

Result<void> check_rows(const TrainInput& input) {
  const RowsView& rows = input.train;
  if (rows.count <= 0 || rows.columns <= 0) {
    return invalid(
        "train-no-rows",
        fmt::format("there are {} rows and {} features to train on", rows.count, rows.columns),
        "check the model's training period, and what `heddle run` said the contract refused");
  }
  if (input.validation.count > 0 && input.validation.columns != rows.columns) {
    return invalid("train-shape",
                   fmt::format("training rows have {} features, validation rows {}", rows.columns,
                               input.validation.columns),
                   "apply the same feature program to both");
  }
  if (!input.feature_names.empty() &&
      input.feature_names.size() != static_cast<std::size_t>(rows.columns)) {
    return invalid(
        "train-shape",
        fmt::format("{} feature names for {} features", input.feature_names.size(), rows.columns),
        "give one name a feature, or none");
  }
  return {};
}

/// Of rows that say too little, whatever the definitions are.
Error one_class(std::string message, std::string hint) {
  return Error{ErrorKind::kUnprocessable, "train-one-class", std::move(message), std::move(hint)};
}

/// Of binary and of classes: each has a row to learn from.
Result<void> check_classes(const TrainInput& input) {
  const RowsView& rows = input.train;
  const bool is_binary = input.task.kind == TaskKind::kBinary;
  std::vector<std::int64_t> of_class(is_binary ? 2 : input.task.classes.size(), 0);
  for (std::int64_t i = 0; i < rows.count; ++i) {
    const double code = rows.labels[i];
    // Also of NaN, which is in no range.
    if (!(code >= 0 && code < static_cast<double>(of_class.size()))) {
      return invalid("train-label", fmt::format("the label of training row {} is no class", i),
                     "label the rows by the classes of the task");
    }
    ++of_class[static_cast<std::size_t>(code)];
  }
  // A class without a row would get probabilities that nothing was learned for.
  const auto none = std::find(of_class.begin(), of_class.end(), 0);
  if (none == of_class.end()) return {};
  const auto missing = static_cast<double>(none - of_class.begin());
  if (is_binary) {
    return one_class(fmt::format("the target is {} in all {} training rows",
                                 missing == 1 ? "false" : "true", rows.count),
                     "choose a target that varies, or a longer time range");
  }
  return one_class(fmt::format("no training row is of class `{}`",
                               stats::to_string(input.task.label_of(missing))),
                   "choose a longer time range, or leave the class out");
}

Result<void> check_values(const TrainInput& input) {
  const RowsView& rows = input.train;
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (std::int64_t i = 0; i < rows.count; ++i) {
    // What is answered is a float.
    if (!std::isfinite(static_cast<float>(rows.labels[i]))) {
      return invalid("train-label",
                     fmt::format("the label of training row {} is `{}`", i, rows.labels[i]),
                     "give each row a finite number");
    }
    low = std::min(low, rows.labels[i]);
    high = std::max(high, rows.labels[i]);
  }
  // A constant target trains without an error and says nothing.
  if (low < high) return {};
  return one_class(
      fmt::format("the target is the number {} in all {} training rows", low, rows.count),
      "choose a target that varies, or a longer time range");
}

Result<void> check_parameters(const trainer::Trainer& trainer, const TrainInput& input) {
  // `check` says the same of a definition; a bundle that is trained again brings parameters of its
  // own.
  for (const auto& [name, value] : input.parameters.values) {
    const auto fault = trainer::check_parameter(trainer, input.task.kind, name, value);
    if (fault) return invalid("train-parameter", fault->message, fault->hint);
  }
  if (input.max_rounds < 1) {
    return invalid("train-parameter", fmt::format("`max_rounds` is {}", input.max_rounds),
                   "set it to 1 or more");
  }
  return {};
}

Result<const trainer::Trainer*> trainer_of(const TrainInput& input) {
  const trainer::Trainer* found = trainer::trainers().find(input.trainer);
  if (found != nullptr && found->does(input.task.kind)) return found;
  const auto names = trainer::trainers_of(input.task.kind);
  return invalid("train-unknown-trainer",
                 found == nullptr ? fmt::format("there is no trainer `{}`", input.trainer)
                                  : fmt::format("trainer `{}` does not train a model of task `{}`",
                                                input.trainer, stats::task_name(input.task.kind)),
                 fmt::format("use `{}`", fmt::join(names, "` or `")));
}

}  // namespace

Result<Trained> train(const TrainInput& input) {
  HEDDLE_ASSIGN_OR_RETURN(const trainer::Trainer* trainer, trainer_of(input));
  HEDDLE_TRY(check_rows(input));
  HEDDLE_TRY(input.task.kind == TaskKind::kRegression ? check_values(input) : check_classes(input));
  HEDDLE_TRY(check_parameters(*trainer, input));
  HEDDLE_ASSIGN_OR_RETURN(auto fitted, trainer->train(input));
  Trained trained{std::move(fitted.model), fitted.rounds, std::numeric_limits<double>::quiet_NaN()};
  // What was trained must be what will be scored: load it now, and let the engine that serves
  // measure it.
  HEDDLE_ASSIGN_OR_RETURN(const auto scorer, model::Scorer::load(trained.model));
  // A fault of a trainer, and not of a definition: rows would be scored by the wrong columns.
  if (scorer->features() != input.train.columns) {
    return Error{ErrorKind::kInternal, "train-shape",
                 fmt::format("trained on {} features, the model has {}", input.train.columns,
                             scorer->features())};
  }
  HEDDLE_TRY(model::check_task(*scorer, input.task));
  if (input.validation.count > 0) {
    const auto rows = static_cast<std::size_t>(input.validation.count);
    std::vector<float> margins(rows * input.task.outputs());
    scorer->margins(input.validation.features, input.validation.count, margins.data());
    trained.validation_loss =
        stats::mean_loss(input.task, margins, {input.validation.labels, rows});
  }
  return trained;
}

std::vector<std::int64_t> evenly_spaced(std::int64_t total, std::int64_t wanted) {
  const std::int64_t count = wanted <= 0 || wanted >= total ? total : wanted;
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    rows[static_cast<std::size_t>(i)] =
        // In whole numbers: a step in floating point could name a row twice, or one past the end.
        static_cast<std::int64_t>(static_cast<__int128>(i) * total / count);
  }
  return rows;
}

}  // namespace heddle::train
