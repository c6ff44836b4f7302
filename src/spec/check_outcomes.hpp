#pragma once

#include <string>
#include <vector>

#include "doc/diagnostic.hpp"
#include "expr/outcomes.hpp"

namespace heddle::spec {

/// What an expression decides, and so what it means that it always comes out the same.
enum class Use {
  kValue,
  kSent,        ///< what a fault sends: no value will do too
  kTouched,     ///< which rows a fault touches
  kRefusal,     ///< a rule of a row
  kWarning,     ///< one that lets pass
  kSet,         ///< a rule of a set of rows
  kSetWarning,  ///< one that lets pass
  kCount,       ///< which rows a rule of a set counts
  kTarget,
  kGate,
  kMonitorRule,
  kPolicyRule
};

/// One finding about an expression; `offset` is a place in its text.
struct OutcomeFinding {
  std::size_t offset = 0;
  doc::Severity severity = doc::Severity::kError;
  std::string id;
  std::string message;
  std::string hint;
};

/// What is wrong with an expression whatever the rows are: `what` names it (rule `x`).
[[nodiscard]] std::vector<OutcomeFinding> check_outcomes(Use use, const std::string& what,
                                                         const expr::Outcomes& outcomes);

}  // namespace heddle::spec
