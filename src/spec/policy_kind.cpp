#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/format.h>

#include "spec/environment.hpp"
#include "spec/kinds.hpp"
#include "spec/never.hpp"
#include "spec/shares.hpp"

namespace heddle::spec {
namespace {

/// What a route table can hold (docs/formats/route.md).
constexpr std::int64_t kMostRequests = 1'000'000;
constexpr std::int64_t kMostFailOvers = 1000;
/// A retrain on fewer rows is refused (`retrain-too-little`).
constexpr std::int64_t kLeastRetrainRows = 200;
/// No intercept is fitted past it.
constexpr double kMostLogits = 20;

class PolicyCheck {
 public:
  PolicyCheck(const Policy& policy, const std::vector<Person>& people,
              std::vector<doc::Diagnostic>& out)
      : policy_(policy), people_(people), out_(out) {}

  void run() {
    for (const PolicyRule& rule : policy_.rules) approvals(rule);
    budgets();
    fail_over();
    retrain();
    recalibrate();
    quarantine();
  }

 private:
  void approvals(const PolicyRule& rule) {
    if (rule.effect != PolicyRule::Effect::kRequireApproval) return;
    // Not "at once": nobody could answer in time.
    if (rule.approval_within <= 0) {
      never(rule.position,
            fmt::format("rule `{}`: an approval within {} has expired when it is asked for",
                        rule.id, format_duration(rule.approval_within)),
            "write `within: 7d`");
    }
    too_long(rule.position, fmt::format("rule `{}`: `within`", rule.id), rule.approval_within);
    // Without a role anybody may approve.
    const auto holders = std::count_if(people_.begin(), people_.end(), [&](const Person& person) {
      return rule.approver_role.empty() || std::find(person.roles.begin(), person.roles.end(),
                                                     rule.approver_role) != person.roles.end();
    });
    // A role that nobody has is told by `nobody-approves`.
    if (holders == 0 || rule.approvals <= holders) return;
    never(rule.position,
          fmt::format("rule `{}` asks for {} approvals, and {} have the role `{}`", rule.id,
                      rule.approvals, holders, rule.approver_role),
          "ask for fewer, or give the role to more people");
  }

  void budgets() {
    const doc::Value* list = policy_.identity.content.find("budgets");
    for (std::size_t i = 0; i < policy_.budgets.size(); ++i) {
      const Budget& budget = policy_.budgets[i];
      const bool known = list != nullptr && list->is_array() && i < list->size();
      const doc::Value& item = known ? list->as_array()[i] : policy_.identity.content;
      // A denial in the clothes of a budget: the ledger would name the budget, and no rule.
      if (item.int_or("limit", -1) == 0) {
        never(position_of(item, "limit"),
              fmt::format("budget `{}`: `{}` is never done, for its limit is 0", budget.id,
                          budget.action),
              "write a limit of 1 or more; to forbid the action, write a rule that denies it");
      }
      if (budget.limit > kMostCount) {
        never(position_of(item, "limit"),
              fmt::format("budget `{}`: nothing is done {} times", budget.id, budget.limit),
              "write the number that is too many");
      }
      too_long(position_of(item, "window"), fmt::format("budget `{}`: `window`", budget.id),
               budget.window);
    }
  }

  void fail_over() {
    // Defaults are not reported: nobody wrote them.
    const doc::Value* section = policy_.identity.content.find("failover");
    if (section == nullptr) return;
    const FailOverRule& rule = policy_.fail_over;
    at_most(*section, "requests", rule.requests, kMostRequests);
    at_most(*section, "most", rule.most, kMostFailOvers);
    for (const auto& [key, share] :
         {std::pair<std::string_view, double>{"failed_share", rule.failed_share},
          {"refused_share", rule.refused_share}}) {
      // Only 0 is left to find: below it a share was out of range.
      if (share != 0) continue;
      add("always-applies", position_of(*section, key),
          fmt::format("failover: every share is 0 or more, so `{}` 0 changes to the standby at one",
                      key),
          fmt::format("write the share that is too much, for example `{}: 0.5`", key));
    }
  }

  void retrain() {
    const doc::Value* recovery = policy_.identity.content.find("recovery");
    const doc::Value* section = recovery == nullptr ? nullptr : recovery->find("retrain");
    if (section == nullptr) return;
    // 0 stands for a value that was refused and reported.
    if (policy_.retrain_max_rows > 0 && policy_.retrain_max_rows < kLeastRetrainRows) {
      never(position_of(*section, "max_rows"),
            fmt::format("recovery: {} rows are too few to retrain on", policy_.retrain_max_rows),
            fmt::format("write {} or more", kLeastRetrainRows));
    }
    if (policy_.retrain_max_rows > kMostCount) {
      never(position_of(*section, "max_rows"),
            fmt::format("recovery: {} rows never come", policy_.retrain_max_rows),
            "write how many rows a retrain may use");
    }
    too_long(position_of(*section, "event_time_cost"), "recovery: `event_time_cost`",
             policy_.retrain_event_time_cost);
  }

  void recalibrate() {
    const doc::Value* recovery = policy_.identity.content.find("recovery");
    const doc::Value* section = recovery == nullptr ? nullptr : recovery->find("recalibrate");
    if (section == nullptr) return;
    for (const auto& [key, bound] :
         {std::pair<std::string_view, std::optional<double>>{"step", policy_.recalibrate_step},
          {"sum", policy_.recalibrate_sum}}) {
      if (!bound || *bound <= kMostLogits) continue;
      never(position_of(*section, key),
            fmt::format("recovery: no recalibration is of {:g} logits", *bound),
            fmt::format("write the logits that are too many, {:g} or less", kMostLogits));
    }
  }

  void quarantine() {
    const doc::Value* recovery = policy_.identity.content.find("recovery");
    const doc::Value* section = recovery == nullptr ? nullptr : recovery->find("quarantine");
    if (section == nullptr || policy_.quarantine_good_rows.value_or(0) <= kMostCount) return;
    never(position_of(*section, "good_rows"),
          fmt::format("recovery: {} rows a day never come", *policy_.quarantine_good_rows),
          "write how many good rows a day may be held back without a person");
  }

  void at_most(const doc::Value& section, std::string_view key, std::int64_t value,
               std::int64_t most) {
    if (value <= most) return;
    never(position_of(section, key), fmt::format("failover: `{}` is at most {}", key, most),
          fmt::format("write {} or less", most));
  }

  void too_long(doc::Position position, const std::string& what, Micros value) {
    if (value <= kLongest) return;
    never(position, fmt::format("{} of {} never ends", what, format_duration(value)),
          fmt::format("write {} or less", format_duration(kLongest)));
  }

  void never(doc::Position position, std::string message, std::string hint) {
    add("never-applies", position, std::move(message), std::move(hint));
  }

  void add(std::string id, doc::Position position, std::string message, std::string hint) {
    doc::Diagnostic diagnostic;
    diagnostic.id = std::move(id);
    diagnostic.message = std::move(message);
    diagnostic.file = policy_.identity.file;
    diagnostic.position = position;
    diagnostic.hint = std::move(hint);
    out_.push_back(std::move(diagnostic));
  }

  const Policy& policy_;
  const std::vector<Person>& people_;
  std::vector<doc::Diagnostic>& out_;
};

void check_policy_numbers(const Policy& policy, const std::vector<Person>& people,
                          std::vector<doc::Diagnostic>& out) {
  PolicyCheck(policy, people, out).run();
}

const Schema<Policy>& policy_keys() {
  static const Schema<PolicyRule> needs = [] {
    Schema<PolicyRule> t("needs", "whose yes is needed");
    t.integer("approvals", &PolicyRule::approvals, "how many persons", 1);
    t.text("role", &PolicyRule::approver_role, "of which role").required();
    t.duration("within", &PolicyRule::approval_within, "wall time until the request expires");
    return t;
  }();
  static const Schema<PolicyRule> rule = [] {
    using Effect = PolicyRule::Effect;
    Schema<PolicyRule> t(
        "a rule",
        "deny comes before require_approval comes before allow; what no rule names is denied");
    t.text("id", &PolicyRule::id, "permanent id").required();
    t.choice("effect", &PolicyRule::effect,
             {{"allow", Effect::kAllow},
              {"deny", Effect::kDeny},
              {"require_approval", Effect::kRequireApproval}},
             "the verdict")
        .required();
    t.texts("who", &PolicyRule::who, "`person:*`, `role:NAME`, `agent:NAME`, `system:*`")
        .required();
    t.texts("action", &PolicyRule::actions, "actions, `*` allowed").required();
    t.texts("target", &PolicyRule::targets, "targets, `*` allowed; none: any");
    t.expression("when", &PolicyRule::when, "CEL, bool, over `attributes.NAME`");
    t.within("needs", needs, "of require_approval: the approvals");
    t.describes({"description"});
    t.finally([](PolicyRule& into, const doc::Value& value, Reader& reader) {
      into.position = value.position();
      // Where `needs` stands without a role, its own schema says that the role is missing.
      if (into.effect == Effect::kRequireApproval && into.approver_role.empty() &&
          value.find("needs") == nullptr) {
        reader.report(value.position(), "missing-key",
                      fmt::format("rule `{}` asks for approval and does not say whose", into.id),
                      "add `needs: {role: ml-engineer}`");
      }
    });
    return t;
  }();
  static const Schema<Budget> budget = [] {
    Schema<Budget> t(
        "a budget", "at most `limit` applied decisions of an action within a window of event time");
    t.text("id", &Budget::id, "permanent id").required();
    t.text("action", &Budget::action, "the action").required();
    t.integer("limit", &Budget::limit, "how many").required();
    t.duration("window", &Budget::window, "of event time; without it, ever");
    return t;
  }();
  static const Schema<Policy> failover = [] {
    Schema<Policy> t("failover", "the data plane's own switch to the standby");
    using Get = void (*)(FailOverRule&, const doc::Value&);
    // These are a struct deeper than the schema's own methods reach.
    const auto more = [&](std::string key, Shape shape, double at_least, std::string about,
                          Get set) {
      t.custom(
          std::move(key), shape, std::move(about),
          [set](Policy& into, const doc::Value& value, Reader&) { set(into.fail_over, value); });
      t.keys.back().at_least = at_least;
    };
    t.boolean("allowed", &Policy::fail_over_allowed, "authorised beforehand").required();
    more("requests", Shape::kInteger, 1,
         "looked at together: the last so many that the primary answered",
         [](FailOverRule& into, const doc::Value& value) { into.requests = value.as_int(); });
    more(
        "failed_share", Shape::kNumber, 0,
        "share of them without an answer that changes to the standby",
        [](FailOverRule& into, const doc::Value& value) { into.failed_share = value.as_double(); });
    more("refused_share", Shape::kNumber, 0, "share of their rows refused that does; 1: never",
         [](FailOverRule& into, const doc::Value& value) {
           into.refused_share = value.as_double();
         });
    more("most", Shape::kInteger, 1, "changes in a row before the control plane has settled them",
         [](FailOverRule& into, const doc::Value& value) { into.most = value.as_int(); });
    t.finally([](Policy& into, const doc::Value& value, Reader& reader) {
      need_share(value, "failed_share", into.fail_over.failed_share, reader);
      need_share(value, "refused_share", into.fail_over.refused_share, reader);
    });
    return t;
  }();
  static const Schema<Policy> retrain = [] {
    Schema<Policy> t("retrain", "bounds of a retrain");
    t.integer("max_rows", &Policy::retrain_max_rows, "the most labelled rows it may use", 1)
        .required();
    t.duration("event_time_cost", &Policy::retrain_event_time_cost,
               "one started at t is usable at exactly t + this")
        .required();
    return t;
  }();
  static const Schema<Policy> recalibrate = [] {
    Schema<Policy> t("recalibrate",
                     "bounds of recalibrations that no person sees: of the offsets, and of the "
                     "interval; in logits, "
                     "of a regression in units of its labels' median deviation");
    const auto bound = [&](std::string key, std::optional<double> Policy::* member,
                           std::string about) {
      t.custom(std::move(key), Shape::kNumber, std::move(about),
               [member](Policy& into, const doc::Value& value, Reader&) {
                 into.*member = value.as_double();
               });
      t.keys.back().at_least = 0;
    };
    bound("step", &Policy::recalibrate_step,
          "one that adds or takes more needs a person; without it, 1");
    bound("sum", &Policy::recalibrate_sum,
          "more than that in sum, since a person signed a release or the model was trained, needs "
          "one; without it, 1.5");
    return t;
  }();
  static const Schema<Policy> quarantine = [] {
    Schema<Policy> t("quarantine", "bounds of a quarantine that no person sees");
    t.custom("good_rows", Shape::kInteger,
             "one that would hold back more rows a day that break no rule needs a person; without "
             "it, 1000",
             [](Policy& into, const doc::Value& value, Reader&) {
               into.quarantine_good_rows = value.as_int();
             });
    t.keys.back().at_least = 0;
    return t;
  }();
  static const Schema<Policy> recovery = [] {
    Schema<Policy> t("recovery", "bounds of recovery");
    t.within("retrain", retrain, "bounds of a retrain");
    t.within("recalibrate", recalibrate, "bounds of recalibrations that no person sees");
    t.within("quarantine", quarantine, "bounds of a quarantine that no person sees");
    return t;
  }();
  static const Schema<Policy> table = [] {
    Schema<Policy> t("Policy", "who and what may do which action");
    add_named_head(t, "Policy");
    t.texts("services", &Policy::services, "the services it is for; without it, every one");
    t.objects("rules", &Policy::rules, rule, "the rules").required();
    t.objects("budgets", &Policy::budgets, budget, "the budgets, of each service by itself");
    t.within("failover", failover, "the data plane's own switch");
    t.within("recovery", recovery, "bounds of recovery");
    return t;
  }();
  return table;
}

class PolicyChecker : public Checking {
 public:
  explicit PolicyChecker(const Checking& all) : Checking(all) {}

  void check(Policy& policy) {
    const std::string& file = policy.identity.file;
    std::set<std::string> seen;
    for (const auto& rule : policy.rules) {
      unique(file, seen, rule.id, rule.position, "rule");
      const auto [first, is_fresh] = rules_.emplace(rule.id, &policy);
      if (!is_fresh && first->second != &policy && !rule.id.empty()) {
        report(
            file, rule.position, "duplicate-name",
            fmt::format("rule `{}` is in policy `{}` too", rule.id, first->second->identity.name),
            "rename one of the two: decisions and the ledger name a rule by its id alone");
      }
      if (rule.when) {
        // The types of attributes belong to whoever proposes; here the text must parse.
        if (const auto names = expr::names_in(rule.when->text); !names.ok()) {
          std::size_t offset = 0;
          const std::string& where = names.error().where;
          if (where.starts_with("offset "))
            std::from_chars(where.data() + 7, where.data() + where.size(), offset);
          report(file, inside(file, *rule.when, offset), "bad-expression",
                 fmt::format("rule `{}`: {}", rule.id, names.error().message), names.error().hint);
        }
        // Nothing is declared, and what is not declared may be anything (`outcomes_of`).
        static const expr::Environment unknown;
        check_outcome(file, fmt::format("the condition of rule `{}`", rule.id), *rule.when,
                      {unknown, {}, Use::kPolicyRule});
      }
      if (rule.effect != PolicyRule::Effect::kRequireApproval || rule.approver_role.empty())
        continue;
      const bool held =
          std::any_of(project_.people.begin(), project_.people.end(), [&](const Person& person) {
            return std::find(person.roles.begin(), person.roles.end(), rule.approver_role) !=
                   person.roles.end();
          });
      if (!held) {
        report(
            file, rule.position, "nobody-approves",
            fmt::format("rule `{}` asks role `{}`, which nobody has", rule.id, rule.approver_role),
            "give the role to a person in people.yaml");
      }
    }
    check_policy_numbers(policy, project_.people, diagnostics_);
    // Among the ids of the rules: a refusal names a rule or a budget by its id alone.
    for (std::size_t i = 0; i < policy.budgets.size(); ++i)
      unique(file, seen, policy.budgets[i].id, at(policy.identity, "budgets", i), "budget");
  }

 private:
  std::map<std::string, const Policy*>
      rules_;  ///< of the whole project, with the first that has it
};

}  // namespace

const Kind& policy_kind() {
  static const BuiltInKind<Policy, PolicyChecker> kind("Policy", "policies", policy_keys,
                                                       &Project::policies);
  return kind;
}

}  // namespace heddle::spec
