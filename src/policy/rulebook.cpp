#include "policy/rulebook.hpp"

#include <algorithm>
#include <mutex>
#include <optional>
#include <set>

#include "doc/json.hpp"
#include "expr/program.hpp"
#include "spec/service_bounds.hpp"

namespace heddle::policy {
namespace {

/// What `ledger.count` asks while an evaluation runs on this thread.
thread_local const CountFn* current_count = nullptr;

class CountScope {
 public:
  explicit CountScope(const CountFn& count) : before_(current_count) { current_count = &count; }
  ~CountScope() { current_count = before_; }
  CountScope(const CountScope&) = delete;
  CountScope& operator=(const CountScope&) = delete;

 private:
  const CountFn* before_;
};

struct Attribute {
  std::string name;
  expr::Type type;
  expr::Datum datum;
};

/// One rule with its condition, compiled once for every set of attribute types it meets.
struct Rule {
  spec::PolicyRule rule;
  std::vector<std::string> services{};  ///< only what is about these; empty: about anything
  bool about_others = false;            ///< turned round: only what is about none of them
  bool is_autonomy = false;             ///< generated from a service's autonomy
  std::vector<std::string> names{};     ///< that `when` mentions
  /// It makes a question of what others allow, and allows nobody to ask for what none does; a
  /// proposal without its names is not its matter.
  bool is_guard = false;
  mutable std::map<std::string, std::shared_ptr<const expr::Program>> programs{};
};

/// What agents may not do alone, whatever the rules allow, by the attribute that says so: rows or
/// labels of one account of several, labels that accounts contradict each other about, a model that
/// is clearly worse on what was true before the change that it learned.
struct Guarded {
  std::string_view rule;
  bool (*applies)(const doc::Value& attributes);
};
constexpr Guarded kGuarded[] = {
    {"one-account-needs-a-person",
     [](const doc::Value& of) { return !of.string_or("only_account").empty(); }},
    {"one-label-account-needs-a-person",
     [](const doc::Value& of) { return !of.string_or("only_label_account").empty(); }},
    {"disputed-labels-need-a-person",
     [](const doc::Value& of) { return of.bool_or("labels_disputed"); }},
    {"forgotten-past-needs-a-person",
     [](const doc::Value& of) { return of.string_or("before_change") == "worse"; }},
};

enum class Truth { kTrue, kFalse, kUnknown };

/// The rules that match one proposal, by what they say.
struct Matches {
  std::vector<std::string> deny{};
  std::vector<std::string> allow{};
  std::vector<const spec::PolicyRule*> asks{};
  std::vector<const spec::PolicyRule*> guards{};
  std::string reason{};  ///< of the first denial

  void add(const Rule& compiled, Truth truth);
  /// Ids of the rules that ask for a person's yes, with what each needs.
  [[nodiscard]] std::vector<std::string> questions(const Proposal& proposal,
                                                   std::vector<Need>& needs) const;
  [[nodiscard]] Verdict verdict(const Proposal& proposal) const;
};

void Matches::add(const Rule& compiled, Truth truth) {
  const auto& rule = compiled.rule;
  if (truth == Truth::kFalse) return;
  if (rule.effect == spec::PolicyRule::Effect::kAllow) {
    // What cannot be evaluated never allows.
    if (truth == Truth::kTrue) allow.push_back(rule.id);
    return;
  }
  // Nor is anybody asked for a yes to what the rule could not see: it denies.
  if (truth == Truth::kUnknown || rule.effect == spec::PolicyRule::Effect::kDeny) {
    if (reason.empty()) {
      reason = truth == Truth::kUnknown
                   ? fmt::format(
                         "rule `{}` could not be evaluated: the proposal lacks what its "
                         "`when` reads",
                         rule.id)
                   : fmt::format("rule `{}` denies it", rule.id);
    }
    deny.push_back(rule.id);
    return;
  }
  (compiled.is_guard ? guards : asks).push_back(&rule);
}

std::vector<std::string> Matches::questions(const Proposal& proposal,
                                            std::vector<Need>& needs) const {
  auto rules = asks;
  // A guard turns an allowance into a question, and adds its need to questions of others. Where no
  // rule lets anybody do it, it must not open a way to a yes.
  if (!asks.empty() || !allow.empty()) rules.insert(rules.end(), guards.begin(), guards.end());
  std::vector<std::string> ids;
  for (const auto* rule : rules) {
    ids.push_back(rule->id);
    needs.push_back(
        {rule->id, std::max(1, rule->approvals), rule->approver_role, rule->approval_within});
  }
  // An allowance is no answer to these; who is asked already is asked once.
  if (proposal.actor.type == ActorType::kAgent && ids.empty() && !allow.empty()) {
    for (const Guarded& guarded : kGuarded) {
      if (!guarded.applies(proposal.attributes)) continue;
      ids.emplace_back(guarded.rule);
      needs.push_back({std::string(guarded.rule), 1, "", spec::PolicyRule{}.approval_within});
    }
  }
  return ids;
}

Verdict Matches::verdict(const Proposal& proposal) const {
  Verdict verdict;
  verdict.reason = reason;
  const auto ask = questions(proposal, verdict.needs);
  // The deciding rules come first; the others stay in the record.
  const auto decide = [&](Effect effect, const std::vector<std::string>& first,
                          const std::vector<std::string>& second,
                          const std::vector<std::string>& third) {
    verdict.effect = effect;
    for (const auto* list : {&first, &second, &third})
      verdict.rules.insert(verdict.rules.end(), list->begin(), list->end());
  };
  if (!deny.empty()) {
    verdict.needs.clear();
    decide(Effect::kDeny, deny, ask, allow);
  } else if (!ask.empty()) {
    decide(Effect::kRequireApproval, ask, allow, deny);
  } else if (!allow.empty()) {
    decide(Effect::kAllow, allow, ask, deny);
  } else {
    verdict.effect = Effect::kDeny;
    verdict.rules = {"default-deny"};
    verdict.reason = fmt::format("no rule lets `{}` do `{}`", proposal.actor.id, proposal.action);
  }
  return verdict;
}

expr::Function count_function(expr::Type window) {
  return {"ledger.count",
          {expr::Type::kString, window},
          expr::Type::kInt,
          false,
          [](std::span<const expr::Datum> arguments) {
            if (current_count == nullptr) return expr::Datum::error();
            return expr::Datum::integer((*current_count)(arguments[0].str(), arguments[1].i));
          }};
}

std::vector<Attribute> attributes_of(const Proposal& proposal) {
  std::vector<Attribute> list;
  if (!proposal.attributes.is_object()) return list;
  for (const auto& [key, value] : proposal.attributes.as_object()) {
    const std::string name = "attributes." + key;
    if (value.is_bool())
      list.push_back({name, expr::Type::kBool, expr::Datum::boolean(value.as_bool())});
    if (value.is_int())
      list.push_back({name, expr::Type::kInt, expr::Datum::integer(value.as_int())});
    if (value.is_double())
      list.push_back({name, expr::Type::kDouble, expr::Datum::real(value.as_double())});
    if (value.is_string())
      list.push_back({name, expr::Type::kString, expr::Datum::string(value.as_string())});
  }
  return list;
}

doc::Value strings(const std::vector<std::string>& items) {
  auto list = doc::Value::array();
  for (const auto& item : items) list.push(item);
  return list;
}

std::string_view effect_word(spec::PolicyRule::Effect effect) noexcept {
  switch (effect) {
    case spec::PolicyRule::Effect::kAllow: return "allow";
    case spec::PolicyRule::Effect::kRequireApproval: return "require_approval";
    default: return "deny";
  }
}

doc::Value bounds_value(const spec::ServiceBounds& bounds) {
  return doc::Value::object({{"failover", bounds.fail_over_allowed},
                             {"recalibrate_step", bounds.recalibrate.step},
                             {"recalibrate_sum", bounds.recalibrate.sum},
                             {"quarantine_good_rows", bounds.quarantine_good_rows}});
}

/// Everything that can change a verdict or who may approve, in one canonical text.
Digest digest_of(const spec::Project& project) {
  auto policies = doc::Value::array();
  for (const auto& [name, policy] : project.policies) {
    auto rules = doc::Value::array();
    for (const auto& rule : policy.rules) {
      rules.push(
          doc::Value::object({{"id", rule.id},
                              {"effect", effect_word(rule.effect)},
                              {"who", strings(rule.who)},
                              {"actions", strings(rule.actions)},
                              {"targets", strings(rule.targets)},
                              {"when", rule.when ? doc::Value(rule.when->text) : doc::Value()},
                              {"approvals", rule.approvals},
                              {"role", rule.approver_role},
                              {"within", rule.approval_within}}));
    }
    auto budgets = doc::Value::array();
    for (const auto& budget : policy.budgets) {
      budgets.push(doc::Value::object({{"id", budget.id},
                                       {"action", budget.action},
                                       {"limit", budget.limit},
                                       {"window", budget.window}}));
    }
    policies.push(doc::Value::object({{"name", name},
                                      {"services", strings(policy.services)},
                                      {"rules", std::move(rules)},
                                      {"budgets", std::move(budgets)}}));
  }
  auto services = doc::Value::array();
  for (const auto& [name, service] : project.services) {
    services.push(doc::Value::object({{"name", name},
                                      {"autonomy", service.autonomy},
                                      {"bounds", bounds_value(spec::bounds_of(project, name))}}));
  }
  auto people = doc::Value::array();
  for (const auto& person : project.people) {
    people.push(doc::Value::object({{"name", person.name},
                                    {"roles", strings(person.roles)},
                                    {"keys", strings(person.keys)},
                                    {"os_users", strings(person.os_users)}}));
  }
  auto accounts = doc::Value::array();
  for (const auto& account : project.service_accounts) accounts.push(account.name);
  return sha256(doc::to_canonical_json(
      doc::Value::object({{"format", "heddle.rules/2"},
                          {"policies", std::move(policies)},
                          {"bounds", bounds_value(spec::bounds_of(project, ""))},
                          {"services", std::move(services)},
                          {"people", std::move(people)},
                          {"service_accounts", std::move(accounts)}})));
}

/// The role whose yes the project asks for when somebody does `act`; none: it asks nobody.
std::optional<std::string> role_asked(const spec::Project& project, std::string_view act) {
  for (const auto& [name, policy] : project.policies) {
    for (const auto& rule : policy.rules) {
      const bool about =
          std::any_of(rule.actions.begin(), rule.actions.end(),
                      [&](const std::string& action) { return glob_match(action, act); });
      if (about && rule.effect == spec::PolicyRule::Effect::kRequireApproval)
        return rule.approver_role;
    }
  }
  return std::nullopt;
}

/// The role whose yes the project asks for when somebody promotes; empty: any person's.
std::string promoter_role(const spec::Project& project) {
  return role_asked(project, "release.promote").value_or("");
}

/// Many small recalibrations move the answers as far as one large one: labels alone, of whoever
/// may send them, reach the bound and no further. The yes is of who is asked about recalibrations,
/// else of who may say yes to a promotion.
spec::PolicyRule recalibration_guard(const spec::Project& project,
                                     const spec::RecalibrationBound& bound) {
  spec::PolicyRule rule;
  rule.id = "recalibration-bound-needs-a-person";
  rule.effect = spec::PolicyRule::Effect::kRequireApproval;
  rule.who = {"agent:*"};
  rule.actions = {"release.recalibrate"};
  // `#`: a double is written as one, also where it is whole.
  rule.when = spec::Expression{
      fmt::format("attributes.offset_delta > {0:#} || attributes.offset_delta < -{0:#} || "
                  "attributes.offset_sum > {1:#} || attributes.offset_sum < -{1:#}",
                  bound.step, bound.sum),
      {}};
  rule.approver_role = role_asked(project, "release.recalibrate").value_or(promoter_role(project));
  return rule;
}

/// The same of what labels can make intervals be: as wide as the labels of one account ask for, or
/// so narrow that they hold nothing.
spec::PolicyRule interval_guard(const spec::Project& project,
                                const spec::RecalibrationBound& bound) {
  spec::PolicyRule rule = recalibration_guard(project, bound);
  rule.id = "interval-bound-needs-a-person";
  rule.when = spec::Expression{
      fmt::format("attributes.interval_delta > {0:#} || attributes.interval_delta < -{0:#} || "
                  "attributes.interval_sum > {1:#} || attributes.interval_sum < -{1:#}",
                  bound.step, bound.sum),
      {}};
  return rule;
}

/// Refusing a row costs that row; shutting a sender out costs what is well beside it. And what is
/// shut out for everybody is taken from those who sent nothing wrong.
std::vector<spec::PolicyRule> quarantine_guards(const spec::Project& project,
                                                std::int64_t good_rows) {
  spec::PolicyRule costly;
  costly.id = "costly-quarantine-needs-a-person";
  costly.effect = spec::PolicyRule::Effect::kRequireApproval;
  costly.who = {"agent:*"};
  costly.actions = {"source.quarantine"};
  costly.when = spec::Expression{fmt::format("attributes.good_rows > {}", good_rows), {}};
  costly.approver_role = role_asked(project, "source.quarantine").value_or(promoter_role(project));
  spec::PolicyRule of_all = costly;
  of_all.id = "quarantine-of-everybody-needs-a-person";
  of_all.when = spec::Expression{"attributes.account == \"\"", {}};
  return {std::move(costly), std::move(of_all)};
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string service_of(const Proposal& proposal) {
  constexpr std::string_view kPrefix = "service/";
  if (proposal.target.starts_with(kPrefix)) {
    const auto rest = std::string_view(proposal.target).substr(kPrefix.size());
    return std::string(rest.substr(0, rest.find('/')));
  }
  return proposal.attributes.string_or("service");
}

bool is_record_action(std::string_view action) noexcept {
  for (const char* pattern :
       {"incident.*", "postmortem.*", "alert.*", "approval.*", "diagnosis.*", "canary.judgement"}) {
    if (glob_match(pattern, action)) return true;
  }
  return false;
}

struct Rulebook::Impl {
  std::vector<Rule> rules;
  struct Budget {
    std::vector<std::string> services;  ///< empty: of every one
    spec::Budget budget;
  };
  std::vector<Budget> budgets;
  std::vector<spec::Person> people;
  std::set<std::string, std::less<>> accounts;
  Digest digest;
  std::mutex compiling;

  /// The bounds of every service, and the narrowest for what is about none of them.
  void add_guards(const spec::Project& project) {
    auto narrowest = spec::bounds_of(project, "");
    std::vector<std::string> all;
    for (const auto& [name, service] : project.services) {
      const auto bounds = spec::bounds_of(project, name);
      add_guards(project, bounds, {name}, false);
      narrowest.recalibrate.step = std::min(narrowest.recalibrate.step, bounds.recalibrate.step);
      narrowest.recalibrate.sum = std::min(narrowest.recalibrate.sum, bounds.recalibrate.sum);
      narrowest.quarantine_good_rows =
          std::min(narrowest.quarantine_good_rows, bounds.quarantine_good_rows);
      all.push_back(name);
    }
    add_guards(project, narrowest, all, true);
  }

  void add_guards(const spec::Project& project, const spec::ServiceBounds& bounds,
                  const std::vector<std::string>& services, bool about_others) {
    auto guards = quarantine_guards(project, bounds.quarantine_good_rows);
    guards.insert(guards.begin(), {recalibration_guard(project, bounds.recalibrate),
                                   interval_guard(project, bounds.recalibrate)});
    for (spec::PolicyRule& rule : guards) {
      auto names = expr::names_in(rule.when->text);
      Rule guard{std::move(rule), services, about_others};
      if (names) guard.names = *std::move(names);
      guard.is_guard = true;
      rules.push_back(std::move(guard));
    }
  }

  [[nodiscard]] static bool is_about(const Rule& rule, const std::string& service) {
    if (rule.services.empty()) return true;
    const bool named =
        std::find(rule.services.begin(), rule.services.end(), service) != rule.services.end();
    return named != rule.about_others;
  }

  /// What a `who` pattern may name: `person:ada` and `role:approver` for a person, the id itself
  /// for agents and the system.
  [[nodiscard]] std::vector<std::string> identities(const Actor& actor,
                                                    const spec::Person* person) const {
    if (actor.type == ActorType::kPerson) {
      if (accounts.contains(actor.id)) return {"account:" + actor.id};
      std::vector<std::string> names{"person:" + actor.id};
      if (person != nullptr) {
        for (const auto& role : person->roles) names.push_back("role:" + role);
      }
      return names;
    }
    const std::string prefix = std::string(type_word(actor.type)) + ":";
    return {actor.id.starts_with(prefix) ? actor.id : prefix + actor.id};
  }

  [[nodiscard]] static bool any_match(const std::vector<std::string>& patterns,
                                      const std::vector<std::string>& names) {
    for (const auto& pattern : patterns) {
      for (const auto& name : names) {
        if (glob_match(pattern, name)) return true;
      }
    }
    return false;
  }

  /// Whether the rule is about this act by this actor; its `when` is another matter.
  [[nodiscard]] static bool matches(const Rule& compiled, const Proposal& proposal,
                                    const std::string& service,
                                    const std::vector<std::string>& identities) {
    const auto& rule = compiled.rule;
    if (!is_about(compiled, service)) return false;
    // Autonomy does not keep anybody from writing down what happened, and does not keep a bad
    // canary alive: to start one was a decision that its judgement may end it.
    if (compiled.is_autonomy &&
        (is_record_action(proposal.action) || proposal.action == "canary.abort"))
      return false;
    return any_match(rule.who, identities) && any_match(rule.actions, {proposal.action}) &&
           (rule.targets.empty() || any_match(rule.targets, {proposal.target}));
  }

  Truth holds(const Rule& rule, const Proposal& proposal,
              const std::vector<Attribute>& attributes) {
    if (!rule.rule.when) return Truth::kTrue;
    expr::Environment environment;
    std::vector<expr::Datum> row;
    const auto declare = [&](const std::string& name, expr::Type type, expr::Datum datum) {
      environment.variables.push_back({name, type});
      row.push_back(datum);
    };
    const std::string type(type_word(proposal.actor.type));
    declare("actor.id", expr::Type::kString, expr::Datum::string(proposal.actor.id));
    declare("actor.type", expr::Type::kString, expr::Datum::string(type));
    declare("action", expr::Type::kString, expr::Datum::string(proposal.action));
    declare("target", expr::Type::kString, expr::Datum::string(proposal.target));
    for (const auto& attribute : attributes)
      declare(attribute.name, attribute.type, attribute.datum);
    for (const auto& name : rule.names) {
      if (!name.starts_with("attributes.")) continue;
      const bool given = std::any_of(attributes.begin(), attributes.end(),
                                     [&](const auto& a) { return a.name == name; });
      // Nobody said what it is.
      if (!given) return rule.is_guard ? Truth::kFalse : Truth::kUnknown;
    }
    std::string key;
    for (const auto& variable : environment.variables)
      key += fmt::format("{}:{};", variable.name, static_cast<int>(variable.type));
    const auto program = compiled(rule, key, environment);
    if (!program) return Truth::kUnknown;
    expr::Program::Scratch scratch;
    const auto result = program->evaluate(row, scratch);
    if (result.kind != expr::Datum::Kind::kBool) return Truth::kUnknown;
    return result.b ? Truth::kTrue : Truth::kFalse;
  }

  std::shared_ptr<const expr::Program> compiled(const Rule& rule, const std::string& key,
                                                expr::Environment environment) {
    const std::lock_guard lock(compiling);
    const auto found = rule.programs.find(key);
    if (found != rule.programs.end()) return found->second;
    std::shared_ptr<const expr::Program> program;
    // The window of `ledger.count` is a duration, or microseconds as an int.
    for (const auto window : {expr::Type::kDuration, expr::Type::kInt}) {
      environment.functions = {count_function(window)};
      auto result = expr::Program::compile(rule.rule.when->text, environment, expr::Type::kBool);
      if (!result) continue;
      program = std::make_shared<const expr::Program>(std::move(*result));
      break;
    }
    if (rule.programs.size() < 64) rule.programs.emplace(key, program);
    return program;
  }
};

Rulebook::Rulebook(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Rulebook::Rulebook(Rulebook&&) noexcept = default;
Rulebook::~Rulebook() = default;

Result<Rulebook> Rulebook::compile(const spec::Project& project) {
  auto impl = std::make_unique<Impl>();
  for (const auto& [name, policy] : project.policies) {
    for (const auto& rule : policy.rules) {
      Rule compiled{rule, policy.services};
      if (rule.when) {
        auto names = expr::names_in(rule.when->text);
        if (!names) {
          auto error = names.error();
          error.id = "policy-when-malformed";
          error.message = fmt::format("rule `{}` of policy `{}`: {}", rule.id, name, error.message);
          return error;
        }
        compiled.names = std::move(*names);
      }
      impl->rules.push_back(std::move(compiled));
    }
    for (const auto& budget : policy.budgets) impl->budgets.push_back({policy.services, budget});
  }
  // Autonomy: presets of rules, not a second policy (DESIGN 4).
  for (const auto& [name, service] : project.services) {
    if (service.autonomy == "act") continue;
    spec::PolicyRule rule;
    rule.id = "autonomy-" + service.autonomy;
    rule.effect = service.autonomy == "propose" ? spec::PolicyRule::Effect::kRequireApproval
                                                : spec::PolicyRule::Effect::kDeny;
    rule.who = {"agent:*"};
    rule.actions = {"*"};
    impl->rules.push_back(Rule{std::move(rule), {name}});
    impl->rules.back().is_autonomy = true;
  }
  // What the data plane may do before anybody is asked, and reports afterwards.
  for (const auto& [name, service] : project.services) {
    if (!spec::bounds_of(project, name).fail_over_allowed) continue;
    spec::PolicyRule rule;
    rule.id = "failover-allowed";
    rule.effect = spec::PolicyRule::Effect::kAllow;
    rule.who = {"system:data-plane"};
    rule.actions = {"slot.fail-over"};
    impl->rules.push_back(Rule{std::move(rule), {name}});
  }
  // A canary is judged for the record, and ended when it is bad: that only takes away what a
  // decision had given.
  spec::PolicyRule canary;
  canary.id = "canary-may-be-ended";
  canary.effect = spec::PolicyRule::Effect::kAllow;
  canary.who = {"agent:canary", "system:data-plane"};
  canary.actions = {"canary.judgement", "canary.abort"};
  impl->rules.push_back(Rule{std::move(canary)});
  // What clearly loses against what serves is no agent's to promote, whatever lets it promote
  // others. Who may say yes to a promotion may say yes to this one.
  spec::PolicyRule loses;
  loses.id = "clear-loss-needs-a-person";
  loses.effect = spec::PolicyRule::Effect::kRequireApproval;
  loses.who = {"agent:*"};
  loses.actions = {"release.promote"};
  loses.when = spec::Expression{"attributes.comparison == \"worse\"", {}};
  loses.approver_role = promoter_role(project);
  Rule guard{std::move(loses)};
  guard.names = {"attributes.comparison"};
  guard.is_guard = true;
  impl->rules.push_back(std::move(guard));
  impl->add_guards(project);
  // Whether labels are right is what no agent can know.
  spec::PolicyRule labels;
  labels.id = "labels-need-a-person";
  labels.effect = spec::PolicyRule::Effect::kRequireApproval;
  labels.who = {"agent:*"};
  labels.actions = {"label.accept"};
  impl->rules.push_back(Rule{std::move(labels)});
  impl->people = project.people;
  for (const auto& account : project.service_accounts) impl->accounts.insert(account.name);
  impl->digest = digest_of(project);
  return Rulebook(std::move(impl));
}

Verdict Rulebook::evaluate(const Proposal& proposal, const CountFn& count) const {
  const CountScope scope(count);
  const auto identities = impl_->identities(proposal.actor, person(proposal.actor.id));
  const auto attributes = attributes_of(proposal);
  const auto service = service_of(proposal);
  Matches matches;
  for (const auto& rule : impl_->rules) {
    if (Impl::matches(rule, proposal, service, identities))
      matches.add(rule, impl_->holds(rule, proposal, attributes));
  }
  return matches.verdict(proposal);
}

const Digest& Rulebook::digest() const noexcept { return impl_->digest; }
std::vector<spec::Budget> Rulebook::budgets(std::string_view service) const {
  std::vector<spec::Budget> all;
  for (const auto& [services, budget] : impl_->budgets) {
    if (services.empty() || std::find(services.begin(), services.end(), service) != services.end())
      all.push_back(budget);
  }
  return all;
}

const spec::Person* Rulebook::person(std::string_view name) const noexcept {
  for (const auto& person : impl_->people) {
    if (person.name == name) return &person;
  }
  return nullptr;
}

bool Rulebook::is_service_account(std::string_view name) const noexcept {
  return impl_->accounts.contains(name);
}

}  // namespace heddle::policy
