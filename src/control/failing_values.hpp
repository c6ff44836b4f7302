#pragma once

#include <string>
#include <vector>

#include "control/recorded.hpp"
#include "spec/contract.hpp"

namespace heddle::control {

/// The fields that a rule of a contract is about, for a row that broke it: its field, those of a
/// dependency or of an expression. Empty where it is about none (`source-quarantined`).
[[nodiscard]] std::vector<std::string> fields_of_rule(const spec::Contract& contract,
                                                      const std::string& rule);

/// The values of a refused row that its rules are about.
[[nodiscard]] std::vector<FailingValue> failing_values(const spec::Contract& contract,
                                                       const RefusedRowItem& row);

}  // namespace heddle::control
