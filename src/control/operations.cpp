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
#include "control/canary_reply.hpp"
#include "control/custody.hpp"
#include "control/definitions.hpp"
#include "control/failing_values.hpp"
#include "control/incidents.hpp"
#include "control/project_operations.hpp"
#include "control/recipes.hpp"
#include "control/recorded.hpp"
#include "control/reply_forms.hpp"
#include "control/requester.hpp"
#include "control/row_lineage.hpp"
#include "control/series_reply.hpp"
#include "control/servable.hpp"
#include "control/service_locks.hpp"
#include "control/service_rows.hpp"
#include "control/settled_rows.hpp"
#include "control/show_replies.hpp"
#include "control/status_reply.hpp"
#include "control/stored_rows.hpp"
#include "flow/flow.hpp"
#include "ledger/verify.hpp"
#include "policy/request.hpp"

namespace heddle::control {
namespace {

using Core = Control::Core;

/// What came of it, or its error.
Result<AskedReply> asked(Result<Asked> done) {
  if (!done.ok()) return done.error();
  return AskedReply{{}, *std::move(done)};
}

Result<StatusReply> status(Core& core, const NoRequest&, const Call&) { return status_of(core); }

Result<WatermarkReply> watermark(Core& core, const OfService& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  return WatermarkReply{request.service, service->watermark()};
}

Result<AcceptedSearchReply> search_accepted(Core& core, const ModelRequest& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(auto search, accepted_search(*core.state, request.model));
  return AcceptedSearchReply{request.model, std::move(search)};
}

Result<ApprovalsReply> approval_list(Core& core, const ApprovalsRequest& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(const auto approvals,
                          request.all ? core.policy->approvals() : core.policy->open_approvals());
  ApprovalsReply reply;
  for (const auto& approval : approvals) {
    // Open ones include those that were approved and wait to be carried out: nobody is asked for
    // these.
    if (request.all || approval.status == policy::Approval::Status::kPending)
      reply.approvals.push_back(approval_reply(approval));
  }
  return reply;
}

Result<ApprovalReply> approval_show(Core& core, const ById& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(const auto id, approval_named(core, request.id));
  HEDDLE_ASSIGN_OR_RETURN(const auto approval, core.policy->approval(id));
  auto reply = approval_reply(approval);
  show_evidence(*core.objects, approval, reply);
  return reply;
}

Result<ApproveReply> approval_approve(Core& core, const ApproveRequest& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(const auto id, approval_named(core, request.id));
  // A yes that waits out a lock would be carried out when nobody thinks of it any more.
  HEDDLE_ASSIGN_OR_RETURN(const auto asked, core.policy->approval(id));
  if (auto locked = lock_of(core, asked.binds.string_or("service")); locked) return *locked;
  HEDDLE_ASSIGN_OR_RETURN(const auto approval,
                          core.policy->approve(id, request.person, request.signature));
  failpoint("control-approved");
  bool applied = false;
  for (const auto& [name, service] : core.services) {
    // Not by id: which service waits for this answer is known to the services alone. One act
    // answers one question.
    if (applied || approval.status != policy::Approval::Status::kApproved) break;
    HEDDLE_ASSIGN_OR_RETURN(applied, service->resume_promotion(id));
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto entries, core.ledger->size());
  // Read again: what was carried out, or could not be, changed it.
  HEDDLE_ASSIGN_OR_RETURN(const auto now, core.policy->approval(id));
  return ApproveReply{id, applied, entries - 1, approval_next(now)};
}

Result<ApprovalReply> approval_reject(Core& core, const RejectRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(const auto person, proven_person(core, call, request.by));
  HEDDLE_ASSIGN_OR_RETURN(const auto id, approval_named(core, request.id));
  HEDDLE_ASSIGN_OR_RETURN(const auto reason, checked_reason(request.reason));
  HEDDLE_ASSIGN_OR_RETURN(const auto approval, core.policy->reject(id, person, reason));
  return approval_reply(approval);
}

/// The bundle that is named, or the newest candidate for the slot.
Result<Digest> bundle_asked_for(Core& core, const ServiceControl& service, const std::string& given,
                                const std::string& slot) {
  // A person may name any bundle; without a name, the last run's candidate is meant.
  if (!given.empty()) return bundle::find(*core.objects, given);
  flow::Host host{core.objects.get(), core.runner.get(), {}, core.home.dir()};
  HEDDLE_ASSIGN_OR_RETURN(const auto candidate,
                          flow::last_candidate(host, service.service().model));
  return slot == "standby" ? candidate.standby : candidate.bundle;
}

Result<CompareReply> release_compare(Core& core, const CompareRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  HEDDLE_ASSIGN_OR_RETURN(const auto bundle,
                          bundle_asked_for(core, *service, request.bundle, "primary"));
  HEDDLE_ASSIGN_OR_RETURN(const auto compared, service->comparison(bundle, call.caller.waits));
  CompareReply reply;
  reply.comparison = compared;
  // It is made in a process of its own: ask again.
  if (!compared) reply.comparing = service->comparing();
  return reply;
}

Result<AskedReply> release_promote(Core& core, const PromoteRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  const auto& slot = request.slot;
  const auto weight = request.weight;
  // More than half would leave the baseline smaller than the canary, and the two are compared.
  if (weight > plane::kMostCanaryWeight || (weight != 0 && slot != "canary")) {
    return Error{ErrorKind::kInvalid, "weight-impossible",
                 fmt::format("a weight of {} ten-thousandths for slot `{}`", weight, slot),
                 "a canary has a weight, of 5000 at most: the other half is its baseline"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto bundle,
                          bundle_asked_for(core, *service, request.bundle, request.slot));
  HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(*core.objects, bundle));
  HEDDLE_TRY(check_model(opened, core.project, service->service()));
  // Before it is looked at who asks: a signed request is taken once, and this one may come again.
  std::optional<Comparison> compared;
  if (!call.caller.waits && (slot == "primary" || slot == "canary")) {
    HEDDLE_ASSIGN_OR_RETURN(compared, service->comparison(bundle, false));
    if (!compared) return AskedReply{service->comparing(), {}};
  }
  // Once, when the comparison is there: who waits for it asks again and again.
  HEDDLE_TRY(check_loads(opened));
  HEDDLE_ASSIGN_OR_RETURN(const auto actor, requester(core, call, request.by));
  return asked(service->promote(bundle, slot, weight, actor, request.again, compared));
}

Result<CanaryReply> release_canary(Core& core, const OfService& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  return service->canary();
}

Result<AskedReply> release_abort(Core& core, const ReleaseAct& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  HEDDLE_ASSIGN_OR_RETURN(const auto actor, requester(core, call, request.by));
  return asked(service->abort_canary(actor, request.again));
}

Result<AskedReply> release_shadow(Core& core, const ShadowRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  Digest bundle;
  if (!request.bundle.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(bundle, bundle::find(*core.objects, request.bundle));
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto actor, requester(core, call, request.by));
  return asked(service->set_shadow(bundle, actor, request.again));
}

Result<AskedReply> release_rollback(Core& core, const ReleaseAct& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  HEDDLE_ASSIGN_OR_RETURN(const auto actor, requester(core, call, request.by));
  return asked(service->roll_back(actor, request.again));
}

Result<HistoryReply> release_history(Core& core, const OfService& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  HistoryReply reply{service->service().identity.name};
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) {
    return each_row(txn, kRoutes, reply.service + "/", route_row_schema(),
                    [&](auto, auto, const RouteRow& route) {
                      reply.releases.push_back({route, time_or_empty(route.event_time),
                                                entry_of_decision(route.decision)});
                    });
  }));
  return reply;
}

Result<IncidentsReply> incident_list(Core& core, const NoRequest&, const Call&) {
  IncidentsReply reply;
  for (const auto& [name, service] : core.services) {
    const auto all = service->incidents();
    if (!all.ok()) reply.unread.push_back({name, all.error().message});
    if (!all.ok()) continue;
    for (const auto& incident : *all) reply.incidents.push_back(incident_reply(incident, name));
  }
  for (const auto& [name, lock] : core.locked) {
    if (!core.services.contains(name)) reply.unread.push_back({name, lock.why.message});
  }
  return reply;
}

Result<IncidentReply> incident_show(Core& core, const ById& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(const auto found, incident_named(core, request.id));
  auto reply = incident_reply(found.incident, found.service);
  std::optional<std::string> row;
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(row, txn.get(kPostmortems, found.service + "/" + found.incident.id));
    return {};
  }));
  if (row) {
    HEDDLE_ASSIGN_OR_RETURN(const auto postmortem, postmortem_row_schema().parse_text(*row));
    HEDDLE_ASSIGN_OR_RETURN(reply.page, core.objects->get(postmortem.page));
    reply.proof = postmortem.proof;
  }
  HEDDLE_ASSIGN_OR_RETURN(reply.next, incident_next(core, found, row.has_value()));
  return reply;
}

Result<QuarantinesReply> quarantine_list(Core& core, const NoRequest&, const Call&) {
  QuarantinesReply reply;
  for (const auto& [name, service] : core.services) {
    for (const auto& source : service->releases().quarantined()) {
      reply.sources.push_back({name, source.source, source.account, source.rule,
                               source.readmit_after, source.by, source.reason});
      if (!source.by.empty()) reply.next.push_back(how_to_let_in(name, source));
    }
  }
  return reply;
}

/// A value as it was sent. A text is borrowed.
expr::Datum datum_of(const doc::Value& value) {
  if (value.is_bool()) return expr::Datum::boolean(value.as_bool());
  if (value.is_int()) return expr::Datum::integer(value.as_int());
  if (value.is_double()) return expr::Datum::real(value.as_double());
  return value.is_string() ? expr::Datum::string(value.as_string()) : expr::Datum::null();
}

Result<RefusedRowsReply> quarantine_show(Core& core, const RefusedRowsRequest& request,
                                         const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  const auto& name = service->service().identity.name;
  RefusedListing::Question question{
      core.home.spool(name),
      {request.source, static_cast<std::size_t>(request.limit), request.before, {}}};
  HEDDLE_ASSIGN_OR_RETURN(const auto settled, settled_rows(*core.state, name));
  if (!request.settled) {
    for (const auto& [id, act] : settled) question.query.settled.insert(id);
  }
  std::optional<RefusedRows> found;
  // Who calls in its own process may wait for the disk; the loop that serves everybody may not.
  if (call.caller.waits) {
    HEDDLE_ASSIGN_OR_RETURN(found, read_refused_rows(question.spool, question.query));
  } else {
    HEDDLE_ASSIGN_OR_RETURN(found, core.refused.result(question));
  }
  RefusedRowsReply reply;
  reply.service = name;
  if (!found) {
    reply.reading = true;
    return reply;
  }
  const auto& model = core.running.models.at(service->service().model);
  const auto& contract =
      core.running.contracts.at(core.running.feature_sets.at(model.features).contract);
  HEDDLE_ASSIGN_OR_RETURN(auto lineage, RowLineage::of(*core.state, *core.objects, name));
  for (auto& row : found->rows) {
    row.failing = failing_values(contract, row);
    if (const auto act = settled.find(row.id()); act != settled.end()) row.settled = act->second;
    row.bundle = lineage.bundle(row.route_version, row.slot);
    row.repairs = lineage.repairs(row.bundle, [&](const std::string& field) {
      const doc::Value* const value = row.fields.find(field);
      return value == nullptr ? expr::Datum::null() : datum_of(*value);
    });
  }
  reply.rows = std::move(found->rows);
  reply.before = found->before;
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

Result<SeriesReply> metric_series(Core& core, const OfService& request, const Call&) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  SeriesReply reply{service->service().identity.name};
  HEDDLE_ASSIGN_OR_RETURN(reply.findings, service->findings());
  HEDDLE_ASSIGN_OR_RETURN(reply.batches, recorded_batches(core, reply.service));
  return reply;
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

Result<ApplyReply> definition_apply(Core& core, const ApplyRequest& request, const Call& call) {
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
      entry = reply->entry;
    else
      failed = reply.error();
  }
  // A stop of everything that leaves one out must not look like a success.
  for (const auto& [name, unused] : core.locked) {
    if (auto locked = lock_of(core, name); request.service == "*" && locked) failed = locked;
  }
  if (failed) return *failed;
  // Nothing was stopped because there is no such service: its error names those that there are.
  if (entry == 0) HEDDLE_TRY(core.service(request.service));
  return StopReply{entry};
}

Result<AskedReply> resume(Core& core, const ResumeRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(const auto person, proven_person(core, call, request.by));
  const auto wanted = request.service;
  // A misspelt name is an error, and not a resume of nothing.
  if (wanted != "*") HEDDLE_TRY(core.service(wanted));
  // Of no service there is nothing to resume.
  AskedReply reply{{}, Asked{.applied = true}};
  for (const auto& [name, service] : core.services) {
    if (wanted != "*" && wanted != name) continue;
    HEDDLE_ASSIGN_OR_RETURN(reply, asked(service->set_stopped(false, person)));
  }
  return reply;
}

Result<AskedReply> clock_set(Core& core, const SetClockRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(request.service));
  HEDDLE_ASSIGN_OR_RETURN(const auto reason, checked_reason(request.reason));
  HEDDLE_ASSIGN_OR_RETURN(const auto person, proven_person(core, call, request.by));
  return asked(service->set_clock(request.jump, reason, person));
}

Result<RestoreReply> audit_restore(Core& core, const RestoreRequest& request, const Call& call) {
  return restore_ledger(core, request, call);
}

template <recover::ByHand::Kind kKind>
Result<ByHandReply> incident_act(Core& core, const IncidentAct& request, const Call& call) {
  return act_on_incident(core, kKind, request, call);
}

template <recover::ByHand::Kind kKind>
Result<ByHandReply> quarantine_act(Core& core, const QuarantineAct& request, const Call& call) {
  return act_on_source(core, kKind, request, call);
}

template <class Reply>
Result<doc::Value> printed(const Result<Reply>& reply) {
  if (!reply.ok()) return reply.error();
  return Reply::schema().print(*reply);
}

/// A row of the table: the request is read by its schema before `begin` and the handler, the reply
/// is written by its own.
template <class Request, class Reply>
OperationRow row(std::string_view name, std::string_view permission, std::string_view summary,
                 Result<Reply> (*handle)(Core&, const Request&, const Call&)) {
  const auto& schema = Request::schema();
  return {{name, permission, summary, &schema, &Reply::schema()},
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
      row("quarantine.settle", "owner",
          "a person accepts, reprocesses, discards or restores refused rows", settle_rows),
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
      row("search.accepted", "read", "what a refit of a model trains with", search_accepted),
      row("schema", "read", "JSON Schema of a kind of definition", show_schema),
      row("bundle", "read", "what is in a bundle, and what its gates said", inspect_bundle),
      row("score", "owner", "the same contract, features and model over a file", score_file),
      row("why", "read", "from an answer back to its row, bundle, data and approver", why_answered),
      row("stop", "stop", "stop a service: requests get 503 until a person resumes", stop),
      row("resume", "owner", "clear a stop, as a person", resume),
      row("clock.set", "owner", "event time follows its clock again, as a person says", clock_set),
  };
  return table;
}

}  // namespace heddle::control
