#include "policy/engine.hpp"

#include <mutex>

#include "base/encoding.hpp"
#include "base/signature.hpp"
#include "policy/request.hpp"
#include "policy/standing.hpp"

namespace heddle::policy {
namespace {

using Pairs = std::vector<std::pair<std::string, Digest>>;

Pairs pairs(const std::vector<Named>& items) {
  Pairs list;
  for (const auto& item : items) list.emplace_back(item.name, item.digest);
  return list;
}

std::string_view effect_word(Effect effect) noexcept {
  switch (effect) {
    case Effect::kAllow: return "allow";
    case Effect::kRequireApproval: return "require_approval";
    default: return "deny";
  }
}

/// What goes into the ledger of the attributes: long texts by their digest.
doc::Value recorded(const doc::Value& attributes) {
  if (!attributes.is_object()) return {};
  auto value = doc::Value::object();
  for (const auto& [key, item] : attributes.as_object()) {
    // The page of an incident travels as an attribute: the ledger keeps its digest, and the page is
    // evidence of its own.
    value.set(key, item.is_string() && item.as_string().size() > 512
                       ? doc::Value(sha256(item.as_string()).str())
                       : item);
  }
  return value;
}

/// In their order: subjects are listed by who proposes, always in the same one.
bool same(const std::vector<Named>& a, const std::vector<Named>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Named& x, const Named& y) {
    return x.name == y.name && x.digest == y.digest;
  });
}

/// Evidence may be added while somebody thinks about it, and none may go. Names are for people: the
/// digest decides.
bool holds_all(const std::vector<Named>& all, const std::vector<Named>& some) {
  return std::all_of(some.begin(), some.end(), [&](const Named& item) {
    return std::any_of(all.begin(), all.end(),
                       [&](const Named& other) { return other.digest == item.digest; });
  });
}

/// Whether the signatures given fill every need: each counts for all needs whose role its person
/// has. Who asked never counts.
bool fulfilled(const Approval& approval, const Rulebook& rules) {
  for (const auto& need : approval.needs) {
    // One person with two roles may count for two needs, and never twice for one: a second
    // signature of theirs is refused.
    int given = 0;
    for (const auto& signature : approval.signatures) {
      const auto* person = rules.person(signature.person);
      // Of a person who has left people.yaml since, a yes counts no more.
      if (person == nullptr || asked_by(approval, signature.person)) continue;
      given += need.role.empty() || std::find(person->roles.begin(), person->roles.end(),
                                              need.role) != person->roles.end()
                   ? 1
                   : 0;
    }
    if (given < need.approvals) return false;
  }
  return true;
}

/// The same members with the same values, in any order.
bool same_binds(const doc::Value& a, const doc::Value& b) {
  if (a.size() != b.size()) return false;
  if (!a.is_object()) return true;
  return std::all_of(a.as_object().begin(), a.as_object().end(), [&](const auto& member) {
    const auto* other = b.find(member.first);
    return other != nullptr && *other == member.second;
  });
}

bool same_needs(const std::vector<Need>& a, const std::vector<Need>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Need& x, const Need& y) {
    return x.rule == y.rule && x.approvals == y.approvals && x.role == y.role;
  });
}

/// What of an approval's statement is not so in the proposal made now; empty: it is the same act on
/// the same state.
std::string what_changed(const Approval& approval, const Proposal& proposal) {
  // The slot is in the statement that was signed, though it is not among what the proposal binds.
  if (approval.slot != proposal.attributes.string_or("slot"))
    return "it is proposed for another slot now";
  if (!same_binds(approval.binds, proposal.binds)) {
    // An approval of before binds were written, or a proposal without: nothing can be compared, so
    // it is not the same.
    if (!approval.binds.is_object() || !proposal.binds.is_object())
      return "what it was asked against is not known";
    for (const auto& [name, value] : approval.binds.as_object()) {
      const auto* now = proposal.binds.find(name);
      if (now != nullptr && *now == value) continue;
      return fmt::format("`{}` was `{}` when it was asked and is `{}` now", name,
                         value.is_string() ? value.as_string() : "",
                         proposal.binds.string_or(name));
    }
    return "what it was asked against has changed";
  }
  if (!same(approval.subjects, proposal.subjects)) return "other digests are proposed now";
  if (!holds_all(proposal.evidence, approval.evidence))
    return "the evidence it was asked on is not named any more";
  return {};
}

/// An approval that was read outside a transaction, with what the check of its stored signatures
/// said.
struct Checked {
  Approval approval;
  std::string
      wrong{};  ///< empty: every signature is its person's over exactly what would be carried out
};

/// An act that only a person may do. A signature under one is the person's own word, and is enough
/// where no rule speaks; who is known only by an account of the system needs a rule for the role.
struct PersonsAct {
  std::string_view action;
  const char* refusal;  ///< the rule that denies it to others
  const char* why;
  const char* by_signature;  ///< the rule that allows it to a signature
};
constexpr PersonsAct kPersonsActs[] = {
    {"service.resume", "resume-needs-a-person", "only a person clears a stop",
     "resume-by-a-signature"},
    {"clock.set", "clock-needs-a-person", "only a person says that a clock is right",
     "clock-by-a-signature"},
};

const PersonsAct* persons_act(std::string_view action) noexcept {
  for (const PersonsAct& act : kPersonsActs) {
    if (act.action == action) return &act;
  }
  return nullptr;
}

bool is_data_plane(const Actor& actor) {
  return actor.type == ActorType::kSystem && actor.id == "system:data-plane";
}

/// Acts that no rule may forbid: a stop, and the record of what happened to the clock.
std::optional<Verdict> allowed_without_rules(const Proposal& proposal) {
  if (proposal.action == "service.stop")
    return Verdict{Effect::kAllow, {"stop-is-always-allowed"}, {}, {}};
  if (proposal.action == "clock.jump" && is_data_plane(proposal.actor))
    return Verdict{Effect::kAllow, {"what-happened-is-recorded"}, {}, {}};
  return std::nullopt;
}

/// Whether the act may be done while its service is stopped.
bool passes_stop(const Proposal& proposal, bool by_person) {
  // The one act that a stop is about. Whether this actor may do it is looked at before.
  if (proposal.action == "service.resume") return true;
  // What the data plane did by itself has happened: a stop that came after it does not keep it off
  // the record.
  if (is_data_plane(proposal.actor) &&
      (proposal.action == "slot.fail-over" || proposal.action == "canary.abort"))
    return true;
  // A stop is an incident: what people write down about it changes nothing that is served.
  return by_person && is_record_action(proposal.action);
}

Error denied(const char* id, std::string message, std::string hint) {
  return {ErrorKind::kDenied, id, std::move(message), std::move(hint)};
}

}  // namespace

struct LocalEngine::Impl {
  Impl(store::State& state_in, ledger::Ledger& ledger_in, const Clock& clock_in)
      : state(state_in), ledger(ledger_in), clock(clock_in) {}

  store::State& state;
  ledger::Ledger& ledger;
  const Clock& clock;
  mutable std::mutex mutex;  ///< guards what follows; never held inside a transaction
  std::shared_ptr<const Rulebook> rules;
  spec::Project project;

  [[nodiscard]] std::shared_ptr<const Rulebook> rulebook() const {
    const std::lock_guard lock(mutex);
    return rules;
  }

  /// As it is at `time`.
  static void see_at(Approval& approval, Micros time) {
    // For who reads only: nothing is written until the approval is used or asked about.
    if (!is_open(approval) || time < approval.expires) return;
    approval.status = Approval::Status::kExpired;
    approval.void_because = fmt::format("it expired at {}", format_time(approval.expires));
  }

  Result<Micros> now(store::Txn& txn) {
    HEDDLE_ASSIGN_OR_RETURN(const auto last, ledger.now(txn));
    // A clock that was set back must not make an approval valid again: the ledger's last entry is a
    // time that has been.
    return std::max(clock.wall(), last);
  }

  Result<Verdict> judge(store::Txn& txn, const Rulebook& book, const Proposal& proposal) {
    if (auto allowed = allowed_without_rules(proposal)) return *std::move(allowed);
    const auto service = service_of(proposal);
    const bool person =
        proposal.actor.type == ActorType::kPerson && !book.is_service_account(proposal.actor.id);
    HEDDLE_ASSIGN_OR_RETURN(const bool stopped, is_stopped(txn, service));
    const PersonsAct* const for_persons = persons_act(proposal.action);
    // Before the rules: no policy can give such an act to an agent.
    if (for_persons != nullptr && !person)
      return Verdict{Effect::kDeny, {for_persons->refusal}, {}, for_persons->why};
    if (stopped && !passes_stop(proposal, person))
      return Verdict{Effect::kDeny,
                     {"stop"},
                     {},
                     "it is stopped: only a person clears that, with `heddle resume`"};
    Micros time = proposal.event_time;
    if (time == 0) {
      HEDDLE_ASSIGN_OR_RETURN(time, now(txn));
    }
    Result<void> counted;
    auto verdict =
        book.evaluate(proposal, [&](std::string_view action, Micros window) -> std::int64_t {
          const auto count = count_applied(txn, action, service, time, window);
          if (count) return *count;
          // `evaluate` takes a number and no error: that ends the decision below.
          counted = count.error();
          return INT64_MAX;
        });
    HEDDLE_TRY(std::move(counted));
    const bool signed_by_hand = person && proposal.actor.proof.how == "signature";
    if (for_persons != nullptr && signed_by_hand &&
        // Only where no rule speaks: one that denies it by name holds for a signature too.
        verdict.rules == std::vector<std::string>{"default-deny"})
      return Verdict{Effect::kAllow, {for_persons->by_signature}, {}, {}};
    // Budgets bound agents and the system's own parts, whoever approved; a person's own act is not
    // counted against them.
    if (verdict.effect != Effect::kDeny && !person)
      HEDDLE_TRY(hold_to_budgets(txn, book, proposal, time, verdict));
    return verdict;
  }

  /// Denies what goes past a budget of the service.
  static Result<void> hold_to_budgets(store::Txn& txn, const Rulebook& book,
                                      const Proposal& proposal, Micros time, Verdict& verdict) {
    const auto service = service_of(proposal);
    for (const auto& budget : book.budgets(service)) {
      if (!glob_match(budget.action, proposal.action)) continue;
      HEDDLE_ASSIGN_OR_RETURN(const auto count,
                              count_applied(txn, budget.action, service, time, budget.window));
      // The limit is how many may be done: this one would be the next.
      if (count < budget.limit) continue;
      verdict.effect = Effect::kDeny;
      // A yes of a person does not raise a budget, so nobody is asked for one.
      verdict.needs.clear();
      verdict.rules.insert(verdict.rules.begin(), "budget:" + budget.id);
      verdict.reason =
          fmt::format("budget `{}` is used up: {} of {}", budget.id, count, budget.limit);
      break;
    }
    return {};
  }

  ledger::Entry entry_of(const Proposal& proposal, const Verdict& verdict, const Rulebook& book,
                         const char* result) {
    ledger::Entry entry;
    entry.op_id = proposal.op_id;
    entry.actor_type = type_word(proposal.actor.type);
    entry.actor = proposal.actor.id;
    entry.action = proposal.action;
    entry.target = proposal.target;
    entry.subjects = pairs(proposal.subjects);
    entry.policy = book.digest();
    entry.decision = effect_word(verdict.effect);
    entry.rules = verdict.rules;
    entry.attributes = recorded(proposal.attributes);
    record_proof(entry.attributes, proposal.actor.proof);
    entry.evidence = pairs(proposal.evidence);
    entry.result = result;
    entry.reason = proposal.reason;
    entry.incident = proposal.incident;
    entry.event_time = proposal.event_time;
    return entry;
  }

  /// Appends the decision and remembers what became of the op_id.
  Result<std::uint64_t> settle(store::Txn& txn, ledger::Entry entry, const char* state_name) {
    Operation operation{state_name, entry.action,  entry.target, entry.rules, entry.policy,
                        0,          entry.approval};
    const auto op_id = entry.op_id;
    HEDDLE_ASSIGN_OR_RETURN(operation.entry, ledger.append(txn, std::move(entry)));
    HEDDLE_TRY(write_operation(txn, op_id, operation));
    return operation.entry;
  }

  Result<void> deny(store::Txn& txn, const Proposal& proposal, const Verdict& verdict,
                    const Rulebook& book, const std::optional<Operation>& before,
                    Decision& decision) {
    decision.effect = Effect::kDeny;
    decision.rules = verdict.rules;
    decision.reason = verdict.reason;
    // The same answer to the same question is one record.
    if (before && before->state == "denied" && before->rules == verdict.rules &&
        before->policy == book.digest()) {
      decision.entry = before->entry;
      return {};
    }
    auto entry = entry_of(proposal, verdict, book, "denied");
    entry.decision = "deny";
    entry.attributes.set("why", verdict.reason);
    // So that a later proposal of the same act finds the approval that it once had.
    if (before) entry.approval = before->approval;
    HEDDLE_ASSIGN_OR_RETURN(decision.entry, settle(txn, std::move(entry), "denied"));
    return {};
  }

  Result<void> carry_out(store::Txn& txn, const Proposal& proposal, const Verdict& verdict,
                         const Rulebook& book, const std::string& approval,
                         const std::function<Result<void>(store::Txn&)>& apply,
                         Decision& decision) {
    auto entry = entry_of(proposal, verdict, book, "applied");
    entry.approval = approval;
    HEDDLE_ASSIGN_OR_RETURN(decision.entry, settle(txn, std::move(entry), "applied"));
    Micros time = proposal.event_time;
    if (time == 0) {
      HEDDLE_ASSIGN_OR_RETURN(time, now(txn));
    }
    // Budgets and counts are of event time, as what they bound is: a replay of a day counts that
    // day.
    HEDDLE_TRY(note_applied(txn, proposal.action, service_of(proposal), time, decision.entry));
    if (proposal.action == "service.stop")
      HEDDLE_TRY(set_stopped(txn, scope_of(proposal), proposal.actor.id, decision.entry));
    if (proposal.action == "service.resume") HEDDLE_TRY(clear_stopped(txn, scope_of(proposal)));
    // Last, and in the same transaction: where it fails, nothing of the decision stays, its entry
    // included.
    HEDDLE_TRY(apply(txn));
    decision.effect = verdict.effect;
    decision.rules = verdict.rules;
    decision.approval = approval;
    decision.applied = true;
    return {};
  }

  static std::string scope_of(const Proposal& proposal) {
    const auto service = service_of(proposal);
    return service.empty() ? "*" : service;
  }

  Result<void> ask(store::Txn& txn, const Proposal& proposal, Verdict& verdict,
                   const Rulebook& book, const std::optional<Operation>& before,
                   const std::function<Result<void>()>& possible, Decision& decision) {
    if (proposal.actor.type == ActorType::kSystem) {
      // Nobody is who asked: then nobody could be kept from approving what he asked for himself.
      verdict.effect = Effect::kDeny;
      verdict.rules.insert(verdict.rules.begin(), "requester-unproven");
      verdict.reason = fmt::format(
          "`{}` is no person, and what needs an approval is asked for by one", proposal.actor.id);
      return deny(txn, proposal, verdict, book, before, decision);
    }
    // Before a person is asked: a question whose yes could not be carried out wastes their time.
    if (possible) HEDDLE_TRY(possible());
    Approval approval;
    HEDDLE_ASSIGN_OR_RETURN(approval.id, next_approval_id(txn));
    HEDDLE_ASSIGN_OR_RETURN(approval.asked, now(txn));
    approval.op_id = proposal.op_id;
    approval.requester = proposal.actor.id;
    approval.claimed = proposal.actor.proof.claimed;
    approval.action = proposal.action;
    approval.target = proposal.target;
    approval.slot = proposal.attributes.string_or("slot");
    approval.subjects = proposal.subjects;
    approval.evidence = proposal.evidence;
    approval.binds = proposal.binds;
    approval.policy = book.digest();
    approval.needs = verdict.needs;
    Micros within = verdict.needs.front().within;
    // Several rules may ask: the shortest time of theirs counts.
    for (const auto& need : verdict.needs) within = std::min(within, need.within);
    approval.expires = approval.asked + within;
    approval.asked_event_time = proposal.event_time;
    approval.reason = proposal.reason;
    // With a number that nobody can guess: a signature under one question is none under another
    // that reads the same.
    write_statement(approval, hex_encode(random_bytes(16)));
    auto entry = entry_of(proposal, verdict, book, "requested");
    entry.approval = approval.id;
    entry.evidence.emplace_back("statement", sha256(approval.statement));
    HEDDLE_ASSIGN_OR_RETURN(approval.entry, settle(txn, std::move(entry), "asked"));
    HEDDLE_TRY(write_approval(txn, approval));
    return wait(approval, verdict, decision);
  }

  static Result<void> wait(const Approval& approval, const Verdict& verdict, Decision& decision) {
    decision.effect = Effect::kRequireApproval;
    decision.rules = verdict.rules;
    decision.entry = approval.entry;
    decision.approval = approval.id;
    return {};
  }

  /// Ends an approval that can serve no more, with an entry that says why.
  Result<void> close(store::Txn& txn, Approval& approval, Approval::Status status,
                     std::string reason) {
    approval.status = status;
    approval.void_because = std::move(reason);
    ledger::Entry entry;
    entry.op_id = approval.id + "/close";
    entry.actor_type = "system";
    entry.actor = "system:policy";
    entry.action = status == Approval::Status::kExpired ? "approval.expire" : "approval.void";
    entry.target = "approval/" + approval.id;
    entry.subjects = pairs(approval.subjects);
    entry.evidence = {{"statement", sha256(approval.statement)}};
    entry.approval = approval.id;
    entry.result = status_name(status);
    entry.reason = approval.void_because;
    if (const auto appended = ledger.append(txn, std::move(entry)); !appended)
      return appended.error();
    return write_approval(txn, approval);
  }

  /// The approval of the act, if a person said yes to it, with its stored signatures verified
  /// again: what lies in the state is not signed by the ledger. Runs processes, so outside any
  /// transaction.
  Result<std::optional<Checked>> check_signatures(const Proposal& proposal, const Rulebook& book) {
    std::optional<Approval> found;
    HEDDLE_TRY(state.read([&](store::Txn& txn) -> Result<void> {
      std::string id = proposal.approval;
      if (id.empty()) {
        HEDDLE_ASSIGN_OR_RETURN(const auto before, read_operation(txn, proposal.op_id));
        // What was applied needs no yes any more.
        if (before && before->state != "applied") id = before->approval;
      }
      if (!id.empty()) {
        HEDDLE_ASSIGN_OR_RETURN(found, read_approval(txn, id));
      }
      return {};
    }));
    if (!found || found->status != Approval::Status::kApproved) return std::optional<Checked>();
    Checked checked{std::move(*found)};
    if (!says_statement(checked.approval))
      checked.wrong = "its statement is not what is stored beside it";
    for (const auto& signature : checked.approval.signatures) {
      if (!checked.wrong.empty()) break;
      const auto* person = book.person(signature.person);
      if (person == nullptr) continue;  // counts for nothing: `fulfilled` leaves it out too
      const auto good = verify_signature(*person, checked.approval.statement, signature.armored);
      if (good.ok()) continue;
      // `ssh-keygen` could not be run: that says nothing of the signature, and must not void the
      // approval.
      if (good.error().kind != ErrorKind::kDenied) return good.error();
      checked.wrong = fmt::format("the stored signature of `{}` does not verify", signature.person);
    }
    if (checked.wrong.empty() && !fulfilled(checked.approval, book))
      checked.wrong = "its stored signatures are not those it needs";
    return std::optional<Checked>(std::move(checked));
  }

  /// Why an approval that is open can serve this proposal no more, and what it becomes; empty: it
  /// still can.
  struct Stale {
    std::string why{};
    Approval::Status status = Approval::Status::kVoid;
  };
  Result<Stale> stale(store::Txn& txn, const Approval& approval, const Proposal& proposal,
                      const Verdict& verdict, const Rulebook& book,
                      const std::optional<Checked>& checked) {
    HEDDLE_ASSIGN_OR_RETURN(const auto time, now(txn));
    if (time >= approval.expires) {
      return Stale{fmt::format("it expired at {}", format_time(approval.expires)),
                   Approval::Status::kExpired};
    }
    // A rule that was added since may ask for more than what was signed.
    if (approval.policy != book.digest()) return Stale{"it was asked under another policy"};
    if (auto changed = what_changed(approval, proposal); !changed.empty())
      return Stale{std::move(changed)};
    // Needs are in no statement: they are what the rules ask for now, not what is stored.
    if (!same_needs(approval.needs, verdict.needs))
      return Stale{"the rules ask for other approvals than these"};
    if (approval.status == Approval::Status::kApproved && checked && !checked->wrong.empty() &&
        // What was checked is what is there now: an answer that came since is looked at the next
        // time.
        checked->approval == approval) {
      return Stale{checked->wrong};
    }
    return Stale{};
  }

  /// A proposal that needs an approval: asks for it, waits for it, or uses it up.
  Result<void> with_approval(store::Txn& txn, const Proposal& proposal, Verdict& verdict,
                             const Rulebook& book, const std::optional<Operation>& before,
                             const std::optional<Checked>& checked,
                             const std::function<Result<void>(store::Txn&)>& apply,
                             const std::function<Result<void>()>& possible, Decision& decision) {
    using Status = Approval::Status;
    std::optional<Approval> approval;
    const std::string id = !proposal.approval.empty() ? proposal.approval
                           : before                   ? before->approval
                                                      : "";
    if (!id.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(approval, read_approval(txn, id));
    }
    const auto refuse = [&](const char* rule, std::string reason) {
      decision.approval = id;
      verdict.effect = Effect::kDeny;
      verdict.rules.insert(verdict.rules.begin(), rule);
      verdict.reason = std::move(reason);
      return deny(txn, proposal, verdict, book, before, decision);
    };
    const auto ask_anew = [&](const std::string& why) {
      // Who names an approval means that one. To ask for another in its place would surprise the
      // person who said yes.
      if (!proposal.approval.empty()) return refuse("approval-void", why);
      return ask(txn, proposal, verdict, book, before, possible, decision);
    };
    if (!approval) return ask_anew("there is no such approval");
    if (approval->status == Status::kRejected) {
      // A no stays a no for this act, however often it is proposed again.
      return refuse("approval-rejected", fmt::format("`{}` rejected it", approval->rejected_by));
    }
    if (!is_open(*approval)) {
      return ask_anew(fmt::format("`{}` is {}", approval->id, status_name(approval->status)));
    }
    if (approval->op_id != proposal.op_id || approval->action != proposal.action ||
        approval->target != proposal.target) {
      return refuse("approval-other-act", fmt::format("`{}` is for `{}` of `{}`", id,
                                                      approval->action, approval->target));
    }
    HEDDLE_ASSIGN_OR_RETURN(const auto ended,
                            stale(txn, *approval, proposal, verdict, book, checked));
    if (!ended.why.empty()) {
      HEDDLE_TRY(close(txn, *approval, ended.status, ended.why));
      return ask_anew(ended.why);
    }
    // Approved by another thread since the signatures were checked: the next proposal of it finds
    // them checked.
    const bool sound = checked && checked->approval == *approval;
    if (approval->status != Status::kApproved || !sound) return wait(*approval, verdict, decision);
    // Used up with what it allows, in one transaction: it serves once, also across a crash.
    approval->status = Status::kUsed;
    HEDDLE_TRY(write_approval(txn, *approval));
    return carry_out(txn, proposal, verdict, book, approval->id, apply, decision);
  }

  /// By what the rules say now: in `txn`, with what was known of the act before.
  Result<void> decide(store::Txn& txn, const Proposal& proposal, const Rulebook& book,
                      const std::optional<Operation>& before, const std::optional<Checked>& checked,
                      const std::function<Result<void>(store::Txn&)>& apply,
                      const std::function<Result<void>()>& possible, Decision& decision) {
    HEDDLE_ASSIGN_OR_RETURN(auto verdict, judge(txn, book, proposal));
    switch (verdict.effect) {
      case Effect::kDeny: return deny(txn, proposal, verdict, book, before, decision);
      case Effect::kRequireApproval:
        return with_approval(txn, proposal, verdict, book, before, checked, apply, possible,
                             decision);
      default: return carry_out(txn, proposal, verdict, book, "", apply, decision);
    }
  }

  Result<Decision> act(const Proposal& proposal,
                       const std::function<Result<void>(store::Txn&)>& apply,
                       const std::function<Result<void>()>& possible, const Beside& beside) {
    if (proposal.op_id.empty() || proposal.action.empty()) {
      return Error{ErrorKind::kInternal, "proposal-malformed",
                   "a proposal needs an op_id and an action"};
    }
    const auto book = rulebook();
    HEDDLE_ASSIGN_OR_RETURN(const auto checked, check_signatures(proposal, *book));
    Decision decision;
    HEDDLE_TRY(state.write([&](store::Txn& txn) -> Result<void> {
      decision = {};
      HEDDLE_ASSIGN_OR_RETURN(const auto before, read_operation(txn, proposal.op_id));
      if (before && (before->action != proposal.action || before->target != proposal.target)) {
        return Error{ErrorKind::kConflict, "op-id-reused",
                     fmt::format("`{}` names `{}` of `{}` already", proposal.op_id, before->action,
                                 before->target),
                     "another act needs another op_id"};
      }
      // After a crash the caller does not know whether it was done, so it asks again: the answer is
      // the first one.
      if (before && before->state == "applied") {
        decision.effect = Effect::kAllow;
        decision.rules = before->rules;
        decision.applied = decision.repeated = true;
        decision.entry = before->entry;
        decision.approval = before->approval;
        return {};
      }
      HEDDLE_TRY(decide(txn, proposal, *book, before, checked, apply, possible, decision));
      return beside ? beside(txn, decision) : Result<void>();
    }));
    return decision;
  }

  /// The approval `id`, if it is open and `person` may answer it in some way.
  Result<Approval> answerable(store::Txn& txn, const Rulebook& book, const std::string& id,
                              const std::string& person) {
    HEDDLE_ASSIGN_OR_RETURN(auto approval, read_approval(txn, id));
    if (!approval) {
      return Error{ErrorKind::kNotFound, "approval-unknown",
                   fmt::format("there is no approval `{}`", id), "see `heddle approval list`"};
    }
    // Names of other kinds are told apart by their beginning: people.yaml cannot have such a
    // person.
    if (person.starts_with("agent:") || person.starts_with("system:") ||
        book.is_service_account(person)) {
      return denied("approval-not-a-person", fmt::format("`{}` is no person", person),
                    "only a person of people.yaml can approve or reject");
    }
    if (book.person(person) == nullptr) {
      return denied("approval-unknown-person", fmt::format("`{}` is not in people.yaml", person),
                    "add the person and run `heddle apply`");
    }
    const auto closed = [&](const char* error, std::string message) {
      return Error{ErrorKind::kConflict, error, std::move(message),
                   fmt::format("`heddle approval show {}` says how to ask again", id)};
    };
    switch (approval->status) {
      case Approval::Status::kUsed:
        return closed("approval-used", fmt::format("`{}` was used; an approval serves once", id));
      case Approval::Status::kRejected:
        return closed("approval-rejected",
                      fmt::format("`{}` was rejected by `{}`: {}", id, approval->rejected_by,
                                  approval->rejected_because));
      case Approval::Status::kVoid:
        return closed("approval-void", fmt::format("`{}` is void: {}", id, approval->void_because));
      case Approval::Status::kExpired:
        return denied("approval-expired",
                      fmt::format("`{}` expired at {}", id, format_time(approval->expires)),
                      "ask for it again");
      default: return std::move(*approval);
    }
  }

  static bool holds_role(const spec::Person& person, const Approval& approval) {
    return std::any_of(approval.needs.begin(), approval.needs.end(), [&](const Need& need) {
      return need.role.empty() ||
             std::find(person.roles.begin(), person.roles.end(), need.role) != person.roles.end();
    });
  }

  static Error missing_role(const Approval& approval, const std::string& person) {
    return denied("approval-missing-role",
                  fmt::format("`{}` does not have the role `{}`", person,
                              approval.needs.empty() ? "" : approval.needs.front().role),
                  "ask a person who has it; roles are in people.yaml");
  }

  /// Everything about a yes that can be said without looking at the signature.
  Result<Approval> approvable(store::Txn& txn, const Rulebook& book, const std::string& id,
                              const std::string& person) {
    HEDDLE_ASSIGN_OR_RETURN(auto approval, answerable(txn, book, id, person));
    if (approval.policy != book.digest()) {
      return denied("approval-policy-changed",
                    fmt::format("`{}` was asked under another policy", id), "ask for it again");
    }
    if (asked_by(approval, person)) {
      return denied("approval-by-requester",
                    fmt::format("`{}` asked for it and cannot approve it", person),
                    "ask another person");
    }
    if (!holds_role(*book.person(person), approval)) return missing_role(approval, person);
    const auto service = approval.binds.string_or("service");
    HEDDLE_ASSIGN_OR_RETURN(const bool stopped, is_stopped(txn, service));
    if (stopped) {
      // A yes that waits out a stop would be carried out when nobody thinks of it any more.
      return Error{ErrorKind::kConflict, "approval-while-stopped",
                   fmt::format("`{}` is stopped: nothing of it is changed", service),
                   fmt::format("`heddle resume {}` first", service)};
    }
    for (const auto& signature : approval.signatures) {
      if (signature.person != person) continue;
      return Error{ErrorKind::kConflict, "approval-already-given",
                   fmt::format("`{}` approved `{}` already", person, id), "another person has to"};
    }
    return approval;
  }

  /// Closes an open approval whose time is over, so that a clock set back does not open it again.
  Result<void> close_if_expired(store::Txn& txn, Approval& approval) {
    if (!is_open(approval)) return {};
    HEDDLE_ASSIGN_OR_RETURN(const auto time, now(txn));
    if (time < approval.expires) return {};
    return close(txn, approval, Approval::Status::kExpired,
                 fmt::format("it expired at {}", format_time(approval.expires)));
  }

  Result<void> expire(const std::string& id) {
    return state.write([&](store::Txn& txn) -> Result<void> {
      HEDDLE_ASSIGN_OR_RETURN(auto approval, read_approval(txn, id));
      return approval ? close_if_expired(txn, *approval) : Result<void>();
    });
  }

  static ledger::Entry answer_entry(const Approval& approval, const std::string& person,
                                    const char* action) {
    ledger::Entry entry;
    entry.op_id = fmt::format("{}/{}/{}", approval.id, action, person);
    entry.actor_type = "person";
    entry.actor = person;
    entry.action = action;
    entry.target = "approval/" + approval.id;
    entry.subjects = pairs(approval.subjects);
    entry.evidence = {{"statement", sha256(approval.statement)}};
    entry.approval = approval.id;
    return entry;
  }
};

LocalEngine::LocalEngine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LocalEngine::~LocalEngine() = default;

Result<std::unique_ptr<LocalEngine>> LocalEngine::open(store::State& state, ledger::Ledger& ledger,
                                                       const spec::Project& project,
                                                       const Clock& clock) {
  std::unique_ptr<LocalEngine> engine(
      new LocalEngine(std::make_unique<Impl>(state, ledger, clock)));
  HEDDLE_TRY(engine->load(project));
  HEDDLE_TRY(state.write([](store::Txn& txn) { return index_approvals(txn); }));
  return engine;
}

Result<void> LocalEngine::load(const spec::Project& project) {
  HEDDLE_ASSIGN_OR_RETURN(auto book, Rulebook::compile(project));
  auto rules = std::make_shared<const Rulebook>(std::move(book));
  const std::lock_guard lock(impl_->mutex);
  impl_->rules = std::move(rules);
  impl_->project = project;
  return {};
}

Result<Decision> LocalEngine::act(const Proposal& proposal,
                                  const std::function<Result<void>(store::Txn&)>& apply,
                                  const std::function<Result<void>()>& possible,
                                  const Beside& beside) {
  return impl_->act(proposal, apply, possible, beside);
}

Result<Verdict> LocalEngine::evaluate(const Proposal& proposal) {
  const auto book = impl_->rulebook();
  Verdict verdict;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(verdict, impl_->judge(txn, *book, proposal));
    return {};
  }));
  return verdict;
}

Result<Approval> LocalEngine::approve(const std::string& id, const std::string& person,
                                      const std::string& armored) {
  const auto book = impl_->rulebook();
  HEDDLE_TRY(impl_->expire(id));
  Approval approval;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(approval, impl_->approvable(txn, *book, id, person));
    return {};
  }));
  // Outside any transaction: it runs a process. What was found is looked at again afterwards.
  HEDDLE_TRY(verify_signature(*book->person(person), approval.statement, armored));
  HEDDLE_TRY(impl_->state.write([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(auto fresh, impl_->approvable(txn, *book, id, person));
    // The signature is over the statement that was read before. Under another one it would be a yes
    // to something else.
    if (fresh.statement != approval.statement) {
      return Error{ErrorKind::kConflict, "approval-changed",
                   fmt::format("`{}` changed meanwhile", id), "look at it again"};
    }
    HEDDLE_ASSIGN_OR_RETURN(const auto time, impl_->now(txn));
    fresh.signatures.push_back({person, armored, time});
    const bool enough = fulfilled(fresh, *book);
    if (enough) fresh.status = Approval::Status::kApproved;
    auto entry = Impl::answer_entry(fresh, person, "approval.approve");
    entry.evidence.emplace_back("signature", sha256(armored));
    // Whole, so that `ssh-keygen -Y verify` and the ledger alone can prove it later, without this
    // state.
    entry.attributes = doc::Value::object({{"signature", armored}, {"statement", fresh.statement}});
    entry.result = enough ? "approved" : "one-of-several";
    if (const auto appended = impl_->ledger.append(txn, std::move(entry)); !appended)
      return appended.error();
    if (auto written = write_approval(txn, fresh); !written) return written;
    approval = std::move(fresh);
    return {};
  }));
  return approval;
}

Result<Approval> LocalEngine::reject(const std::string& id, const Actor& who,
                                     const std::string& reason) {
  const auto book = impl_->rulebook();
  HEDDLE_TRY(impl_->expire(id));
  Approval approval;
  HEDDLE_TRY(impl_->state.write([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(approval, impl_->answerable(txn, *book, id, who.id));
    // Who asked may take it back; else a no is for those who could say yes.
    if (!asked_by(approval, who.id) && !Impl::holds_role(*book->person(who.id), approval)) {
      return Impl::missing_role(approval, who.id);
    }
    approval.status = Approval::Status::kRejected;
    approval.rejected_by = who.id;
    approval.rejected_because = reason;
    auto entry = Impl::answer_entry(approval, who.id, "approval.reject");
    entry.result = "rejected";
    entry.reason = reason;
    record_proof(entry.attributes, who.proof);
    if (const auto appended = impl_->ledger.append(txn, std::move(entry)); !appended)
      return appended.error();
    return write_approval(txn, approval);
  }));
  return approval;
}

Result<void> LocalEngine::void_stale(store::Txn& txn,
                                     const std::function<std::string(const Approval&)>& why) {
  HEDDLE_ASSIGN_OR_RETURN(auto approvals, read_open_approvals(txn));
  for (auto& approval : approvals) {
    if (auto reason = why(approval); !reason.empty()) {
      HEDDLE_TRY(impl_->close(txn, approval, Approval::Status::kVoid, std::move(reason)));
    }
  }
  return {};
}

Result<void> LocalEngine::void_stale(const std::function<std::string(const Approval&)>& why) {
  return impl_->state.write([&](store::Txn& txn) { return void_stale(txn, why); });
}

Result<void> LocalEngine::close_expired() {
  return impl_->state.write([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(auto approvals, read_open_approvals(txn));
    for (auto& approval : approvals) HEDDLE_TRY(impl_->close_if_expired(txn, approval));
    return {};
  });
}

Result<bool> LocalEngine::applied(const std::string& op_id) {
  bool applied = false;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto before, read_operation(txn, op_id));
    applied = before && before->state == "applied";
    return {};
  }));
  return applied;
}

Result<Approval> LocalEngine::approval(const std::string& id) {
  std::optional<Approval> found;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(found, read_approval(txn, id));
    HEDDLE_ASSIGN_OR_RETURN(const auto time, impl_->now(txn));
    if (found) Impl::see_at(*found, time);
    return {};
  }));
  if (!found) {
    return Error{ErrorKind::kNotFound, "approval-unknown",
                 fmt::format("there is no approval `{}`", id), "see `heddle approval list`"};
  }
  return std::move(*found);
}

Result<std::vector<Approval>> LocalEngine::approvals() {
  std::vector<Approval> list;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(list, read_approvals(txn));
    HEDDLE_ASSIGN_OR_RETURN(const auto time, impl_->now(txn));
    for (auto& approval : list) Impl::see_at(approval, time);
    return {};
  }));
  return list;
}

Result<std::vector<std::string>> LocalEngine::approval_ids() {
  std::vector<std::string> ids;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(ids, policy::approval_ids(txn));
    return {};
  }));
  return ids;
}

Result<AskedBefore> LocalEngine::asked_before(const Proposal& proposal) {
  const auto key =
      question_key(proposal.action, proposal.target, proposal.attributes.string_or("slot"),
                   proposal.binds, proposal.subjects);
  AskedBefore before;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(before, read_asked_before(txn, key));
    return {};
  }));
  return before;
}

Result<bool> LocalEngine::released_by_a_person(const std::string& service, const Digest& bundle) {
  bool released = false;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(released, was_released_by_a_person(txn, service, bundle));
    return {};
  }));
  return released;
}

Result<std::vector<Approval>> LocalEngine::open_approvals() {
  std::vector<Approval> list;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(list, read_open_approvals(txn));
    HEDDLE_ASSIGN_OR_RETURN(const auto time, impl_->now(txn));
    for (auto& approval : list) Impl::see_at(approval, time);
    std::erase_if(list, [](const Approval& approval) { return !is_open(approval); });
    return {};
  }));
  return list;
}

Result<std::optional<std::uint64_t>> LocalEngine::stop_entry(const std::string& service) {
  std::optional<std::uint64_t> entry;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(entry, policy::stop_entry(txn, service));
    return {};
  }));
  return entry;
}

Result<std::vector<std::string>> LocalEngine::stopped() {
  std::vector<std::string> scopes;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(scopes, stopped_scopes(txn));
    return {};
  }));
  return scopes;
}

Digest LocalEngine::policy_digest() const { return impl_->rulebook()->digest(); }

}  // namespace heddle::policy
