#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stats/task.hpp"

namespace heddle::trainer {

class Trainer;

/// A parameter of a trainer that a definition may set.
struct Parameter {
  enum class Kind { kReal, kInteger, kText };
  std::string_view name;
  std::string_view canonical;  ///< one name for each: `eta` of `learning_rate`
  Kind kind = Kind::kReal;
  double low = 0;
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;     ///< `low` itself is not a value
  std::string_view words{};  ///< kText: the values, with a space between; empty: any
  std::string_view hint{};   ///< kText: more about the values
};

/// A name that the library knows, and that a definition may not set.
struct RefusedParameter {
  std::string_view name;
  std::string_view why;
  std::string_view hint;
};

/// Why a parameter of a trainer cannot be handed on.
struct ParameterFault {
  std::string_view id;  ///< `unknown-parameter`, `fixed-parameter`, `bad-parameter` or
                        ///< `unused-parameter`
  std::string message;
  std::string hint;
};

/// A parameter as a definition sets it; of one that the search draws the value is empty.
struct SetParameter {
  std::string name;
  std::string value;
};

/// Nothing when the trainer takes `name` = `value` for the task. A library may pass over names that
/// it does not know and take others whose model no service could answer with; both are faults here.
[[nodiscard]] std::optional<ParameterFault> check_parameter(const Trainer& trainer,
                                                            stats::TaskKind task,
                                                            std::string_view name,
                                                            std::string_view value);

/// Whether `name` is a whole number, so that a search must draw whole numbers for it.
[[nodiscard]] bool is_integer_parameter(const Trainer& trainer, stats::TaskKind task,
                                        std::string_view name);

/// One name for each parameter: `eta` of `learning_rate`.
[[nodiscard]] std::string_view canonical_parameter(const Trainer& trainer, stats::TaskKind task,
                                                   std::string_view name);

/// The whole of a text as a number.
[[nodiscard]] std::optional<double> parse_real(std::string_view text);
[[nodiscard]] std::optional<std::int64_t> parse_integer(std::string_view text);

}  // namespace heddle::trainer
