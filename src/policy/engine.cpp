#include "policy/engine.hpp"

#include <mutex>

#include "base/encoding.hpp"
#include "base/signature.hpp"
#include "policy/standing.hpp"

namespace heddle::policy {
namespace {

using Pairs = std::vector<std::pair<std::string, Digest>>;

Pairs pairs(const std::vector<Named>& items) {
  Pairs list;
  for (const auto& item : items) list.emplace_back(item.name, item.digest);
  return list;
}

std::string_view type_word(ActorType type) noexcept {
  switch (type) {
    case ActorType::kPerson: return "person";
    case ActorType::kAgent: return "agent";
    default: return "system";
  }
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
    value.set(key, item.is_string() && item.as_string().size() > 512 ? doc::Value(sha256(item.as_string()).str()) : item);
  }
  return value;
}

bool same(const std::vector<Named>& a, const std::vector<Named>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Named& x, const Named& y) { return x.name == y.name && x.digest == y.digest; });
}

bool holds_all(const std::vector<Named>& all, const std::vector<Named>& some) {
  return std::all_of(some.begin(), some.end(), [&](const Named& item) {
    return std::any_of(all.begin(), all.end(), [&](const Named& other) { return other.digest == item.digest; });
  });
}

/// Whether the signatures given fill every need: each counts for all needs whose role its person has.
bool fulfilled(const Approval& approval, const Rulebook& rules) {
  for (const auto& need : approval.needs) {
    int given = 0;
    for (const auto& signature : approval.signatures) {
      const auto* person = rules.person(signature.person);
      if (person == nullptr) continue;
      given += need.role.empty() || std::find(person->roles.begin(), person->roles.end(), need.role) != person->roles.end() ? 1 : 0;
    }
    if (given < need.approvals) return false;
  }
  return true;
}

Error denied(const char* id, std::string message, std::string hint) {
  return {ErrorKind::kDenied, id, std::move(message), std::move(hint)};
}

}  // namespace

struct LocalEngine::Impl {
  Impl(store::State& state_in, ledger::Ledger& ledger_in, const Clock& clock_in) : state(state_in), ledger(ledger_in), clock(clock_in) {}

  store::State& state;
  ledger::Ledger& ledger;
  const Clock& clock;
  mutable std::mutex mutex;                    ///< guards what follows; never held inside a transaction
  std::shared_ptr<const Rulebook> rules;
  spec::Project project;

  [[nodiscard]] std::shared_ptr<const Rulebook> rulebook() const {
    const std::lock_guard lock(mutex);
    return rules;
  }

  Result<Micros> now(store::Txn& txn) {
    HEDDLE_ASSIGN_OR_RETURN(const auto last, ledger.now(txn));
    return std::max(clock.wall(), last);
  }

  Result<Verdict> judge(store::Txn& txn, const Rulebook& book, const Proposal& proposal) {
    const auto service = service_of(proposal);
    const bool person = proposal.actor.type == ActorType::kPerson && !book.is_service_account(proposal.actor.id);
    if (proposal.action == "service.stop") return Verdict{Effect::kAllow, {"stop-is-always-allowed"}, {}, {}};
    HEDDLE_ASSIGN_OR_RETURN(const bool stopped, is_stopped(txn, service));
    if (proposal.action == "service.resume") {
      if (!person) return Verdict{Effect::kDeny, {"resume-needs-a-person"}, {}, "only a person clears a stop"};
      return Verdict{Effect::kAllow, {"resume-by-a-person"}, {}, {}};
    }
    // What the data plane did by itself has happened: a stop that came after it does not keep it off the record.
    const bool happened = proposal.actor.type == ActorType::kSystem && proposal.actor.id == "system:data-plane" &&
                          (proposal.action == "slot.fail-over" || proposal.action == "canary.abort");
    if (stopped && !happened) return Verdict{Effect::kDeny, {"stop"}, {}, "it is stopped: only a person clears that, with `heddle resume`"};
    Micros time = proposal.event_time;
    if (time == 0) {
      HEDDLE_ASSIGN_OR_RETURN(time, now(txn));
    }
    Result<void> counted;
    auto verdict = book.evaluate(proposal, [&](std::string_view action, Micros window) -> std::int64_t {
      const auto count = count_applied(txn, action, time, window);
      if (count) return *count;
      counted = count.error();
      return INT64_MAX;
    });
    HEDDLE_TRY(std::move(counted));
    if (verdict.effect == Effect::kDeny || person) return verdict;
    // Budgets bound agents and the system's own parts, whoever approved; a person's own act is not counted against them.
    for (const auto& budget : book.budgets()) {
      if (!glob_match(budget.action, proposal.action)) continue;
      HEDDLE_ASSIGN_OR_RETURN(const auto count, count_applied(txn, budget.action, time, budget.window));
      if (count < budget.limit) continue;
      verdict.effect = Effect::kDeny;
      verdict.needs.clear();
      verdict.rules.insert(verdict.rules.begin(), "budget:" + budget.id);
      verdict.reason = fmt::format("budget `{}` is used up: {} of {}", budget.id, count, budget.limit);
      break;
    }
    return verdict;
  }

  ledger::Entry entry_of(const Proposal& proposal, const Verdict& verdict, const Rulebook& book, const char* result) {
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
    entry.evidence = pairs(proposal.evidence);
    entry.result = result;
    entry.reason = proposal.reason;
    entry.incident = proposal.incident;
    entry.event_time = proposal.event_time;
    return entry;
  }

  /// Appends the decision and remembers what became of the op_id.
  Result<std::uint64_t> settle(store::Txn& txn, ledger::Entry entry, const char* state_name) {
    Operation operation{state_name, entry.action, entry.target, entry.rules, entry.policy, 0, entry.approval};
    const auto op_id = entry.op_id;
    HEDDLE_ASSIGN_OR_RETURN(operation.entry, ledger.append(txn, std::move(entry)));
    HEDDLE_TRY(write_operation(txn, op_id, operation));
    return operation.entry;
  }

  Result<void> deny(store::Txn& txn, const Proposal& proposal, const Verdict& verdict, const Rulebook& book,
                    const std::optional<Operation>& before, Decision& decision) {
    decision.effect = Effect::kDeny;
    decision.rules = verdict.rules;
    // The same answer to the same question is one record.
    if (before && before->state == "denied" && before->rules == verdict.rules && before->policy == book.digest()) {
      decision.entry = before->entry;
      return {};
    }
    auto entry = entry_of(proposal, verdict, book, "denied");
    entry.decision = "deny";
    entry.attributes.set("why", verdict.reason);
    if (before) entry.approval = before->approval;
    HEDDLE_ASSIGN_OR_RETURN(decision.entry, settle(txn, std::move(entry), "denied"));
    return {};
  }

  Result<void> carry_out(store::Txn& txn, const Proposal& proposal, const Verdict& verdict, const Rulebook& book,
                         const std::string& approval, const std::function<Result<void>(store::Txn&)>& apply, Decision& decision) {
    auto entry = entry_of(proposal, verdict, book, "applied");
    entry.approval = approval;
    HEDDLE_ASSIGN_OR_RETURN(decision.entry, settle(txn, std::move(entry), "applied"));
    Micros time = proposal.event_time;
    if (time == 0) {
      HEDDLE_ASSIGN_OR_RETURN(time, now(txn));
    }
    HEDDLE_TRY(note_applied(txn, proposal.action, time, decision.entry));
    if (proposal.action == "service.stop") HEDDLE_TRY(set_stopped(txn, scope_of(proposal), proposal.actor.id, decision.entry));
    if (proposal.action == "service.resume") HEDDLE_TRY(clear_stopped(txn, scope_of(proposal)));
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

  Result<void> ask(store::Txn& txn, const Proposal& proposal, const Verdict& verdict, const Rulebook& book, Decision& decision) {
    Approval approval;
    HEDDLE_ASSIGN_OR_RETURN(approval.id, next_approval_id(txn));
    HEDDLE_ASSIGN_OR_RETURN(approval.asked, now(txn));
    approval.op_id = proposal.op_id;
    approval.requester = proposal.actor.id;
    approval.action = proposal.action;
    approval.target = proposal.target;
    approval.slot = proposal.attributes.string_or("slot");
    approval.subjects = proposal.subjects;
    approval.evidence = proposal.evidence;
    approval.policy = book.digest();
    approval.needs = verdict.needs;
    Micros within = verdict.needs.front().within;
    for (const auto& need : verdict.needs) within = std::min(within, need.within);
    approval.expires = approval.asked + within;
    approval.asked_event_time = proposal.event_time;
    approval.reason = proposal.reason;
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

  /// A proposal that needs an approval: asks for it, waits for it, or uses it up.
  Result<void> with_approval(store::Txn& txn, const Proposal& proposal, Verdict& verdict, const Rulebook& book,
                             const std::optional<Operation>& before, const std::function<Result<void>(store::Txn&)>& apply,
                             Decision& decision) {
    std::optional<Approval> approval;
    if (before && !before->approval.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(approval, read_approval(txn, before->approval));
    }
    if (!approval || approval->status == Approval::Status::kExpired || approval->status == Approval::Status::kUsed) {
      return ask(txn, proposal, verdict, book, decision);
    }
    decision.approval = approval->id;
    const auto refuse = [&](const char* rule, std::string reason) {
      verdict.effect = Effect::kDeny;
      verdict.rules.insert(verdict.rules.begin(), rule);
      verdict.reason = std::move(reason);
      return deny(txn, proposal, verdict, book, before, decision);
    };
    if (approval->status == Approval::Status::kRejected) {
      return refuse("approval-rejected", fmt::format("`{}` rejected it", approval->rejected_by));
    }
    HEDDLE_ASSIGN_OR_RETURN(const auto time, now(txn));
    if (time >= approval->expires || approval->policy != book.digest()) {
      // What was asked under other rules, or too long ago, is asked again.
      approval->status = Approval::Status::kExpired;
      HEDDLE_TRY(write_approval(txn, *approval));
      return ask(txn, proposal, verdict, book, decision);
    }
    if (!same(approval->subjects, proposal.subjects) || approval->slot != proposal.attributes.string_or("slot")) {
      return refuse("approval-other-subject", "the approval is for other digests than the ones proposed now");
    }
    if (!holds_all(proposal.evidence, approval->evidence)) {
      return refuse("approval-other-evidence", "the approval was given on evidence that the proposal no longer names");
    }
    if (approval->status != Approval::Status::kApproved || !fulfilled(*approval, book)) return wait(*approval, verdict, decision);
    approval->status = Approval::Status::kUsed;
    HEDDLE_TRY(write_approval(txn, *approval));
    return carry_out(txn, proposal, verdict, book, approval->id, apply, decision);
  }

  Result<Decision> act(const Proposal& proposal, const std::function<Result<void>(store::Txn&)>& apply) {
    if (proposal.op_id.empty() || proposal.action.empty()) {
      return Error{ErrorKind::kInternal, "proposal-malformed", "a proposal needs an op_id and an action"};
    }
    const auto book = rulebook();
    Decision decision;
    HEDDLE_TRY(state.write([&](store::Txn& txn) -> Result<void> {
      decision = {};
      HEDDLE_ASSIGN_OR_RETURN(const auto before, read_operation(txn, proposal.op_id));
      if (before && (before->action != proposal.action || before->target != proposal.target)) {
        return Error{ErrorKind::kConflict, "op-id-reused",
                     fmt::format("`{}` names `{}` of `{}` already", proposal.op_id, before->action, before->target),
                     "another act needs another op_id"};
      }
      if (before && before->state == "applied") {
        decision.effect = Effect::kAllow;
        decision.rules = before->rules;
        decision.applied = decision.repeated = true;
        decision.entry = before->entry;
        decision.approval = before->approval;
        return {};
      }
      HEDDLE_ASSIGN_OR_RETURN(auto verdict, judge(txn, *book, proposal));
      switch (verdict.effect) {
        case Effect::kDeny: return deny(txn, proposal, verdict, *book, before, decision);
        case Effect::kRequireApproval: return with_approval(txn, proposal, verdict, *book, before, apply, decision);
        default: return carry_out(txn, proposal, verdict, *book, "", apply, decision);
      }
    }));
    return decision;
  }

  /// Everything about an approval that can be said without looking at the signature.
  Result<Approval> approvable(store::Txn& txn, const Rulebook& book, const std::string& id, const std::string& person, bool signing) {
    HEDDLE_ASSIGN_OR_RETURN(auto approval, read_approval(txn, id));
    if (!approval) {
      return Error{ErrorKind::kNotFound, "approval-unknown", fmt::format("there is no approval `{}`", id), "see `heddle approval list`"};
    }
    if (person.starts_with("agent:") || person.starts_with("system:") || book.is_service_account(person)) {
      return denied("approval-not-a-person", fmt::format("`{}` is no person", person), "only a person of people.yaml can approve or reject");
    }
    const auto* found = book.person(person);
    if (found == nullptr) {
      return denied("approval-unknown-person", fmt::format("`{}` is not in people.yaml", person), "add the person and run `heddle apply`");
    }
    if (approval->status == Approval::Status::kUsed) {
      return Error{ErrorKind::kConflict, "approval-used", fmt::format("`{}` was used; an approval serves once", id), "propose the act anew"};
    }
    if (approval->status == Approval::Status::kRejected) {
      return Error{ErrorKind::kConflict, "approval-rejected", fmt::format("`{}` was rejected by `{}`", id, approval->rejected_by),
                   "propose the act anew"};
    }
    HEDDLE_ASSIGN_OR_RETURN(const auto time, now(txn));
    if (approval->status == Approval::Status::kExpired || time >= approval->expires) {
      return denied("approval-expired", fmt::format("`{}` expired at {}", id, format_time(approval->expires)), "propose the act anew");
    }
    if (!signing) return std::move(*approval);
    if (approval->policy != book.digest()) {
      return denied("approval-policy-changed", fmt::format("`{}` was asked under another policy", id), "propose the act anew");
    }
    if (person == approval->requester) {
      return denied("approval-by-requester", fmt::format("`{}` asked for it and cannot approve it", person), "ask another person");
    }
    const bool useful = std::any_of(approval->needs.begin(), approval->needs.end(), [&](const Need& need) {
      return need.role.empty() || std::find(found->roles.begin(), found->roles.end(), need.role) != found->roles.end();
    });
    if (!useful) {
      return denied("approval-missing-role", fmt::format("`{}` has not the role `{}`", person, approval->needs.front().role),
                    "ask a person who has it; roles are in people.yaml");
    }
    for (const auto& signature : approval->signatures) {
      if (signature.person != person) continue;
      return Error{ErrorKind::kConflict, "approval-already-given", fmt::format("`{}` approved `{}` already", person, id),
                   "another person has to"};
    }
    return std::move(*approval);
  }

  static ledger::Entry answer_entry(const Approval& approval, const std::string& person, const char* action) {
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

Result<std::unique_ptr<LocalEngine>> LocalEngine::open(store::State& state, ledger::Ledger& ledger, const spec::Project& project,
                                                       const Clock& clock) {
  std::unique_ptr<LocalEngine> engine(new LocalEngine(std::make_unique<Impl>(state, ledger, clock)));
  HEDDLE_TRY(engine->load(project));
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

Result<Decision> LocalEngine::act(const Proposal& proposal, const std::function<Result<void>(store::Txn&)>& apply) {
  return impl_->act(proposal, apply);
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

Result<Approval> LocalEngine::approve(const std::string& id, const std::string& person, const std::string& armored) {
  const auto book = impl_->rulebook();
  Approval approval;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(approval, impl_->approvable(txn, *book, id, person, true));
    return {};
  }));
  // Outside any transaction: it runs a process. What was found is looked at again afterwards.
  HEDDLE_TRY(verify_signature(*book->person(person), approval.statement, armored));
  HEDDLE_TRY(impl_->state.write([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(auto fresh, impl_->approvable(txn, *book, id, person, true));
    if (fresh.statement != approval.statement) {
      return Error{ErrorKind::kConflict, "approval-changed", fmt::format("`{}` changed meanwhile", id), "look at it again"};
    }
    HEDDLE_ASSIGN_OR_RETURN(const auto time, impl_->now(txn));
    fresh.signatures.push_back({person, armored, time});
    const bool enough = fulfilled(fresh, *book);
    if (enough) fresh.status = Approval::Status::kApproved;
    auto entry = Impl::answer_entry(fresh, person, "approval.approve");
    entry.evidence.emplace_back("signature", sha256(armored));
    entry.attributes = doc::Value::object({{"signature", armored}});
    entry.result = enough ? "approved" : "one-of-several";
    if (const auto appended = impl_->ledger.append(txn, std::move(entry)); !appended) return appended.error();
    if (auto written = write_approval(txn, fresh); !written) return written;
    approval = std::move(fresh);
    return {};
  }));
  return approval;
}

Result<Approval> LocalEngine::reject(const std::string& id, const std::string& person, const std::string& reason) {
  const auto book = impl_->rulebook();
  Approval approval;
  HEDDLE_TRY(impl_->state.write([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(approval, impl_->approvable(txn, *book, id, person, false));
    approval.status = Approval::Status::kRejected;
    approval.rejected_by = person;
    approval.rejected_because = reason;
    auto entry = Impl::answer_entry(approval, person, "approval.reject");
    entry.result = "rejected";
    entry.reason = reason;
    if (const auto appended = impl_->ledger.append(txn, std::move(entry)); !appended) return appended.error();
    return write_approval(txn, approval);
  }));
  return approval;
}

Result<Approval> LocalEngine::approval(const std::string& id) {
  std::optional<Approval> found;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(found, read_approval(txn, id));
    return {};
  }));
  if (!found) {
    return Error{ErrorKind::kNotFound, "approval-unknown", fmt::format("there is no approval `{}`", id), "see `heddle approval list`"};
  }
  return std::move(*found);
}

Result<std::vector<Approval>> LocalEngine::approvals() {
  std::vector<Approval> list;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(list, read_approvals(txn));
    return {};
  }));
  return list;
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

spec::Project LocalEngine::project() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->project;
}

}  // namespace heddle::policy
