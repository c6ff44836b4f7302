#include "control/operations.hpp"

#include <unistd.h>

#include <algorithm>

#include "base/failpoint.hpp"
#include "base/file.hpp"
#include "base/os_user.hpp"
#include "bundle/bundle.hpp"
#include "control/access.hpp"
#include "control/audit.hpp"
#include "control/batches.hpp"
#include "control/by_hand.hpp"
#include "control/certificates.hpp"
#include "control/compare.hpp"
#include "control/custody.hpp"
#include "control/definitions.hpp"
#include "control/incidents.hpp"
#include "control/project_operations.hpp"
#include "control/recorded.hpp"
#include "control/repairs.hpp"
#include "control/requester.hpp"
#include "control/sandboxes.hpp"
#include "control/service_locks.hpp"
#include "control/service_rows.hpp"
#include "control/stored_rows.hpp"
#include "doc/json.hpp"
#include "flow/flow.hpp"
#include "ledger/verify.hpp"
#include "policy/request.hpp"
#include "recover/cause.hpp"

namespace heddle::control {
namespace {

using Core = Control::Core;

std::string time_or_empty(Micros time) {
  return time == INT64_MIN || time == 0 ? "" : format_time(time);
}

doc::Value incident_value(const recover::Incident& incident, const std::string& service) {
  auto value = doc::Value::object(
      {{"id", incident.id},
       {"service", service},
       {"state", recover::step_name(incident.step)},
       {"waits_for", recover::waits_for(incident.step)},
       {"cause", incident.diagnosis.cause->name()},
       {"reason", incident.diagnosis.reason},
       {"source", incident.diagnosis.source},
       {"account", incident.diagnosis.account},
       {"column", incident.diagnosis.column},
       {"rule", incident.diagnosis.rule},
       {"ratio", incident.diagnosis.ratio},
       {"ratio_name", incident.diagnosis.ratio_name},
       {"lag_hours", incident.diagnosis.lag_hours},
       {"change_from", time_or_empty(incident.diagnosis.change_from)},
       {"response", incident.response},
       {"raised", time_or_empty(incident.raised_at)},
       {"opened", time_or_empty(incident.confirmed_at)},
       {"responded", time_or_empty(incident.responded_at)},
       {"closed",
        time_or_empty(incident.closed_by.empty() ? incident.recovered_at : incident.closed_at)},
       {"opened_by", incident.opened_by},
       {"acknowledged_by", incident.acknowledged_by},
       {"closed_by", incident.closed_by},
       {"rows_raised", incident.rows_raised},
       {"rows_confirmed", incident.rows_confirmed},
       {"rows_responded", incident.rows_responded}});
  auto timeline = doc::Value::array();
  for (const auto& entry : incident.timeline) {
    timeline.push(doc::Value::object({{"at", time_or_empty(entry.at)},
                                      {"what", entry.what},
                                      {"entry", entry.entry},
                                      {"by", entry.by}}));
  }
  value.set("timeline", std::move(timeline));
  auto failing = doc::Value::array();
  for (const auto& each : incident.failing) {
    failing.push(doc::Value::object({{"action", each.type},
                                     {"tries", each.tries},
                                     {"again", time_or_empty(each.again)},
                                     {"error", each.error}}));
  }
  value.set("failing", std::move(failing));
  return value;
}

/// The command that asks for what this approval was about; empty: nobody asks for it by hand.
std::string command_to_ask(const policy::Approval& approval) {
  const auto service = approval.binds.string_or("service");
  const auto bundle =
      approval.subjects.empty() ? std::string() : approval.subjects.front().digest.str();
  const auto& action = approval.action;
  if (action == "release.rollback") return "heddle release rollback " + service;
  if (action == "canary.abort") return "heddle release abort " + service;
  if (action == "shadow.clear") return fmt::format("heddle release shadow {} --clear", service);
  if (action == "shadow.set")
    return fmt::format("heddle release shadow {} --bundle {}", service, bundle);
  if (action == "release.promote" || action == "transform.propose") {
    return fmt::format("heddle release promote {} --slot {} --bundle {}", service,
                       approval.slot.empty() ? "primary" : approval.slot, bundle);
  }
  if (action == "canary.start" || action == "canary.raise") {
    return fmt::format("heddle release promote {} --slot canary --bundle {}", service, bundle);
  }
  if (action == "source.quarantine" || action == "source.release") {
    const auto account = approval.binds.string_or("account");
    const auto source = approval.binds.string_or("source");
    if (action == "source.release") return recover::release_command(service, account, source);
    return fmt::format("heddle quarantine add {} {}{}{} --reason TEXT", service, source,
                       account.empty() ? "" : " --account ", account);
  }
  return action == "definition.apply" ? "heddle apply" : "";
}

/// What can be done about an approval now.
doc::Value approval_next(const policy::Approval& approval) {
  using Status = policy::Approval::Status;
  auto next = doc::Value::array();
  const auto add = [&](std::string command, std::string why) {
    next.push(doc::Value::object({{"command", std::move(command)}, {"why", std::move(why)}}));
  };
  const auto ask = command_to_ask(approval);
  if (approval.status == Status::kPending) {
    add(fmt::format("heddle approve {} --person NAME --key FILE", approval.id),
        "it waits for a person's yes");
    add(fmt::format("heddle reject {} --reason TEXT", approval.id), "or for a person's no");
  } else if (approval.status == Status::kApproved && approval.action == "definition.apply") {
    add(ask, "the yes is there: now it is done");
  } else if (approval.status == Status::kRejected && approval.action == "definition.apply") {
    add("git commit --allow-empty && heddle apply",
        "a rejection is of one commit: another one is asked for");
  } else if (approval.status == Status::kRejected && !ask.empty()) {
    add(ask + " --again", "ask again for what was rejected");
  } else if ((approval.status == Status::kVoid || approval.status == Status::kExpired) &&
             !ask.empty()) {
    // The no that it was asked in spite of stands still: nobody answered this one.
    const bool in_spite = approval.op_id.find(kAskedAgain) != std::string::npos;
    add(ask + (in_spite ? " --again" : ""), "ask again, as it is now");
  }
  return next;
}

doc::Value approval_value(const policy::Approval& approval) {
  const auto statement = doc::parse_json(approval.statement);
  auto evidence = doc::Value::array();
  for (const auto& item : approval.evidence) {
    evidence.push(doc::Value::object({{"name", item.name}, {"digest", item.digest.str()}}));
  }
  auto signatures = doc::Value::array();
  for (const auto& signature : approval.signatures) {
    signatures.push(
        doc::Value::object({{"person", signature.person}, {"signature", signature.armored}}));
  }
  return doc::Value::object({{"id", approval.id},
                             {"state", policy::status_name(approval.status)},
                             {"op_id", approval.op_id},
                             {"action", statement.ok() ? statement->string_or("action") : ""},
                             {"target", statement.ok() ? statement->string_or("target") : ""},
                             {"requester", approval.requester},
                             {"claimed", approval.claimed},
                             {"asked_event_time", time_or_empty(approval.asked_event_time)},
                             {"expires", time_or_empty(approval.expires)},
                             {"reason", approval.reason},
                             {"statement", approval.statement},
                             {"evidence", std::move(evidence)},
                             {"binds", approval.binds},
                             {"rejected_by", approval.rejected_by},
                             {"rejected_because", approval.rejected_because},
                             {"void_because", approval.void_because},
                             {"signatures", std::move(signatures)},
                             {"entry", approval.entry},
                             {"next", approval_next(approval)}});
}

/// What ends a quarantine that does not end by itself.
doc::Value how_to_let_in(const std::string& service, const plane::QuarantinedSource& source) {
  return doc::Value::object(
      {{"command", recover::release_command(service, source.account, source.source)},
       {"why", fmt::format("`{}` shut out source {}: it does not end by itself", source.by,
                           plane::source_text(source.account, source.source))}});
}

/// The lists of a status.
struct StatusLists {
  doc::Value services = doc::Value::array();
  doc::Value quarantined = doc::Value::array();
  doc::Value incidents = doc::Value::array();
  doc::Value next = doc::Value::array();

  void propose(std::string command, std::string why) {
    next.push(doc::Value::object({{"command", std::move(command)}, {"why", std::move(why)}}));
  }
};

void add_quarantined(const std::string& name, const plane::QuarantinedSource& source,
                     StatusLists& lists) {
  lists.quarantined.push(doc::Value::object(
      {{"service", name},
       {"source", source.source},
       {"account", source.account},
       {"rule", source.rule},
       {"by", source.by},
       {"reason", source.reason},
       {"line", fmt::format("{} of {}{}: {}", source.source, name,
                            source.account.empty() ? "" : ", sent by " + source.account,
                            source.by.empty() ? fmt::format("breaks `{}`", source.rule)
                                              : fmt::format("shut out by `{}`: {}", source.by,
                                                            source.reason))}}));
  if (!source.by.empty()) lists.next.push(how_to_let_in(name, source));
}

Result<void> add_service(Core& core, const std::string& name, const ServiceControl& service,
                         StatusLists& lists) {
  const auto& releases = service.releases();
  const bool released = !releases.primary().empty();
  const auto watched = service.watch_value();
  HEDDLE_ASSIGN_OR_RETURN(auto sandboxes, sandboxes_of(core, name));
  HEDDLE_ASSIGN_OR_RETURN(auto certificates, certificates_of(core, name));
  const bool unwatched = released && !watched.bool_or("watched", true);
  const auto jump = service.clock_jump();
  lists.services.push(doc::Value::object(
      {{"name", name},
       {"state", releases.stopped() ? "stopped"
                 : released         ? "released"
                                    : "nothing released"},
       {"primary", released ? releases.primary().str() : ""},
       {"standby", releases.standby().empty() ? "" : releases.standby().str()},
       {"canary", releases.canary().running() ? releases.canary().canary.bundle.str() : ""},
       {"weight", releases.canary().canary.weight},
       {"shadow", releases.shadow().empty() ? "" : releases.shadow().str()},
       {"route", releases.version()},
       {"applied", service.applied()},
       {"watermark", time_or_empty(service.watermark())},
       {"clock_jump", jump},
       {"watch", watched},
       {"sandboxes", std::move(sandboxes)},
       {"tls", std::move(certificates)},
       {"autonomy", service.service().autonomy}}));
  if (!jump.is_null()) {
    lists.propose(fmt::format("heddle clock set {} --reason TEXT --person NAME --key FILE", name),
                  jump.string_or("reason"));
  }
  if (unwatched)
    lists.propose("heddle run", "`" + name + "` is not watched: " + watched.string_or("why"));
  if (!released) lists.propose("heddle release promote " + name, "nothing is released");
  if (releases.canary().running()) {
    lists.propose("heddle release canary " + name,
                  fmt::format("a canary answers {:g}% of the requests",
                              releases.canary().canary.weight / 100.0));
  }
  for (const auto& source : releases.quarantined()) add_quarantined(name, source, lists);
  for (const auto& incident : service.ladder().incidents()) {
    if (!incident.open()) continue;
    auto value = incident_value(incident, name);
    value.set("line", fmt::format("{} {}: {} ({})", incident.id, incident.diagnosis.cause->name(),
                                  incident.diagnosis.reason, recover::step_name(incident.step)));
    lists.incidents.push(std::move(value));
    lists.propose("heddle incident show " + incident.id, "it is open");
  }
  return {};
}

/// What its data plane does is known to that alone; here, why nothing of it is decided.
void add_locked(Core& core, const std::string& name, const Error& why, StatusLists& lists) {
  const bool released = path_exists(core.home.route(name));
  lists.services.push(doc::Value::object(
      {{"name", name},
       {"state", released ? "released" : "nothing released"},
       {"locked", doc::Value::object({{"id", why.id}, {"error", why.message}, {"hint", why.hint}})},
       {"autonomy", core.running.services.at(name).autonomy}}));
}

Result<doc::Value> status(Core& core, const NoRequest&, const Call&) {
  StatusLists lists;
  for (const auto& [name, service] : core.services) {
    const auto added = add_service(core, name, *service, lists);
    if (!added.ok()) add_locked(core, name, added.error(), lists);
  }
  for (const auto& [name, lock] : core.locked) {
    if (!core.services.contains(name)) add_locked(core, name, lock.why, lists);
  }
  auto& next = lists.next;
  auto approvals = doc::Value::array();
  HEDDLE_ASSIGN_OR_RETURN(const auto open, core.policy->open_approvals());
  for (const auto& approval : open) {
    if (approval.status != policy::Approval::Status::kPending) continue;
    auto value = approval_value(approval);
    value.set("line", fmt::format("{}: {}", approval.id, approval.reason));
    approvals.push(std::move(value));
    next.push(doc::Value::object(
        {{"command", fmt::format("heddle approve {} --person NAME --key FILE", approval.id)},
         {"why", approval.reason}}));
  }
  std::string applied;
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get("control", "applied"));
    if (row) applied = *row;
    return {};
  }));
  return doc::Value::object({{"project", core.project.name},
                             {"applied", applied},
                             {"services", std::move(lists.services)},
                             {"quarantined", std::move(lists.quarantined)},
                             {"incidents", std::move(lists.incidents)},
                             {"approvals", approvals},
                             {"next", std::move(lists.next)}});
}

Result<WatermarkReply> watermark(Core& core, const OfService& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  return WatermarkReply{request.service, service->watermark()};
}

Result<doc::Value> approval_list(Core& core, const ApprovalsRequest& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(const auto approvals,
                          request.all ? core.policy->approvals() : core.policy->open_approvals());
  auto out = doc::Value::array();
  for (const auto& approval : approvals) {
    if (request.all || approval.status == policy::Approval::Status::kPending)
      out.push(approval_value(approval));
  }
  return doc::Value::object({{"approvals", out}});
}

/// What the evidence says, for who is to sign: by name of the evidence, a member of the reply.
void show_evidence(store::Objects& objects, const policy::Approval& approval, doc::Value& value) {
  for (const auto& item : approval.evidence) {
    const bool is_shown = item.name == bundle::kEvaluation || item.name == kRepairsEvidence ||
                          item.name == kComparisonEvidence;
    if (!is_shown) continue;
    const auto bytes = objects.get(item.digest);
    const auto read = bytes.ok() ? doc::parse_json(*bytes) : Result<doc::Value>(bytes.error());
    if (!read.ok()) {
      // The digest stands in the statement; what it is of is gone, and who signs must know that.
      value.set("unread", fmt::format("`{}` cannot be read: {}", item.name, read.error().message));
    } else if (item.name == bundle::kEvaluation) {
      auto shown = doc::Value::object({{"passed", read->bool_or("passed")}});
      for (const char* part : {"metrics", "base", "gates"}) {
        if (const auto* found = read->find(part); found != nullptr) shown.set(part, *found);
      }
      value.set("evaluation", std::move(shown));
    } else if (item.name == kRepairsEvidence) {
      if (const auto* drops = read->find("drops"); drops != nullptr)
        value.set("drops_repairs", *drops);
      if (const auto* revives = read->find("revives"); revives != nullptr)
        value.set("revives_repairs", *revives);
    } else {
      value.set("comparison", *read);
    }
  }
}

Result<doc::Value> approval_show(Core& core, const ById& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(const auto id, approval_named(core, request.id));
  HEDDLE_ASSIGN_OR_RETURN(const auto approval, core.policy->approval(id));
  auto value = approval_value(approval);
  show_evidence(*core.objects, approval, value);
  return value;
}

Result<doc::Value> approval_approve(Core& core, const ApproveRequest& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(const auto id, approval_named(core, request.id));
  // A yes that waits out a lock would be carried out when nobody thinks of it any more.
  HEDDLE_ASSIGN_OR_RETURN(const auto asked, core.policy->approval(id));
  if (auto locked = lock_of(core, asked.binds.string_or("service")); locked) return *locked;
  HEDDLE_ASSIGN_OR_RETURN(const auto approval,
                          core.policy->approve(id, request.person, request.signature));
  failpoint("control-approved");
  bool applied = false;
  for (const auto& [name, service] : core.services) {
    if (applied || approval.status != policy::Approval::Status::kApproved) break;
    HEDDLE_ASSIGN_OR_RETURN(applied, service->resume_promotion(id));
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto entries, core.ledger->size());
  HEDDLE_ASSIGN_OR_RETURN(const auto now, core.policy->approval(id));
  return doc::Value::object(
      {{"id", id}, {"applied", applied}, {"entry", entries - 1}, {"next", approval_next(now)}});
}

Result<doc::Value> approval_reject(Core& core, const RejectRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(const auto person, proven_person(core, call, request.by));
  HEDDLE_ASSIGN_OR_RETURN(const auto id, approval_named(core, request.id));
  HEDDLE_ASSIGN_OR_RETURN(const auto reason, checked_reason(request.reason));
  HEDDLE_ASSIGN_OR_RETURN(const auto approval, core.policy->reject(id, person, reason));
  return approval_value(approval);
}

/// The bundle that is named, or the newest candidate for the slot.
Result<Digest> bundle_asked_for(Core& core, const ServiceControl& service, const std::string& given,
                                const std::string& slot) {
  if (!given.empty()) return bundle::find(*core.objects, given);
  flow::Host host{core.objects.get(), core.runner.get(), {}, core.home.dir()};
  HEDDLE_ASSIGN_OR_RETURN(const auto candidate,
                          flow::last_candidate(host, service.service().model));
  return slot == "standby" ? candidate.standby : candidate.bundle;
}

/// Ask again: the comparison is made in a process of its own.
doc::Value still_comparing(const ServiceControl& service) {
  return doc::Value::object({{"comparing", service.comparing()}});
}

Result<doc::Value> release_compare(Core& core, const CompareRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  HEDDLE_ASSIGN_OR_RETURN(const auto bundle,
                          bundle_asked_for(core, *service, request.bundle, "primary"));
  HEDDLE_ASSIGN_OR_RETURN(auto compared, service->comparison(bundle, call.caller.waits));
  if (!compared) return still_comparing(*service);
  return *std::move(compared);
}

Result<doc::Value> release_promote(Core& core, const PromoteRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  const auto& slot = request.slot;
  const auto weight = request.weight;
  if (weight > plane::kMostCanaryWeight || (weight != 0 && slot != "canary")) {
    return Error{ErrorKind::kInvalid, "weight-impossible",
                 fmt::format("a weight of {} ten-thousandths for slot `{}`", weight, slot),
                 "a canary has a weight, of 5000 at most: the other half is its baseline"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto bundle,
                          bundle_asked_for(core, *service, request.bundle, request.slot));
  // Before it is looked at who asks: a signed request is taken once, and this one may come again.
  std::optional<doc::Value> compared;
  if (!call.caller.waits && (slot == "primary" || slot == "canary")) {
    HEDDLE_ASSIGN_OR_RETURN(compared, service->comparison(bundle, false));
    if (!compared) return still_comparing(*service);
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto actor, requester(core, call, request.by));
  return service->promote(bundle, slot, weight, actor, request.again, compared);
}

Result<doc::Value> release_canary(Core& core, const OfService& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  return service->canary_value();
}

Result<doc::Value> release_abort(Core& core, const ReleaseAct& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  HEDDLE_ASSIGN_OR_RETURN(const auto actor, requester(core, call, request.by));
  return service->abort_canary(actor, request.again);
}

Result<doc::Value> release_shadow(Core& core, const ShadowRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  Digest bundle;
  if (!request.bundle.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(bundle, bundle::find(*core.objects, request.bundle));
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto actor, requester(core, call, request.by));
  return service->set_shadow(bundle, actor, request.again);
}

Result<doc::Value> release_rollback(Core& core, const ReleaseAct& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  HEDDLE_ASSIGN_OR_RETURN(const auto actor, requester(core, call, request.by));
  return service->roll_back(actor, request.again);
}

Result<doc::Value> release_history(Core& core, const OfService& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  auto releases = doc::Value::array();
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) {
    return each_row(txn, kRoutes, service->service().identity.name + "/", route_row_schema(),
                    [&](auto, auto, const RouteRow& route) {
                      auto value = route_row_schema().print(route);
                      value.set("event_time", time_or_empty(route.event_time));
                      value.set("entry", entry_of_decision(route.decision));
                      releases.push(std::move(value));
                    });
  }));
  return doc::Value::object(
      {{"service", service->service().identity.name}, {"releases", releases}});
}

Result<doc::Value> incident_list(Core& core, const NoRequest&, const Call&) {
  auto incidents = doc::Value::array();
  auto unread = doc::Value::array();
  const auto cannot_read = [&](const std::string& name, const Error& why) {
    unread.push(doc::Value::object({{"service", name}, {"error", why.message}}));
  };
  for (const auto& [name, service] : core.services) {
    const auto all = service->incidents();
    if (!all.ok()) cannot_read(name, all.error());
    if (!all.ok()) continue;
    for (const auto& incident : *all) incidents.push(incident_value(incident, name));
  }
  for (const auto& [name, lock] : core.locked) {
    if (!core.services.contains(name)) cannot_read(name, lock.why);
  }
  return doc::Value::object({{"incidents", incidents}, {"unread", unread}});
}

Result<doc::Value> incident_show(Core& core, const ById& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(const auto found, incident_named(core, request.id));
  auto value = incident_value(found.incident, found.service);
  std::optional<std::string> row;
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(row, txn.get(kPostmortems, found.service + "/" + found.incident.id));
    return {};
  }));
  if (row) {
    HEDDLE_ASSIGN_OR_RETURN(const auto postmortem, postmortem_row_schema().parse_text(*row));
    HEDDLE_ASSIGN_OR_RETURN(const auto page, core.objects->get(postmortem.page));
    value.set("page", page);
    value.set("proof", postmortem.proof);
  }
  HEDDLE_ASSIGN_OR_RETURN(auto next, incident_next(core, found, row.has_value()));
  value.set("next", std::move(next));
  return value;
}

Result<doc::Value> quarantine_list(Core& core, const NoRequest&, const Call&) {
  auto sources = doc::Value::array();
  auto next = doc::Value::array();
  for (const auto& [name, service] : core.services) {
    for (const auto& source : service->releases().quarantined()) {
      sources.push(doc::Value::object({{"service", name},
                                       {"source", source.source},
                                       {"account", source.account},
                                       {"rule", source.rule},
                                       {"readmit_after", source.readmit_after},
                                       {"by", source.by},
                                       {"reason", source.reason}}));
      if (!source.by.empty()) next.push(how_to_let_in(name, source));
    }
  }
  return doc::Value::object({{"sources", sources}, {"next", next}});
}

Result<doc::Value> quarantine_show(Core& core, const RefusedRowsRequest& request,
                                   const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  const auto& name = service->service().identity.name;
  const RefusedListing::Question question{core.home.spool(name), request.source,
                                          static_cast<std::size_t>(request.limit), request.before};
  std::optional<RefusedRows> found;
  if (call.caller.waits) {
    HEDDLE_ASSIGN_OR_RETURN(
        found, read_refused_rows(question.spool, question.source, question.limit, question.before));
  } else {
    HEDDLE_ASSIGN_OR_RETURN(found, core.refused.result(question));
  }
  if (!found) return doc::Value::object({{"service", name}, {"reading", true}});
  auto reply = doc::Value::object({{"service", name}, {"rows", std::move(found->rows)}});
  if (found->before) reply.set("before", *found->before);
  return reply;
}

Result<DecisionsReply> decision_list(Core& core, const DecisionsRequest& request, const Call&) {
  DecisionsReply reply;
  HEDDLE_TRY(core.ledger->read(request.from, [&](const ledger::Entry& entry) {
    reply.decisions.push_back({entry.seq, format_time(entry.t), time_or_empty(entry.event_time),
                               entry.op_id, entry.actor, entry.action, entry.target, entry.decision,
                               entry.result, entry.rules.empty() ? "" : entry.rules.front(),
                               entry.rules, entry.attributes, entry.approval, entry.incident,
                               entry.reason});
    return true;
  }));
  return reply;
}

Result<AuditReply> audit_verify(Core& core, const NoRequest&, const Call&) {
  const ledger::VerifyOptions options{core.home.dir() + "/tiles", core.ledger->verifier_key(),
                                      core.state.get(), core.git.get()};
  // As it lies there first: to publish writes damaged tiles again, and what was done to them would
  // go unseen.
  ledger::Audit audit;
  if (core.ledger->last_checkpoint()) {
    HEDDLE_ASSIGN_OR_RETURN(audit, ledger::verify(options));
  }
  std::string not_anchored;
  if (audit.ok()) {
    // Then anchored, so that what is checked includes the newest checkpoint outside. Git that
    // cannot be written leaves the anchor behind (ADR 32): that is said, and all else is verified.
    if (core.git) {
      const auto anchored = core.ledger->anchor(*core.git);
      if (!anchored.ok()) not_anchored = anchored.error().str();
    }
    HEDDLE_TRY(core.ledger->publish());
    HEDDLE_ASSIGN_OR_RETURN(audit, ledger::verify(options));
  }
  if (audit.ok()) HEDDLE_TRY(audit_decisions(core, audit.findings));
  AuditReply reply{audit.ok() ? "ok" : "failed",
                   audit.entries,
                   audit.root.str(),
                   audit.checkpoints,
                   audit.anchored.value_or(0),
                   not_anchored,
                   core.ledger->verifier_key().str()};
  for (const auto& finding : audit.findings)
    reply.findings.push_back(fmt::format("{}: {}", finding.id, finding.message));
  return reply;
}

Result<RebuildReply> audit_rebuild(Core& core, const RebuildRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(const auto actor, requester(core, call, request.by));
  HEDDLE_ASSIGN_OR_RETURN(const auto size, core.ledger->size());
  ledger::Entry entry;
  entry.op_id = fmt::format("{}/{}", ledger::kRebuildAction, size);
  entry.actor_type = actor.type == policy::ActorType::kPerson ? "person" : "system";
  entry.actor = actor.id;
  entry.attributes = doc::Value::object();
  policy::record_proof(entry.attributes, actor.proof);
  entry.reason = "the published files were written again from the state";
  HEDDLE_ASSIGN_OR_RETURN(const auto checkpoint, core.ledger->rebuild(std::move(entry)));
  return RebuildReply{checkpoint.size, checkpoint.root.str()};
}

Result<ProofReply> audit_prove(Core& core, const ProveRequest& request, const Call&) {
  HEDDLE_TRY(core.ledger->publish());
  HEDDLE_ASSIGN_OR_RETURN(const auto proof, core.ledger->prove(request.seq));
  return ProofReply{static_cast<std::int64_t>(request.seq), proof.entry, proof.str()};
}

Result<doc::Value> metric_series(Core& core, const OfService& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  HEDDLE_ASSIGN_OR_RETURN(auto series, service->series());
  HEDDLE_ASSIGN_OR_RETURN(auto batches, recorded_batches(core, service->service().identity.name));
  series.set("batches", std::move(batches));
  return series;
}

Result<OpenScoreReply> score_open(Core& core, const OpenScoreRequest& request, const Call&) {
  return open_batch(core, request.service, request.slot);
}

Result<AccessReply> access_list(Core& core, const AccessRequest& request, const Call&) {
  return list_access_logs(core, request.service);
}

Result<RecordScoreReply> score_record(Core& core, const RecordScoreRequest& request,
                                      const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(const auto actor, requester(core, call, request.by));
  return record_batch(core, request.service, request.profile, actor);
}

Result<doc::Value> definition_apply(Core& core, const ApplyRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(const auto actor, requester(core, call, request.by));
  return apply_definitions(core, request.revision, actor);
}

/// On a full disk the room that is kept for a stop is given to it.
template <class Act>
auto with_reserve(Core& core, const Act& act) {
  auto done = act();
  if (!done.ok() && done.error().id == "disk-full" && core.reserve.release()) done = act();
  return done;
}

Result<StopReply> stop(Core& core, const StopRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(const auto actor,
                          with_reserve(core, [&] { return requester(core, call, request.by); }));
  std::uint64_t entry = 0;
  // What keeps one service from being stopped keeps no other, and is said at the end.
  std::optional<Error> failed;
  for (const auto& [name, service] : core.services) {
    if (request.service != "*" && request.service != name) continue;
    const auto reply =
        with_reserve(core, [&, &stopped = *service] { return stopped.set_stopped(true, actor); });
    if (reply.ok())
      entry = static_cast<std::uint64_t>(reply->int_or("entry"));
    else
      failed = reply.error();
  }
  for (const auto& [name, unused] : core.locked) {
    if (auto locked = lock_of(core, name); request.service == "*" && locked) failed = locked;
  }
  if (failed) return *failed;
  if (entry == 0) HEDDLE_TRY(core.service(request.service));
  return StopReply{entry};
}

Result<doc::Value> resume(Core& core, const ResumeRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(const auto person, proven_person(core, call, request.by));
  const auto wanted = request.service;
  if (wanted != "*") HEDDLE_TRY(core.service(wanted));
  doc::Value reply = doc::Value::object({{"applied", true}, {"entry", 0}});
  for (const auto& [name, service] : core.services) {
    if (wanted != "*" && wanted != name) continue;
    HEDDLE_ASSIGN_OR_RETURN(reply, service->set_stopped(false, person));
  }
  return reply;
}

Result<doc::Value> clock_set(Core& core, const SetClockRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  HEDDLE_ASSIGN_OR_RETURN(const auto reason, checked_reason(request.reason));
  HEDDLE_ASSIGN_OR_RETURN(const auto person, proven_person(core, call, request.by));
  return service->set_clock(request.jump, reason, person);
}

Result<doc::Value> audit_restore(Core& core, const RestoreRequest& request, const Call& call) {
  return restore_ledger(core, request, call);
}

template <recover::ByHand::Kind kKind>
Result<doc::Value> incident_act(Core& core, const IncidentAct& request, const Call& call) {
  return act_on_incident(core, kKind, request, call);
}

template <recover::ByHand::Kind kKind>
Result<doc::Value> quarantine_act(Core& core, const QuarantineAct& request, const Call& call) {
  return act_on_source(core, kKind, request, call);
}

Result<doc::Value> printed(const Result<doc::Value>& reply) { return reply; }
template <class Reply>
Result<doc::Value> printed(const Result<Reply>& reply) {
  if (!reply.ok()) return reply.error();
  return Reply::schema().print(*reply);
}

template <class Reply>
const doc::ObjectSchema* schema_of_reply() {
  if constexpr (std::is_same_v<Reply, doc::Value>) {
    return nullptr;
  } else {
    return &Reply::schema();
  }
}

/// A row of the table: the request is read by its schema before `begin` and the handler, the reply
/// is written by its own.
template <class Request, class Reply>
OperationRow row(std::string_view name, std::string_view permission, std::string_view summary,
                 Result<Reply> (*handle)(Core&, const Request&, const Call&)) {
  const auto& schema = Request::schema();
  return {{name, permission, summary, &schema, schema_of_reply<Reply>()},
          [&schema, handle](Core& core, const Call& call,
                            const std::function<Result<void>()>& begin) -> Result<doc::Value> {
            HEDDLE_ASSIGN_OR_RETURN(const Request request, schema.parse(call.request));
            HEDDLE_TRY(begin());
            return printed(handle(core, request, call));
          }};
}

}  // namespace

policy::Actor system_user() {
  return {policy::ActorType::kSystem, "system:" + os_user_name(::geteuid())};
}

Result<ServiceControl*> Control::Core::service(const std::string& name) {
  const auto at = services.find(name);
  if (at != services.end()) return at->second.get();
  if (auto why = lock_of(*this, name); why) return *why;
  std::vector<std::string> names;
  for (const auto& [known, unused] : running.services) names.push_back(known);
  return Error{ErrorKind::kNotFound, "service-unknown",
               fmt::format("no service `{}`", name.substr(0, 100)),
               fmt::format("the services are: {}", fmt::join(names, ", "))};
}

const std::vector<OperationRow>& operation_table() {
  using Kind = recover::ByHand::Kind;
  static const std::vector<OperationRow> table = {
      row("status", "read", "services, slots, incidents, approvals, and what to do next", status),
      row("watermark", "read", "event time up to which every decision is finished", watermark),
      row("approval.list", "read", "approvals that were asked for", approval_list),
      row("approval.show", "read", "one approval with the statement a person signs", approval_show),
      row("approval.approve", "operate", "a person's signed yes", approval_approve),
      row("approval.reject", "owner", "a person's no", approval_reject),
      row("release.promote", "owner", "put a candidate into a slot", release_promote),
      row("release.rollback", "owner", "go back to the release before", release_rollback),
      row("release.compare", "read", "a candidate and the primary on the same newest labelled rows",
          release_compare),
      row("release.canary", "read",
          "the canary that runs: cohorts side by side, judgement, what next", release_canary),
      row("release.abort", "owner", "end the canary", release_abort),
      row("release.shadow", "owner", "set the shadow, or take it away", release_shadow),
      row("release.history", "read", "every route a service had", release_history),
      row("incident.list", "read", "every incident", incident_list),
      row("incident.show", "read", "one incident with its page", incident_show),
      row("incident.open", "owner", "an incident that a person saw", open_incident),
      row("incident.acknowledge", "owner", "a person knows of it: nobody is told again",
          incident_act<Kind::kAcknowledge>),
      row("incident.comment", "owner", "a line in the timeline", incident_act<Kind::kComment>),
      row("incident.close", "owner", "it is over, as a person says", incident_act<Kind::kClose>),
      row("quarantine.list", "read", "sources whose rows are refused", quarantine_list),
      row("quarantine.show", "owner", "refused rows with the rules they broke", quarantine_show),
      row("quarantine.add", "owner", "shut a source out until a person lets it in",
          quarantine_act<Kind::kQuarantine>),
      row("quarantine.release", "owner", "let a source in", quarantine_act<Kind::kRelease>),
      row("decision.list", "read", "entries of the ledger", decision_list),
      row("audit.verify", "read", "recompute the ledger and compare", audit_verify),
      row("audit.rebuild", "owner", "write the ledger's published files again from the state",
          audit_rebuild),
      row("audit.restore", "owner", "an older state counts, as a person signs", audit_restore),
      row("audit.prove", "read", "inclusion proof of an entry", audit_prove),
      row("metric.series", "read", "every metric of every window, with its threshold",
          metric_series),
      row("access.list", "read", "segments of the access logs with their roots", access_list),
      row("score.open", "read", "which bundle a file would be scored by", score_open),
      row("score.record", "operate", "the record of a scored file", score_record),
      row("definition.apply", "owner", "make what is committed what runs", definition_apply),
      row("check", "read", "every definition of the work tree, all diagnostics at once",
          check_project),
      row("plan", "read", "what a run would do, what is cached, and why", plan_project),
      row("run", "owner", "bring the project up to date; a candidate at the end", run_project),
      row("schema", "read", "JSON Schema of a kind of definition", show_schema),
      row("bundle", "read", "what is in a bundle, and what its gates said", inspect_bundle),
      row("score", "owner", "the same contract, features and model over a file", score_file),
      row("stop", "stop", "stop a service: requests get 503 until a person resumes", stop),
      row("resume", "owner", "clear a stop, as a person", resume),
      row("clock.set", "owner", "event time follows its clock again, as a person says", clock_set),
  };
  return table;
}

}  // namespace heddle::control
