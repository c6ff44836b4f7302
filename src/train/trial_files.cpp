#include "train/trial_files.hpp"

#include <limits>

#include "spec/task.hpp"

namespace heddle::train {
namespace {

using doc::Schema;
using Pair = std::pair<std::string, std::string>;

const Schema<Pair>& pair_schema() {
  static const auto schema = [] {
    auto t = Schema<Pair>::record("the parameter", "of the trainer");
    t.text("name", &Pair::first, "its name").filled();
    t.text("value", &Pair::second, "its value");
    return t;
  }();
  return schema;
}

}  // namespace

doc::Value pairs_of(const spec::TrainerParameters& parameters) {
  return doc::to_list(parameters.values,
                      [](const Pair& pair) { return pair_schema().print(pair); });
}

const Schema<TrialParams>& trial_params_schema() {
  using P = TrialParams;
  static const auto schema = [] {
    auto t = Schema<P>::record("`params.json`", "what a trial trains");
    t.of_format("heddle.trial/2")
        .refused_as(ErrorKind::kInvalid, "trial-params", "start the search again");
    t.object("task", &P::task, spec::task_schema(), "what it predicts");
    t.text("trainer", &P::trainer, "what fits it").filled();
    t.objects_as(
        "parameters", pair_schema(), "of the trainer",
        [](const P& from) -> const std::vector<Pair>& { return from.parameters.values; },
        [](P& into, std::vector<Pair> items) { into.parameters.values = std::move(items); });
    t.texts("feature_names", &P::feature_names, "names of the columns");
    t.integer("max_rounds", &P::max_rounds, "boosting rounds, at most", 1);
    t.integer("early_stopping_rounds", &P::early_stopping_rounds,
              "rounds without a lower loss that end it; 0: never");
    t.integer("seed", &P::seed, "of what is drawn", std::numeric_limits<std::int64_t>::min());
    t.text("rows", &P::rows, "the file of rows, from the folder").filled();
    t.text("own", &P::own, "of a trainer of one's own: its training").optional();
    t.text("own_digest", &P::own_digest, "of what that names").optional();
    return t;
  }();
  return schema;
}

const Schema<TrialOutcome>& trial_outcome_schema(bool has_failed) {
  using O = TrialOutcome;
  const auto record = [] {
    auto t = Schema<O>::record("`result.json`", "what came of a trial");
    t.of_format("heddle.trial-result/2")
        .refused_as(ErrorKind::kCorrupt, "trial-result", "start the search again");
    return t;
  };
  static const auto failed = [&] {
    auto t = record();
    t.text("error", &O::error, "why it failed").filled();
    t.text("id", &O::error_id, "of the error").optional();
    t.text("hint", &O::error_hint, "what to do").optional();
    return t;
  }();
  static const auto ended = [&] {
    constexpr double kLargest = std::numeric_limits<double>::max();
    auto t = record();
    t.number("loss", &O::loss, "the task's, on the validation rows").between(-kLargest, kLargest);
    t.integer("rounds", &O::rounds, "rounds kept");
    t.number("seconds", &O::seconds, "of wall time").between(0, kLargest);
    return t;
  }();
  return has_failed ? failed : ended;
}

Result<TrialOutcome> parse_trial_outcome(std::string_view text) {
  const auto value = doc::parse_json(text);
  const bool has_failed = value.ok() && value->find("error") != nullptr;
  return trial_outcome_schema(has_failed).parse_text(text);
}

std::string to_json(const TrialOutcome& outcome) {
  return doc::to_json(trial_outcome_schema(!outcome.error.empty()).print(outcome));
}

}  // namespace heddle::train
