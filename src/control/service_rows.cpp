#include "control/service_rows.hpp"

#include <charconv>
#include <utility>

#include "doc/schema_custom.hpp"
#include "recover/stored.hpp"
#include "watch/judgement_format.hpp"

namespace heddle::control {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;

template <class T>
Schema<T> row(std::string name, std::string about) {
  auto t = Schema<T>::record(std::move(name), std::move(about));
  t.refused_as(ErrorKind::kCorrupt, "control-state",
               "go on with the Heddle that wrote it, or bring `.heddle/state.db` back from a "
               "backup");
  return t;
}

const Schema<ClockJump>& clock_jump_schema() {
  static const auto schema = [] {
    auto t = row<ClockJump>("the clock jump", "event time left its clock");
    t.text("id", &ClockJump::id, "what sets it back names it");
    t.micros("event_time", &ClockJump::event_time, "event time at which it did");
    t.text("reason", &ClockJump::reason, "one sentence");
    return t;
  }();
  return schema;
}

/// A look at a weight that was not judged yet.
const Schema<CanaryLook>& begun_schema() {
  static const auto schema = [] {
    auto t = row<CanaryLook>("the canary's look", "of a weight that was not judged yet");
    t.integer("stepped", &CanaryLook::stepped, "route version that set its weight");
    return t;
  }();
  return schema;
}

}  // namespace

/// The members of a judgement stand beside what came of it.
const Schema<CanaryLook>& judged_look_schema() {
  using Look = CanaryLook;
  static const auto schema = [] {
    auto t = row<Look>("the canary's look", "the last judgement, and what came of it");
    // Its keys are taken over with another place to read to, so that the format is described once.
    for (doc::Key key : watch::judgement_schema().keys) {
      key.set = [set = key.set](void* into, const Value& value, Reader& reader) {
        auto& judgement = static_cast<Look*>(into)->judgement;
        // By the first member that is read.
        if (!judgement) judgement.emplace();
        set(&*judgement, value, reader);
      };
      key.get = [get = key.get](const void* from) {
        return get(&*static_cast<const Look*>(from)->judgement);
      };
      t.keys.push_back(std::move(key));
    }
    t.integer("stepped", &Look::stepped, "route version that set its weight");
    t.micros("event_time", &Look::event_time, "of the judgement");
    t.integer("entry", &Look::entry, "ledger entry of the judgement");
    t.boolean("held", &Look::held, "inconclusive for long: a person decides").optional();
    t.text("approval", &Look::approval, "id of the approval that what follows waits for")
        .optional();
    t.text("denied", &Look::denied, "the rule that kept it from going on").optional();
    return t;
  }();
  return schema;
}

namespace {

const Schema<Snapshot>& canary_schema() {
  using S = Snapshot;
  static const auto schema = [] {
    auto t = row<S>("the canary's state", "how the running canary is judged");
    t.custom(
        "judgement", Shape::kObject,
        "the last one, with its time and what came of it; `stepped` alone before the first; null: "
        "no canary runs",
        [](S& into, const Value& value, Reader& reader) {
          if (value.is_null()) return;
          // A look that has begun has no judgement, whose members are required once there is one.
          const bool is_begun = value.size() == 1 && value.find("stepped") != nullptr;
          reader.read(is_begun ? begun_schema() : judged_look_schema(), value,
                      &into.look.emplace());
        },
        [](const S& from) -> std::optional<Value> { return print_look(from.look); });
    t.keys.back().may_be_null = true;
    t.keys.back().object = &judged_look_schema();
    t.custom(
         "promotion", Shape::kObject,
         "what is proposed when its comparison is made, as a waiting act; null or absent: nothing",
         [](S& into, const Value& value, Reader& reader) {
           if (!value.is_null())
             reader.read(waiting_row_schema(), value, &into.promotion.emplace());
         },
         [](const S& from) -> std::optional<Value> {
           if (!from.promotion) return std::nullopt;
           return waiting_row_schema().print(*from.promotion);
         })
        .optional();
    t.keys.back().may_be_null = true;
    t.micros("next_look", &S::next_look, "event time of the next judgement");
    t.micros("told_at", &S::told_at, "event time from which it has been inconclusive");
    return t;
  }();
  return schema;
}

const Schema<policy::Named>& named_schema() {
  static const auto schema = [] {
    auto t = row<policy::Named>("the digest", "a named digest");
    t.text("name", &policy::Named::name, "what it is");
    t.digest("digest", &policy::Named::digest, "its digest");
    return t;
  }();
  return schema;
}

policy::ActorType actor_type(const std::string& id) {
  if (id.starts_with("system:")) return policy::ActorType::kSystem;
  return id.starts_with("agent:") ? policy::ActorType::kAgent : policy::ActorType::kPerson;
}

const Schema<policy::Proposal>& proposal_schema() {
  using P = policy::Proposal;
  static const auto schema = [] {
    auto t = row<P>("the proposal", "what a person asked for");
    t.text("op_id", &P::op_id, "what it is proposed as").filled();
    t.text("action", &P::action, "its action").filled();
    t.text("target", &P::target, "its target");
    t.custom(
        "actor", Shape::kText, "who asked: a person's name, `agent:NAME`, `system:NAME`",
        [](P& into, const Value& value, Reader&) {
          into.actor.id = value.as_string();
          into.actor.type = actor_type(into.actor.id);
        },
        [](const P& from) -> std::optional<Value> { return Value(from.actor.id); });
    t.custom(
        "proof", Shape::kText, "how it is known who asked",
        [](P& into, const Value& value, Reader&) { into.actor.proof.how = value.as_string(); },
        [](const P& from) -> std::optional<Value> { return Value(from.actor.proof.how); });
    t.custom(
        "claimed", Shape::kText, "a name that was given without a proof of its own",
        [](P& into, const Value& value, Reader&) { into.actor.proof.claimed = value.as_string(); },
        [](const P& from) -> std::optional<Value> { return Value(from.actor.proof.claimed); });
    t.micros("event_time", &P::event_time, "0: not about traffic");
    t.text("reason", &P::reason, "one sentence");
    t.text("incident", &P::incident, "its incident; empty: none");
    t.value("attributes", &P::attributes, Shape::kMap, "what rules see; null: nothing");
    t.keys.back().may_be_null = true;  // of a stop, for example
    t.objects("subjects", &P::subjects, named_schema(), "what it is about");
    t.objects("evidence", &P::evidence, named_schema(), "what it rests on");
    return t;
  }();
  return schema;
}

/// A folder of this name is made, and removed with what is in it.
void is_folder_name(const WorkRow& work, const Value&, Reader& reader) {
  if (work.name.find('/') != std::string::npos || work.name == "." || work.name == "..")
    reader.refuse("name", "must be the name of one folder");
}

}  // namespace

doc::Value print_look(const std::optional<CanaryLook>& look) {
  if (!look) return {};
  return (look->judgement ? judged_look_schema() : begun_schema()).print(*look);
}

std::uint64_t entry_of_decision(std::string_view decision) noexcept {
  constexpr std::string_view kPrefix = "ledger/";
  if (!decision.starts_with(kPrefix)) return 0;
  decision.remove_prefix(kPrefix.size());
  std::uint64_t entry = 0;
  const auto end = decision.data() + decision.size();
  // A text that goes on after the number names no entry.
  const auto [at, error] = std::from_chars(decision.data(), end, entry);
  return error == std::errc() && at == end ? entry : 0;
}

const Schema<Snapshot>& snapshot_schema() {
  using S = Snapshot;
  static const auto schema = [] {
    auto t = row<S>("the state of the control plane", "where the control of a service stands");
    t.of_format("heddle.control/2");
    t.integer("segment", &S::segment, "the journal is read on from here");
    t.integer("offset", &S::offset, "in that segment");
    t.integer("applied", &S::applied, "newest route version that the data plane applied");
    t.micros("tick", &S::tick, "event time of the last tick; -9223372036854775808: there was none");
    t.micros("day", &S::day, "event day of this snapshot");
    doc::object_or_null(t, "clock_jump", &S::clock_jump, clock_jump_schema(),
                        "event time left its clock, and stands so; null: it did not");
    t.integer("findings", &S::findings, "how many findings are stored");
    t.within("canary", canary_schema(), "how the running canary is judged");
    t.object("ladder", &S::ladder, recover::ladder_state_schema(),
             "recovery ([format](recovery.md))");
    return t;
  }();
  return schema;
}

const Schema<RouteRow>& route_row_schema() {
  using R = RouteRow;
  static const auto schema = [] {
    auto t = row<R>("the route version", "what served from a version of the route table on");
    t.integer("version", &R::version, "of the route table", 1);
    t.text("action", &R::action, "of the decision");
    t.digest("primary", &R::primary, "the bundle that answers; empty: none");
    t.digest("standby", &R::standby, "the bundle that stands by; empty: none");
    t.digest("canary", &R::canary, "the canary; empty: none");
    t.integer("weight", &R::weight, "share of the canary in ten-thousandths");
    t.digest("shadow", &R::shadow, "the bundle scored beside; empty: none");
    t.micros("event_time", &R::event_time, "of the decision");
    t.text("decision", &R::decision, "`ledger/N`");
    return t;
  }();
  return schema;
}

const Schema<Repaired>& repaired_schema() {
  static const auto schema = [] {
    auto t = row<Repaired>("the made bundles", "bundles that were made for an act");
    t.digest("of_primary", &Repaired::of_primary, "made from this primary");
    t.digest("of_standby", &Repaired::of_standby, "made from this standby; empty: there was none");
    t.digest("primary", &Repaired::primary, "what the primary is to be");
    t.digest("standby", &Repaired::standby, "what the standby is to be; empty: none");
    return t;
  }();
  return schema;
}

const Schema<WorkRow>& work_row_schema() {
  static const auto schema = [] {
    auto t = row<WorkRow>("the work", "what takes long and a decision needs");
    t.text("command", &WorkRow::command, "of its process")
        .one_of({"retrain", "compare", "postmortem"});
    t.text("name", &WorkRow::name, "of its folder among the runs").filled();
    t.micros("due", &WorkRow::due, "its result counts at this event time or later");
    t.text("request", &WorkRow::request, "what its process reads").filled();
    t.finally(is_folder_name);
    return t;
  }();
  return schema;
}

const Schema<WorkRow>& retrain_row_schema() {
  static const auto schema = [] {
    auto t = row<WorkRow>("the retrain", "a retrain under way");
    t.custom(
        "dir", Shape::kText, "its folder",
        [](WorkRow& into, const Value&, Reader&) { into.command = "retrain"; },
        [](const WorkRow& from) -> std::optional<Value> { return Value(from.name); });
    t.text("name", &WorkRow::name, "its name").filled();
    t.micros("due", &WorkRow::due, "event time from which it is usable");
    t.text("request", &WorkRow::request, "what its process reads").filled();
    t.finally(is_folder_name);
    return t;
  }();
  return schema;
}

const Schema<PostmortemRow>& postmortem_row_schema() {
  static const auto schema = [] {
    auto t = row<PostmortemRow>("the postmortem", "the page of an incident");
    t.text("incident", &PostmortemRow::incident, "its id").filled();
    t.digest("page", &PostmortemRow::page, "of the page").filled();
    t.value("proof", &PostmortemRow::proof, Shape::kAny,
            "how the addition did on recorded traffic; null: there is none");
    return t;
  }();
  return schema;
}

const Schema<WaitingRow>& waiting_row_schema() {
  static const auto schema = [] {
    auto t = row<WaitingRow>("the waiting act", "what is carried out when its approval is given");
    t.text("service", &WaitingRow::service, "of which service").filled();
    t.flattened(&WaitingRow::proposal, proposal_schema());
    return t;
  }();
  return schema;
}

const Schema<LockRow>& lock_row_schema() {
  static const auto schema = [] {
    auto t = row<LockRow>("the lock", "why nothing of a service is decided");
    t.text("id", &LockRow::id, "id of the error").filled();
    t.text("error", &LockRow::error, "its message");
    t.integer("entry", &LockRow::entry, "ledger entry that says so");
    return t;
  }();
  return schema;
}

const Schema<TlsRow>& tls_row_schema() {
  static const auto schema = [] {
    auto t = row<TlsRow>("the TLS files", "files of a data plane, by their digests");
    t.text("certificate", &TlsRow::certificate, "absent: none").optional();
    t.text("client_ca", &TlsRow::client_ca, "absent: none").optional();
    t.text("since", &TlsRow::since, "wall time; absent: none were ever told").optional();
    t.integer("entry", &TlsRow::entry, "ledger entry").optional();
    // An act that is read again must not be recorded twice.
    t.texts("heard", &TlsRow::heard, "acts that told, which may be read again after a crash");
    return t;
  }();
  return schema;
}

const Schema<plane::SandboxRecord>& worker_schema() {
  using W = plane::SandboxRecord;
  static const auto schema = [] {
    auto t = row<W>("the worker", "a worker process of a data plane");
    t.text("slot", &W::slot, "of which slot");
    t.text("bundle", &W::bundle, "digest of its bundle");
    t.text("in_force", &W::in_force, "layers of the sandbox that hold");
    t.text("missing", &W::missing, "layers that this machine does not have; empty: none");
    return t;
  }();
  return schema;
}

const Schema<SandboxRow>& sandbox_row_schema() {
  static const auto schema = [] {
    auto t = row<SandboxRow>("the sandboxes", "of a data plane's workers");
    t.integer("number", &SandboxRow::number, "of the telling");
    t.objects("workers", &SandboxRow::workers, worker_schema(), "one each");
    return t;
  }();
  return schema;
}

}  // namespace heddle::control
