#include "control/project_operations.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "control/project_work.hpp"
#include "spec/load.hpp"

namespace heddle::control {

Result<CheckReply> check_project(Control::Core& core, const NoRequest&, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(const auto loaded, load_to_check(core.home.root()));
  return check_reply(loaded);
}

/// Sources that it has not seen yet are hashed, however large they are.
Result<WorkReply> plan_project(Control::Core& core, const PlanRequest& request, const Call& call) {
  std::vector<std::string> words;
  if (!request.model.empty()) words.push_back("--model=" + request.model);
  if (request.refit) words.emplace_back("--refit");
  return core.working.ask("plan", words, call.caller.waits);
}

Result<SchemaReply> show_schema(Control::Core&, const SchemaRequest& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(auto schema, spec::schema(request.kind));
  return SchemaReply{request.kind, std::move(schema)};
}

Result<BundleReply> inspect_bundle(Control::Core& core, const BundleRequest& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(const auto digest, bundle::find(*core.objects, request.bundle));
  HEDDLE_ASSIGN_OR_RETURN(const auto bundle, bundle::open(*core.objects, digest));
  return bundle_reply(bundle);
}

Result<WorkReply> run_project(Control::Core& core, const RunRequest& request, const Call& call) {
  std::vector<std::string> words;
  if (!request.model.empty()) words.push_back("--model=" + request.model);
  if (!request.until.empty()) words.push_back("--until=" + request.until);
  if (request.refit) words.emplace_back("--refit");
  return core.working.ask("run", words, call.caller.waits);
}

Result<WorkReply> score_file(Control::Core& core, const ScoreFileRequest& request,
                             const Call& call) {
  // Options with `=`, and files after `--`: no name of a file is read as an option.
  std::vector<std::string> words{"--service=" + request.service, "--output=" + request.output,
                                 "--slot=" + request.slot};
  if (!request.refused.empty()) words.push_back("--refused=" + request.refused);
  if (!request.columns.empty())
    words.push_back(fmt::format("--columns={}", fmt::join(request.columns, ",")));
  words.insert(words.end(), {"--", request.file});
  return core.working.ask("score", words, call.caller.waits);
}

Result<WorkReply> why_answered(Control::Core& core, const WhyRequest& request, const Call& call) {
  std::vector<std::string> words;
  if (!request.service.empty()) words.push_back("--service=" + request.service);
  if (request.reproduce) words.emplace_back("--reproduce");
  if (!call.caller.owner) words.emplace_back("--without-values");
  words.insert(words.end(), {"--", request.id});
  return core.working.ask("why", words, call.caller.waits);
}

}  // namespace heddle::control
