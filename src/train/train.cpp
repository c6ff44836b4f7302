#include "train/train.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/scorer.hpp"
#include "spec/trainer_parameters.hpp"
#include "stats/metrics.hpp"
#include "train/trainers.hpp"

namespace heddle::train {
namespace {

Error invalid(std::string id, std::string message, std::string hint) {
  return Error{ErrorKind::kInvalid, std::move(id), std::move(message), std::move(hint)};
}

/// The code of a trainer. What a definition may set of it is in spec/trainer_parameters.cpp.
struct Row {
  std::string_view name;
  Result<Trained> (*train)(const TrainInput&);
};
constexpr Row kRows[] = {{"xgboost", train_xgboost}, {"logistic", train_logistic}};

const Row* row_of(std::string_view name) {
  const auto* row = std::find_if(std::begin(kRows), std::end(kRows),
                                 [&](const Row& each) { return each.name == name; });
  return row == std::end(kRows) ? nullptr : row;
}

Result<void> check(const TrainInput& input) {
  if (row_of(input.trainer) == nullptr) {
    return invalid("train-unknown-trainer", fmt::format("there is no trainer `{}`", input.trainer),
                   fmt::format("use `{}`", fmt::join(spec::trainer_names(), "` or `")));
  }
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
  std::int64_t positive = 0;
  for (std::int64_t i = 0; i < rows.count; ++i) positive += rows.labels[i] != 0;
  if (positive == 0 || positive == rows.count) {
    return invalid("train-one-class",
                   fmt::format("the target is {} in all {} training rows",
                               positive == 0 ? "false" : "true", rows.count),
                   "choose a target that varies, or a longer time range");
  }
  // `check` says the same of a definition; a bundle that is trained again brings parameters of its
  // own.
  for (const auto& [name, value] : input.parameters.values) {
    const auto fault = spec::check_parameter(input.trainer, name, value);
    if (fault) {
      return invalid("train-parameter", fault->message, fault->hint);
    }
  }
  if (input.trainer == "xgboost" && input.max_rounds < 1) {
    return invalid("train-parameter", fmt::format("`max_rounds` is {}", input.max_rounds),
                   "set it to 1 or more");
  }
  return {};
}

}  // namespace

Result<Trained> train(const TrainInput& input) {
  HEDDLE_TRY(check(input));
  const Row* row = row_of(input.trainer);
  Result<Trained> trained = row->train(input);
  if (!trained.ok()) return trained;
  trained->validation_log_loss = std::numeric_limits<double>::quiet_NaN();
  // What was trained must be what will be scored: load it now, and let the engine that serves
  // measure it.
  HEDDLE_ASSIGN_OR_RETURN(const auto scorer, model::Scorer::load(trained->model));
  if (scorer->features() != input.train.columns) {
    return Error{ErrorKind::kInternal, "train-shape",
                 fmt::format("trained on {} features, the model has {}", input.train.columns,
                             scorer->features())};
  }
  if (!scorer->use().log_odds) {
    return invalid("train-link",
                   fmt::format("the trained model (`{}`) gives no probability of a true target",
                               scorer->use().objective),
                   "train with the objective `binary:logistic`");
  }
  if (input.validation.count > 0) {
    std::vector<float> margins(static_cast<std::size_t>(input.validation.count));
    scorer->margins(input.validation.features, input.validation.count, margins.data());
    trained->validation_log_loss = stats::log_loss_of_margins(
        margins, {input.validation.labels, static_cast<std::size_t>(input.validation.count)});
  }
  return trained;
}

std::vector<std::int64_t> evenly_spaced(std::int64_t total, std::int64_t wanted) {
  const std::int64_t count = wanted <= 0 || wanted >= total ? total : wanted;
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    rows[static_cast<std::size_t>(i)] =
        static_cast<std::int64_t>(static_cast<__int128>(i) * total / count);
  }
  return rows;
}

}  // namespace heddle::train
