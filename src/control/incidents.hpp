#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/act_replies.hpp"
#include "control/operations.hpp"
#include "recover/incident.hpp"

namespace heddle::control {

/// The one of `known` that a person names: by the whole of it, or by a beginning that no other has.
/// `what`: `approval`, `incident`. kNotFound `WHAT-unknown`, kConflict `WHAT-ambiguous` with the
/// names it could be.
[[nodiscard]] Result<std::string> find_named(std::string_view given,
                                             const std::vector<std::string>& known,
                                             std::string_view what);

/// The id of the approval that `given` names.
[[nodiscard]] Result<std::string> approval_named(Control::Core& core, std::string_view given);

struct FoundIncident {
  std::string service;
  recover::Incident incident;
};

/// The incident that `given` names, as `incident-0001` or, where several services have one of that
/// name, `SERVICE/incident-0001`.
[[nodiscard]] Result<FoundIncident> incident_named(Control::Core& core, std::string_view given);

/// Branch of the page of an incident and of its addition. A repository may hold several projects
/// and a project several services; each numbers its own incidents.
[[nodiscard]] std::string branch_of(std::string_view project, std::string_view service,
                                    std::string_view incident);

/// What can be done about an incident now: commands with their reasons. `paged`: its page was
/// written.
[[nodiscard]] Result<std::vector<NextItem>> incident_next(Control::Core& core,
                                                          const FoundIncident& found, bool paged);

}  // namespace heddle::control
