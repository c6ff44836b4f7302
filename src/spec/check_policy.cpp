#include "spec/check_policy.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "spec/never.hpp"

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
    if (rule.approval_within <= 0) {
      never(rule.position,
            fmt::format("rule `{}`: an approval within {} has expired when it is asked for",
                        rule.id, format_duration(rule.approval_within)),
            "write `within: 7d`");
    }
    too_long(rule.position, fmt::format("rule `{}`: `within`", rule.id), rule.approval_within);
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
    const doc::Value* section = policy_.identity.content.find("failover");
    if (section == nullptr) return;
    const FailOverRule& rule = policy_.fail_over;
    at_most(*section, "requests", rule.requests, kMostRequests);
    at_most(*section, "most", rule.most, kMostFailOvers);
    for (const auto& [key, share] :
         {std::pair<std::string_view, double>{"failed_share", rule.failed_share},
          {"refused_share", rule.refused_share}}) {
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

}  // namespace

void check_policy_numbers(const Policy& policy, const std::vector<Person>& people,
                          std::vector<doc::Diagnostic>& out) {
  PolicyCheck(policy, people, out).run();
}

}  // namespace heddle::spec
