#pragma once

#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "expr/program.hpp"

namespace heddle::expr {

/// What is known of a variable beside its type.
struct Domain {
  double low = -std::numeric_limits<double>::infinity();  ///< of numbers
  double high = std::numeric_limits<double>::infinity();
  bool may_be_nan = true;
  std::vector<std::string> texts{};  ///< of strings: the only ones; empty: any
};

/// What an expression may come out as, worked out before there are rows. What is ruled out here
/// never happens; what is not may still never happen.
struct Outcomes {
  struct Fault {
    std::size_t offset = 0;
    std::string message;
    std::string hint;
  };
  std::vector<Fault> faults{};  ///< innermost parts that fail on every row
  bool may_be_true = true;      ///< of a bool expression
  bool may_be_false = true;
  bool may_be_value = true;  ///< neither null nor an error
};

/// `domains[i]` is of variable i; missing ones are of any value. Parts that name nothing in the
/// environment, as in a policy whose attributes are known later, may be anything. A source that
/// does not parse has every outcome: `Program::compile` says what is wrong.
[[nodiscard]] Outcomes outcomes_of(std::string_view source, const Environment& environment,
                                   std::span<const Domain> domains = {});

}  // namespace heddle::expr
