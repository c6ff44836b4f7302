#include "flow/retrain.hpp"

#include <fmt/format.h>

#include "bundle/bundle.hpp"
#include "flow/facts.hpp"
#include "flow/step.hpp"

namespace heddle::flow {
namespace {

Error invalid(std::string id, std::string message, std::string hint) {
  return Error{ErrorKind::kInvalid, std::move(id), std::move(message), std::move(hint)};
}

Result<void> check(const Definitions& definitions, const Recorded& recorded) {
  const spec::Model& model = *definitions.model;
  HEDDLE_TRY(check_recipe(model, recorded.recipe));
  const auto rows = static_cast<std::size_t>(recorded.rows.rows());
  if (recorded.labels.size() != rows || recorded.event_times.size() != rows) {
    return invalid("retrain-labels",
                   fmt::format("{} labels and {} times for {} rows", recorded.labels.size(),
                               recorded.event_times.size(), rows),
                   "give one of each a row");
  }
  const stats::Task declared = model.declared();
  const bool is_same_task =
      recorded.task.kind == declared.kind &&
      (declared.classes.empty() || (declared.classes == recorded.task.classes &&
                                    declared.whole_classes == recorded.task.whole_classes));
  if (!is_same_task) {
    return invalid("retrain-other-task",
                   fmt::format("what serves is of task `{}`, and model `{}` is defined as `{}`, or "
                               "with other classes",
                               stats::task_name(recorded.task.kind), model.identity.name,
                               stats::task_name(declared.kind)),
                   "run `heddle run` and release what it gives");
  }
  return {};
}

}  // namespace

Result<RetrainOutcome> retrain(const spec::Project& project, const std::string& model,
                               const Host& host, const Recorded& recorded) {
  HEDDLE_ASSIGN_OR_RETURN(const auto definitions, Definitions::of(project, model));
  HEDDLE_TRY(check(definitions, recorded));
  const Source source = source_of(recorded);
  // Gates that fail are an outcome, with its numbers: they are looked at before anything is
  // bundled.
  HEDDLE_ASSIGN_OR_RETURN(const auto judged, run_graph(definitions, host, source, "evaluate", {}));
  HEDDLE_ASSIGN_OR_RETURN(auto facts, evaluation_facts(judged.finished.at("evaluate")));
  HEDDLE_ASSIGN_OR_RETURN(const auto split,
                          row_split_schema().parse(judged.finished.at("split").facts));
  if (!facts.base_metrics || !facts.retrain) {
    return Error{ErrorKind::kCorrupt, "step-damaged",
                 "what `evaluate` found says nothing of what serves: it is of no retrain",
                 "the next incident asks for a retrain anew"};
  }
  RetrainOutcome outcome;
  outcome.metrics = std::move(facts.metrics);
  outcome.base_metrics = *std::move(facts.base_metrics);
  outcome.judged = *std::move(facts.retrain);
  outcome.failed_gates = std::move(facts.failed_gates);
  outcome.gates_passed = outcome.failed_gates.empty();
  outcome.train_rows = split.validation_end;
  outcome.holdout_rows = split.rows - split.validation_end;
  if (!outcome.gates_passed) return outcome;
  HEDDLE_ASSIGN_OR_RETURN(const auto bundled, run_graph(definitions, host, source, "bundle", {}));
  outcome.bundle = bundled.finished.at("bundle").outputs.at("bundle");
  return outcome;
}

}  // namespace heddle::flow
