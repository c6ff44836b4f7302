#include "control/servable.hpp"

#include <string>
#include <vector>

#include <fmt/format.h>

#include "runtime/spec.hpp"
#include "score/plan.hpp"

namespace heddle::control {

Result<void> check_model(const bundle::Bundle& bundle, const spec::Project& project,
                         const spec::Service& service) {
  const std::string& model = bundle.config().model;
  if (model == service.model) return {};
  std::vector<std::string> others;
  for (const auto& [name, other] : project.services) {
    if (other.model == model) others.push_back(name);
  }
  return Error{
      ErrorKind::kConflict, "release-other-model",
      fmt::format("bundle {} is of model `{}`, service `{}` serves model `{}`",
                  bundle.digest().short_str(), model, service.identity.name, service.model),
      others.empty()
          ? fmt::format("no service has `model: {}`: release it to one that has, or name "
                        "a bundle of `{}`",
                        model, service.model)
          : fmt::format("model `{}` is served by `{}`: `heddle release promote {}`", model,
                        fmt::join(others, "`, `"), others.front())};
}

Result<void> check_loads(const bundle::Bundle& bundle) {
  const auto loaded = [&]() -> Result<void> {
    if (bundle.has(bundle::kRuntime)) {
      HEDDLE_ASSIGN_OR_RETURN(const auto described, bundle.json(bundle::kRuntime));
      HEDDLE_TRY(runtime::parse(described));
      return {};
    }
    HEDDLE_TRY(score::Plan::load(bundle));
    return {};
  }();
  if (loaded.ok()) return {};
  Error error = loaded.error();
  error.message = fmt::format("bundle {} cannot be loaded, so nothing was asked: {}",
                              bundle.digest().short_str(), error.message);
  if (error.hint.empty()) error.hint = "build it again with `heddle run`";
  return error;
}

}  // namespace heddle::control
