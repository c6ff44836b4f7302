#pragma once

#include <optional>
#include <string>

#include "doc/value.hpp"

namespace heddle::doc {

/// JSON has neither infinities nor NaN, and `to_json` writes null for them. A number that is to be
/// read back as it was is written as a number when it is finite, else as "Infinity", "-Infinity" or
/// "NaN" (the words of protobuf's JSON). nullopt for any other value.
[[nodiscard]] Value exact_number(double number);
[[nodiscard]] std::optional<double> exact_number(const Value& value);

/// Which number in `value` JSON would turn into null, for example `.metrics[2].mean is inf`; empty
/// when none. What is stored to be read again is asked this before it is written.
[[nodiscard]] std::string non_finite_at(const Value& value);

}  // namespace heddle::doc
