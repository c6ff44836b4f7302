#include "control/incidents.hpp"

#include <algorithm>

#include "recover/cause.hpp"

namespace heddle::control {

Result<std::string> find_named(std::string_view given, const std::vector<std::string>& known,
                               std::string_view what) {
  std::vector<std::string> found;
  for (const auto& name : known) {
    // A whole name wins: one id may be the beginning of another.
    if (name == given) return name;
    if (!given.empty() && name.starts_with(given)) found.push_back(name);
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return Error{ErrorKind::kNotFound, fmt::format("{}-unknown", what),
                 fmt::format("there is no {} `{}`", what, given.substr(0, 100)),
                 fmt::format("see `heddle {} list`", what)};
  }
  constexpr std::size_t kShown = 5;
  const std::size_t more = found.size() > kShown ? found.size() - kShown : 0;
  found.resize(found.size() - more);
  return Error{ErrorKind::kConflict, fmt::format("{}-ambiguous", what),
               fmt::format("`{}` can be `{}`{}", given, fmt::join(found, "`, `"),
                           more == 0 ? "" : fmt::format(" or {} more", more)),
               "give more of the name"};
}

Result<std::string> approval_named(Control::Core& core, std::string_view given) {
  // Whoever gives the whole name, as most do, reads no other.
  const auto whole = core.policy->approval(std::string(given));
  if (whole.ok()) return whole->id;
  if (whole.error().kind != ErrorKind::kNotFound) return whole.error();
  HEDDLE_ASSIGN_OR_RETURN(const auto known, core.policy->approval_ids());
  return find_named(given, known, "approval");
}

Result<FoundIncident> incident_named(Control::Core& core, std::string_view given) {
  std::vector<FoundIncident> all;
  std::vector<std::string> known;
  // Services number their incidents each for itself: of two equal ids the service tells which.
  const bool with_service = given.find('/') != std::string_view::npos;
  std::optional<Error> unread;  // of one service: those of the others are found all the same
  for (const auto& [name, service] : core.services) {
    auto incidents = service->incidents();
    if (!incidents.ok()) {
      unread = incidents.error();
      continue;
    }
    for (auto& incident : *incidents) {
      known.push_back(with_service ? name + "/" + incident.id : incident.id);
      all.push_back({name, std::move(incident)});
    }
  }
  // It may be one of the service that cannot be read: that there is no such incident is not known.
  const auto named = find_named(given, known, "incident");
  if (!named.ok() && unread) return *unread;
  HEDDLE_TRY(named);
  const auto at = std::find(known.begin(), known.end(), *named);
  const auto first = static_cast<std::size_t>(at - known.begin());
  std::vector<std::string> same;
  for (std::size_t i = first; i < known.size(); ++i) {
    if (known[i] == *named) same.push_back(all[i].service + "/" + all[i].incident.id);
  }
  if (same.size() > 1) {
    return Error{ErrorKind::kConflict, "incident-ambiguous",
                 fmt::format("`{}` can be `{}`", given, fmt::join(same, "`, `")),
                 "name the service with it"};
  }
  return std::move(all[first]);
}

std::string branch_of(std::string_view project, std::string_view service,
                      std::string_view incident) {
  return fmt::format("heddle/{}/{}/{}", project, service, incident);
}

Result<std::vector<NextItem>> incident_next(Control::Core& core, const FoundIncident& found,
                                            bool paged) {
  std::vector<NextItem> next;
  const auto add = [&](std::string command, std::string why) {
    next.push_back({std::move(command), std::move(why)});
  };
  const auto& [service, incident] = found;
  HEDDLE_ASSIGN_OR_RETURN(const auto approvals, core.policy->open_approvals());
  for (const auto& approval : approvals) {
    const bool is_its_own = approval.op_id.starts_with(fmt::format("{}/{}/", service, incident.id));
    if (!is_its_own || approval.status != policy::Approval::Status::kPending) continue;
    add("heddle approval show " + approval.id, "it waits for a person: " + approval.reason);
  }
  const auto& source = incident.diagnosis.source;
  if (incident.diagnosis.cause->refuses_rows()) {
    add(fmt::format("heddle quarantine show {}{}", service,
                    source.empty() ? "" : " --source " + source),
        "the rows that were refused, with their rules");
  }
  // Only while the source is shut out: to let in what is in is an error.
  if (const auto held =
          core.services.at(service)->quarantine_of(incident.diagnosis.account, source);
      incident.open() && !source.empty() && held) {
    add(recover::release_command(service, held->account, held->source),
        held->by.empty() ? "let the source in before its rows are clean"
                         : fmt::format("`{}` shut it out: it does not end by itself", held->by));
  }
  if (incident.open() && incident.acknowledged_by.empty())
    add(fmt::format("heddle incident ack {} --reason TEXT", incident.id),
        "you know of it: nobody is told again");
  if (incident.open())
    add(fmt::format("heddle incident close {} --reason TEXT", incident.id),
        "it is over, or is followed elsewhere");
  if (paged && core.git)
    add("git diff HEAD..." + branch_of(core.running.name, service, incident.id),
        "its page, and an addition to review, on a branch");
  return next;
}

}  // namespace heddle::control
