#include "control/project_work.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/file.hpp"
#include "control/applied.hpp"
#include "control/home.hpp"

namespace heddle::control {

Result<flow::Origin> name_origin(const Wiring& wiring, spec::Loaded& loaded) {
  flow::Origin origin;
  auto git = wiring.open_git(loaded.project.root);
  if (git.ok()) {
    HEDDLE_ASSIGN_OR_RETURN(origin, flow::origin_of(loaded, **git));
  } else if (git.error().kind != ErrorKind::kNotFound) {
    return git.error();
  }
  loaded.project.commit = origin.commit;
  loaded.project.dirty = origin.dirty();
  return origin;
}

Result<OpenHost> open_host(const Wiring& wiring, const spec::Project& project) {
  const Home home(project.root);
  HEDDLE_TRY(make_dirs(home.dir()));
  OpenHost open;
  HEDDLE_ASSIGN_OR_RETURN(open.objects, wiring.open_objects(home.objects()));
  open.runner = wiring.make_runner(home.dir());
  HEDDLE_ASSIGN_OR_RETURN(const auto program, wiring.program());
  open.host = {open.objects.get(), open.runner.get(), program, home.dir()};
  open.host.open_objects = wiring.open_objects;
  HEDDLE_ASSIGN_OR_RETURN(open.host.primaries, released_primaries(home, project));
  return open;
}

Result<spec::Loaded> load_to_check(const std::string& root) {
  HEDDLE_ASSIGN_OR_RETURN(auto loaded, spec::load_project(root));
  if (loaded.has_errors()) return loaded;
  for (auto& missing : flow::missing_definitions(loaded.project))
    loaded.diagnostics.push_back(std::move(missing));
  return loaded;
}

Result<spec::Loaded> load_to_use(const std::string& root) {
  HEDDLE_ASSIGN_OR_RETURN(auto loaded, spec::load_project(root));
  if (!loaded.has_errors()) return loaded;
  const auto first =
      std::find_if(loaded.diagnostics.begin(), loaded.diagnostics.end(),
                   [](const auto& each) { return each.severity == doc::Severity::kError; });
  Error error{ErrorKind::kInvalid, "project-invalid",
              fmt::format("the definitions have errors, the first one: {}", first->message),
              "see all of them with `heddle check --json`"};
  error.where = fmt::format("{}:{}:{}", first->file, first->position.line, first->position.column);
  return error;
}

CheckReply check_reply(const spec::Loaded& loaded) {
  return {loaded.project.name, !loaded.has_errors(), loaded.diagnostics};
}

Result<BundleReply> bundle_reply(const bundle::Bundle& bundle) {
  BundleReply reply{bundle.digest(), bundle.config(), {}, {}, {}};
  for (const auto& layer : bundle.layers())
    reply.layers.push_back(
        {layer.title, layer.media_type, layer.bytes.size(), sha256(layer.bytes)});
  if (const auto evaluation = bundle.json(bundle::kEvaluation); evaluation.ok())
    reply.evaluation = *evaluation;
  if (bundle.has(bundle::kParity)) {
    HEDDLE_ASSIGN_OR_RETURN(const auto bytes, bundle.layer(bundle::kParity));
    HEDDLE_ASSIGN_OR_RETURN(reply.parity, bundle::parity_schema().parse_text(bytes));
  }
  return reply;
}

}  // namespace heddle::control
