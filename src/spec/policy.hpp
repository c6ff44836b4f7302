#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "spec/identity.hpp"

namespace heddle::spec {

struct PolicyRule {
  enum class Effect { kAllow, kDeny, kRequireApproval };
  std::string id;
  Effect effect = Effect::kDeny;
  std::vector<std::string> who;       ///< `person:*`, `role:ml-engineer`, `agent:*`, `agent:recover`, `system:*`
  std::vector<std::string> actions;   ///< `release.promote`, `slot.*`
  std::vector<std::string> targets;   ///< glob with `*`; empty: any
  std::optional<Expression> when{};     ///< CEL, bool
  int approvals = 1;                  ///< kRequireApproval
  std::string approver_role{};
  Micros approval_within = 7 * kDay;  ///< wall time until the request expires
  doc::Position position{};
};

/// At most `limit` applied decisions of `action` within `window` of event time.
struct Budget {
  std::string id;
  std::string action;
  std::int64_t limit = 0;
  Micros window = 0;                  ///< 0: ever
};

struct Policy {
  Identity identity;
  std::vector<PolicyRule> rules;
  std::vector<Budget> budgets;
  bool fail_over_allowed = false;
  std::int64_t retrain_max_rows = 0;    ///< W: the most labelled rows a retrain may use
  Micros retrain_event_time_cost = 0;   ///< a retrain started at t is usable at exactly t + this
};

}  // namespace heddle::spec
