#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "spec/identity.hpp"

namespace heddle::spec {

struct PolicyRule {
  enum class Effect { kAllow, kDeny, kRequireApproval };
  std::string id;
  Effect effect = Effect::kDeny;
  std::vector<std::string>
      who;  ///< `person:*`, `role:ml-engineer`, `agent:*`, `agent:recover`, `system:*`
  std::vector<std::string> actions;  ///< `release.promote`, `slot.*`
  std::vector<std::string> targets;  ///< glob with `*`; empty: any
  std::optional<Expression> when{};  ///< CEL, bool
  int approvals = 1;                 ///< kRequireApproval
  std::string approver_role{};
  Micros approval_within = 7 * kDay;  ///< wall time until the request expires
  doc::Position position{};
};

/// At most `limit` applied decisions of `action` within `window` of event time. What is about a
/// service is counted for that service alone: the incidents of one leave the budget of another.
struct Budget {
  std::string id;
  std::string action;
  std::int64_t limit = 0;
  Micros window = 0;  ///< 0: ever
};

/// When the data plane changes to the standby by itself, over the last `requests` that the primary
/// answered. Shares are of 1.
struct FailOverRule {
  std::int64_t requests = 50;
  double failed_share = 0.5;   ///< of the requests that got no answer (errors and timeouts)
  double refused_share = 1.0;  ///< of the rows refused by the contract; 1: never for this reason
  std::int64_t most = 1;       ///< in a row, before the control plane has settled them
};

/// How far recovery moves the answers by recalibrations that no person sees, in logits. Beyond it a
/// person is asked (docs/adr/0024).
struct RecalibrationBound {
  double step = 1.0;  ///< of one: odds times 2.7, for example 20 % to 40 %
  double sum = 1.5;   ///< since a person signed a release or the model was trained: odds times 4.5
};

/// Of a policy that does not say `quarantine_good_rows`.
inline constexpr std::int64_t kQuarantineGoodRows = 1000;

struct Policy {
  Identity identity;
  std::vector<std::string> services{};  ///< that it is for; empty: for all of the project
  std::vector<PolicyRule> rules;
  std::vector<Budget> budgets;
  bool fail_over_allowed = false;
  FailOverRule fail_over{};
  std::int64_t retrain_max_rows = 0;   ///< W: the most labelled rows a retrain may use
  Micros retrain_event_time_cost = 0;  ///< a retrain started at t is usable at exactly t + this
  std::optional<double> recalibrate_step{};  ///< its own bound of one recalibration
  std::optional<double> recalibrate_sum{};   ///< its own bound of their sum
  /// Rows a day without fault that a quarantine may hold back without a person.
  std::optional<std::int64_t> quarantine_good_rows{};

  [[nodiscard]] bool is_for(std::string_view service) const {
    return services.empty() ||
           std::find(services.begin(), services.end(), service) != services.end();
  }
};

}  // namespace heddle::spec
