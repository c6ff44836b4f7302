#include "control/retrain.hpp"

#include <fmt/format.h>

#include "base/file.hpp"
#include "bundle/bundle.hpp"
#include "control/traffic.hpp"
#include "control/work_files.hpp"
#include "control/work_inputs.hpp"
#include "flow/held_out.hpp"
#include "flow/retrain.hpp"
#include "score/plan.hpp"

namespace heddle::control {
namespace {

constexpr std::int64_t kMostBefore = 10'000;
constexpr std::int64_t kLeastBefore = 200;

/// Rows from before `change` whose labels were known by then, so that nobody who labels since can
/// move them: of the recorded traffic, else those that the run of what serves held out.
Result<flow::RowsBefore> rows_before(store::Objects& objects, const std::string& spool,
                                     const std::vector<spec::Field>& fields, const Digest& base,
                                     Micros change) {
  HEDDLE_ASSIGN_OR_RETURN(const auto bundle, bundle::open(objects, base));
  TrafficSelection selection;
  const auto& learned = bundle.config().learned;
  if (learned.kind == bundle::Learned::Kind::kUntil) selection.from = learned.until + 1;
  selection.to = selection.until = change;
  selection.limit = kMostBefore;
  selection.task = bundle.config().task;
  HEDDLE_ASSIGN_OR_RETURN(auto traffic, read_labelled_rows(spool, fields, selection));
  if (static_cast<std::int64_t>(traffic.labels.size()) >= kLeastBefore) {
    HEDDLE_ASSIGN_OR_RETURN(auto codes, traffic.codes(selection.task));
    return flow::RowsBefore{std::move(traffic.rows), std::move(codes), "recorded traffic", ""};
  }
  auto held = flow::read_held_out(objects, bundle, fields);
  if (!held.ok()) {
    return flow::RowsBefore{
        {},
        {},
        "",
        fmt::format("the recorded traffic has {} labelled rows from before the change, and {}",
                    traffic.labels.size(), held.error().message)};
  }
  return flow::RowsBefore{std::move(held->rows), std::move(held->labels),
                          "rows that the run of what serves held out", ""};
}

Result<RetrainResult> retrained(const std::string& dir, const Wiring& wiring) {
  const std::string spool = dir + "/" + kWorkJournal;
  HEDDLE_ASSIGN_OR_RETURN(const auto text, read_file(dir + "/" + kWorkRequest));
  HEDDLE_ASSIGN_OR_RETURN(const auto request, retrain_request_schema().parse_text(text));
  // By the definitions that were applied when it was asked for, whatever was applied or edited
  // since.
  HEDDLE_ASSIGN_OR_RETURN(const auto loaded, load_definitions(dir, request.commit));
  const auto& project = loaded.project;
  const auto service = project.services.find(request.service);
  if (service == project.services.end()) {
    return Error{ErrorKind::kNotFound, "service-unknown",
                 fmt::format("no service `{}`", request.service)};
  }
  const auto& model = project.models.at(service->second.model);
  const auto& contract = project.contracts.at(project.feature_sets.at(model.features).contract);

  TrafficSelection selection;
  selection.from = request.from;
  selection.until = request.until;
  selection.limit = request.rows;
  // The folder has its own objects: the process sees what it was given and nothing of the project.
  HEDDLE_ASSIGN_OR_RETURN(const auto objects, wiring.open_objects(dir + "/" + kWorkObjects));
  HEDDLE_ASSIGN_OR_RETURN(const auto serving, bundle::open(*objects, request.base));
  selection.task = serving.config().task;
  HEDDLE_ASSIGN_OR_RETURN(auto traffic, read_labelled_rows(spool, contract.fields, selection));

  if (!request.search) {
    return Error{ErrorKind::kNotFound, "retrain-no-search",
                 fmt::format("no search of model `{}` was accepted yet: nothing says how to train "
                             "it",
                             service->second.model),
                 "run `heddle run` and release what it gives"};
  }
  flow::Recorded recorded;
  recorded.base = request.base;
  recorded.recipe = *request.search;
  recorded.rows = std::move(traffic.rows);
  recorded.task = selection.task;
  HEDDLE_ASSIGN_OR_RETURN(recorded.labels, traffic.codes(recorded.task));
  recorded.event_times = std::move(traffic.event_times);
  recorded.label_accounts = std::move(traffic.label_accounts);
  recorded.accounts = std::move(traffic.accounts);
  recorded.left_out = std::move(traffic.unknown_classes);
  HEDDLE_ASSIGN_OR_RETURN(
      recorded.before, rows_before(*objects, spool, contract.fields, recorded.base, request.from));
  // Its steps are cached in its own folder: a run that goes on meanwhile has another.
  flow::Host host;
  host.objects = objects.get();
  host.state_dir = dir;
  HEDDLE_ASSIGN_OR_RETURN(const auto outcome,
                          flow::retrain(project, service->second.model, host, recorded));
  return RetrainResult{"",
                       "",
                       outcome.bundle,
                       outcome.gates_passed,
                       outcome.failed_gates,
                       outcome.metrics,
                       outcome.base_metrics,
                       outcome.judged,
                       outcome.train_rows,
                       outcome.holdout_rows};
}

}  // namespace

Result<void> run_retrain(const std::string& dir, const Wiring& wiring) {
  const auto result = retrained(dir, wiring);
  // The reason is the result: the incident and who is asked say it, and not an exit code.
  const auto failure = [](const Error& error) {
    RetrainResult failed;
    failed.failed = fmt::format("{} ({})", error.message, error.id);
    failed.hint = error.hint;
    return failed;
  };
  HEDDLE_TRY(write_file_atomic(dir + "/" + kWorkResult,
                               to_json(result.ok() ? *result : failure(result.error()))));
  if (!result.ok()) return result.error();
  return {};
}

}  // namespace heddle::control
