#include "control/retrain.hpp"

#include "base/file.hpp"
#include "control/applied.hpp"
#include "control/home.hpp"
#include "control/traffic.hpp"
#include "doc/json.hpp"
#include "flow/variant.hpp"

namespace heddle::control {

Result<void> run_retrain(const std::string& root, const std::string& dir, const Wiring& wiring) {
  const Home home(root);
  HEDDLE_ASSIGN_OR_RETURN(const auto text, read_file(dir + "/request.json"));
  HEDDLE_ASSIGN_OR_RETURN(const auto request, doc::parse_json(text));
  // By the definitions that were applied when it was asked for, whatever was applied or edited
  // since.
  const auto commit = request.string_or("commit");
  HEDDLE_ASSIGN_OR_RETURN(const auto git, wiring.open_git(root));
  HEDDLE_ASSIGN_OR_RETURN(const auto loaded, load_applied(*git, root, commit));
  const auto& project = loaded.project;
  const auto service = project.services.find(request.string_or("service"));
  if (service == project.services.end()) {
    return Error{ErrorKind::kNotFound, "service-unknown",
                 fmt::format("no service `{}`", request.string_or("service"))};
  }
  const auto& model = project.models.at(service->second.model);
  const auto& contract = project.contracts.at(project.feature_sets.at(model.features).contract);

  TrafficSelection selection;
  selection.from = request.int_or("from");
  selection.until = request.int_or("until");
  selection.limit = request.int_or("rows");
  HEDDLE_ASSIGN_OR_RETURN(
      auto traffic, read_labelled_rows(home.spool(service->first), contract.fields, selection));
  HEDDLE_ASSIGN_OR_RETURN(const auto objects, wiring.open_objects(home.objects()));

  flow::RetrainInput input;
  input.objects = objects.get();
  HEDDLE_ASSIGN_OR_RETURN(input.base, Digest::parse(request.string_or("base")));
  input.commit = commit;
  input.rows = std::move(traffic.rows);
  input.labels = std::move(traffic.labels);
  input.event_times = std::move(traffic.event_times);
  input.seed = model.seed;
  HEDDLE_ASSIGN_OR_RETURN(const auto outcome, flow::retrain(input));
  auto failed = doc::Value::array();
  for (const auto& gate : outcome.failed_gates) failed.push(gate);
  const auto result =
      doc::Value::object({{"bundle", outcome.bundle.empty() ? "" : outcome.bundle.str()},
                          {"gates_passed", outcome.gates_passed},
                          {"failed_gates", failed},
                          {"metrics", outcome.metrics},
                          {"train_rows", outcome.train_rows},
                          {"holdout_rows", outcome.holdout_rows}});
  return write_file_atomic(dir + "/result.json", doc::to_json(result));
}

}  // namespace heddle::control
