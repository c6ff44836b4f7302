#include "control/status_reply.hpp"

#include "base/file.hpp"
#include "control/certificates.hpp"
#include "control/reply_forms.hpp"
#include "control/reply_schema.hpp"
#include "control/sandboxes.hpp"
#include "control/service_locks.hpp"
#include "control/triggers.hpp"
#include "doc/schema_custom.hpp"
#include "doc/schema_lists.hpp"
#include "recover/cause.hpp"

namespace heddle::control {
namespace {

using Core = Control::Core;
using Decided = ServiceItem::Decided;
using doc::Reader;
using doc::Schema;
using doc::Value;

const Schema<LockedItem>& locked_schema() {
  static const auto schema = [] {
    auto t = reply_of<LockedItem>("why nothing of it is decided");
    t.text("id", &LockedItem::id, "of the error");
    t.text("error", &LockedItem::error, "");
    t.text("hint", &LockedItem::hint, "");
    return t;
  }();
  return schema;
}

const Schema<TlsItem>& tls_schema() {
  static const auto schema = [] {
    auto t = reply_of<TlsItem>("the TLS files of a data plane");
    t.text("certificate", &TlsItem::certificate, "digest; empty: none");
    t.text("client_ca", &TlsItem::client_ca, "likewise");
    t.text("since", &TlsItem::since, "");
    t.integer("entry", &TlsItem::entry, "of the ledger");
    return t;
  }();
  return schema;
}

const Schema<ClockJump>& jump_schema() {
  static const auto schema = [] {
    auto t = reply_of<ClockJump>("a clock jump");
    t.text("id", &ClockJump::id, "");
    t.micros("event_time", &ClockJump::event_time, "in microseconds");
    t.text("reason", &ClockJump::reason, "");
    return t;
  }();
  return schema;
}

const Schema<Decided>& decided_schema() {
  using D = Decided;
  static const auto schema = [] {
    auto t = reply_of<D>("what was decided of a service");
    t.text("primary", &D::primary, "digest; empty: none");
    t.text("standby", &D::standby, "likewise");
    t.text("canary", &D::canary, "likewise");
    t.integer("weight", &D::weight, "of the canary, in ten-thousandths");
    t.text("shadow", &D::shadow, "likewise");
    t.integer("route", &D::route, "newest version of the route table");
    t.integer("applied", &D::applied, "version that the data plane has applied");
    t.text("watermark", &D::watermark, "event time up to which every decision is finished");
    doc::object_or_null(t, "clock_jump", &D::clock_jump, jump_schema(), "null: none was seen");
    t.object("watch", &D::watch, watch_reply_schema(), "");
    t.objects("sandboxes", &D::sandboxes, worker_schema(),
              "layers of the sandbox of a worker, [SECURITY.md](../SECURITY.md)");
    doc::object_or_null(t, "tls", &D::tls, tls_schema(), "null: none was told");
    return t;
  }();
  return schema;
}

const Schema<ServiceItem>& service_schema() {
  using S = ServiceItem;
  static const auto schema = [] {
    auto t = reply_of<S>("a service");
    t.text("name", &S::name, "");
    t.text("state", &S::state, "`released`, `stopped` or `nothing released`");
    t.object("locked", &S::locked, locked_schema(),
             "why nothing of it is decided; then there is no more than `autonomy`");
    add_form(t, &S::decided, decided_schema());
    t.text("autonomy", &S::autonomy, "");
    t.finally([](S& into, const Value& value, Reader& reader) {
      if (!into.locked) need_form(decided_schema(), value, reader);
    });
    return t;
  }();
  return schema;
}

std::string text_of(const Digest& digest) { return digest.empty() ? "" : digest.str(); }

void add_quarantined(const std::string& name, const plane::QuarantinedSource& source,
                     StatusReply& out) {
  const auto why = source.by.empty()
                       ? fmt::format("breaks `{}`", source.rule)
                       : fmt::format("shut out by `{}`: {}", source.by, source.reason);
  const auto sender = source.account.empty() ? "" : ", sent by " + source.account;
  out.quarantined.push_back({name, source.source, source.account, source.rule, source.by,
                             source.reason,
                             fmt::format("{} of {}{}: {}", source.source, name, sender, why)});
  // One that a rule of the contract keeps out is let in by clean rows, without anybody.
  if (!source.by.empty()) out.next.push_back(how_to_let_in(name, source));
}

/// What is to be done about a service, the most urgent first. `run` makes a release of its model.
void propose_for(const ServiceItem& item, const release::Releases& releases, const std::string& run,
                 StatusReply& out) {
  const std::string& name = item.name;
  const Decided& decided = *item.decided;
  if (decided.clock_jump) {
    out.next.push_back(
        {fmt::format("heddle clock set {} --reason TEXT --person NAME --key FILE", name),
         decided.clock_jump->reason});
  }
  const bool released = !releases.primary().empty();
  // Nothing to watch is no fault while nothing answers.
  if (released && !decided.watch.watched)
    out.next.push_back({run, "`" + name + "` is not watched: " + decided.watch.why});
  if (!released) out.next.push_back({"heddle release promote " + name, "nothing is released"});
  if (releases.canary().running()) {
    out.next.push_back(
        {"heddle release canary " + name, fmt::format("a canary answers {:g}% of the requests",
                                                      releases.canary().canary.weight / 100.0)});
  }
}

Result<void> add_service(Core& core, const std::string& name, const ServiceControl& service,
                         StatusReply& out) {
  const auto& releases = service.releases();
  ServiceItem item;
  item.name = name;
  item.state = releases.stopped()            ? "stopped"
               : !releases.primary().empty() ? "released"
                                             : "nothing released";
  item.autonomy = service.service().autonomy;
  auto& decided = item.decided.emplace();
  decided.primary = text_of(releases.primary());
  decided.standby = text_of(releases.standby());
  decided.canary = releases.canary().running() ? releases.canary().canary.bundle.str() : "";
  decided.weight = releases.canary().canary.weight;
  decided.shadow = text_of(releases.shadow());
  decided.route = releases.version();
  decided.applied = service.applied();
  decided.watermark = time_or_empty(service.watermark());
  decided.clock_jump = service.clock_jump();
  decided.watch = service.watched();
  HEDDLE_ASSIGN_OR_RETURN(decided.sandboxes, sandboxes_of(core, name));
  HEDDLE_ASSIGN_OR_RETURN(const auto tls, certificates_of(core, name));
  if (tls) decided.tls = TlsItem{tls->certificate, tls->client_ca, tls->since, tls->entry};
  propose_for(item, releases,
              core.project.models.size() < 2 ? "heddle run"
                                             : "heddle run --model " + service.service().model,
              out);
  out.services.push_back(std::move(item));
  for (const auto& source : releases.quarantined()) add_quarantined(name, source, out);
  for (const auto& incident : service.ladder().incidents()) {
    if (!incident.open()) continue;  // the ladder keeps closed ones for a while
    out.incidents.push_back(incident_reply(incident, name));
    out.incidents.back().line =
        fmt::format("{} {}: {} ({})", incident.id, incident.diagnosis.cause->name(),
                    incident.diagnosis.reason, recover::step_name(incident.step));
    out.next.push_back({"heddle incident show " + incident.id, "it is open"});
  }
  return {};
}

/// What its data plane does is known to that alone; here, why nothing of it is decided.
void add_locked(Core& core, const std::string& name, const Error& why, StatusReply& out) {
  ServiceItem item;
  item.name = name;
  // The signed table on the disk is what the data plane goes by, whatever the state says.
  item.state = path_exists(core.home.route(name)) ? "released" : "nothing released";
  item.locked = LockedItem{why.id, why.message, why.hint};
  item.autonomy = core.running.services.at(name).autonomy;
  out.services.push_back(std::move(item));
}

TriggerItem trigger_item(const ShownTrigger& shown) {
  const TriggerRow& row = shown.row;
  TriggerItem out;
  out.name = shown.trigger->name;
  out.model = shown.trigger->model;
  out.state = row.runs ? "runs" : row.approval.empty() ? "idle" : "waits for approval";
  out.started_at = time_or_empty(row.fired_at);
  out.reason = row.reason;
  out.approval = row.approval;
  out.ended_at = time_or_empty(row.ended_at);
  out.outcome = row.outcome;
  out.candidate = row.candidate;
  const std::string since =
      row.fired == 0 ? "never started" : fmt::format("{} ({})", out.started_at, row.reason);
  const std::string now = row.runs                ? "; its run goes on"
                          : !row.approval.empty() ? fmt::format("; waits for {}", row.approval)
                          : row.outcome.empty()   ? ""
                                                  : "; " + row.outcome;
  out.line = fmt::format("{} of `{}`: {}{}", out.name, out.model, since, now);
  return out;
}

}  // namespace

NextItem how_to_let_in(const std::string& service, const plane::QuarantinedSource& source) {
  return {recover::release_command(service, source.account, source.source),
          fmt::format("`{}` shut out source {}: it does not end by itself", source.by,
                      plane::source_text(source.account, source.source))};
}

Result<StatusReply> status_of(Core& core) {
  StatusReply out;
  out.project = core.project.name;
  for (const auto& [name, service] : core.services) {
    // One service whose parts cannot be read must not hide how the others are.
    const auto added = add_service(core, name, *service, out);
    if (!added.ok()) add_locked(core, name, added.error(), out);
  }
  for (const auto& [name, lock] : core.locked) {
    if (!core.services.contains(name)) add_locked(core, name, lock.why, out);
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto open, core.policy->open_approvals());
  for (const auto& approval : open) {
    if (approval.status != policy::Approval::Status::kPending) continue;
    auto shown = approval_reply(approval);
    shown.line = fmt::format("{}: {}", approval.id, approval.reason);
    out.approvals.push_back(std::move(shown));
    out.next.push_back(
        {fmt::format("heddle approve {} --person NAME --key FILE", approval.id), approval.reason});
  }
  // What cannot be read of them must not hide the rest.
  if (const auto triggers = shown_triggers(core); triggers.ok()) {
    for (const ShownTrigger& each : *triggers) out.triggers.push_back(trigger_item(each));
  } else {
    auto& item = out.triggers.emplace_back();
    item.outcome = triggers.error().message;
    item.line = "nothing is started: " + item.outcome;
  }
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get("control", "applied"));
    if (row) out.applied = *row;
    return {};
  }));
  return out;
}

const Schema<StatusReply>& StatusReply::schema() {
  using S = StatusReply;
  static const auto shut_out = [] {
    using Q = ShutOutItem;
    auto t = reply_of<Q>("a source whose rows are refused");
    t.text("service", &Q::service, "");
    t.text("source", &Q::source, "");
    t.text("account", &Q::account, "empty: everybody's");
    t.text("rule", &Q::rule, "");
    t.text("by", &Q::by, "the person who shut it out; empty: recovery");
    t.text("reason", &Q::reason, "");
    t.text("line", &Q::line, "it in a line");
    return t;
  }();
  static const auto trigger = [] {
    using I = TriggerItem;
    auto t = reply_of<I>("a trigger of heddle.yaml");
    t.text("name", &I::name, "");
    t.text("model", &I::model, "");
    t.text("state", &I::state, "`idle`, `waits for approval` or `runs`");
    t.text("started_at", &I::started_at, "empty: never");
    t.text("reason", &I::reason, "why it was started last");
    t.text("approval", &I::approval, "that it waits for; empty: none");
    t.text("ended_at", &I::ended_at, "");
    t.text("outcome", &I::outcome, "of its last run, in a sentence");
    t.text("candidate", &I::candidate, "digest; empty: none");
    t.text("line", &I::line, "it in a line");
    return t;
  }();
  static const auto schema = [] {
    auto t = reply_of<S>("what there is to know of a project");
    t.text("project", &S::project, "");
    t.text("applied", &S::applied, "commit");
    t.objects("services", &S::services, service_schema(), "");
    t.objects("quarantined", &S::quarantined, shut_out, "");
    t.objects("incidents", &S::incidents, IncidentReply::schema(), "that are open");
    t.objects("approvals", &S::approvals, ApprovalReply::schema(), "that wait");
    t.objects("triggers", &S::triggers, trigger, "of heddle.yaml");
    t.objects("next", &S::next, next_schema(), "");
    return t;
  }();
  return schema;
}

}  // namespace heddle::control
