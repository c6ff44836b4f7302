#include "doc/numbers.hpp"

#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace heddle::doc {

Value exact_number(double number) {
  if (std::isfinite(number)) return number;
  // As a word: JSON has no such numbers.
  return std::isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";
}

std::optional<double> exact_number(const Value& value) {
  if (value.is_number()) return value.as_double();
  if (!value.is_string()) return std::nullopt;
  const std::string& word = value.as_string();
  if (word == "Infinity") return std::numeric_limits<double>::infinity();
  if (word == "-Infinity") return -std::numeric_limits<double>::infinity();
  if (word == "NaN") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

std::string non_finite_at(const Value& value) {
  if (value.is_double())
    return std::isfinite(value.as_double()) ? "" : fmt::format("{}", value.as_double());
  const auto inside = [](std::string step, const std::string& rest) {
    // What follows is a step of the path, or the number itself.
    const bool path = rest.front() == '[' || rest.front() == '.';
    return path ? step + rest : fmt::format("{} is {}", step, rest);
  };
  if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (const auto found = non_finite_at(value.as_array()[i]); !found.empty())
        return inside(fmt::format("[{}]", i), found);
    }
  }
  if (value.is_object()) {
    for (const auto& [name, member] : value.as_object()) {
      if (const auto found = non_finite_at(member); !found.empty())
        return inside("." + name, found);
    }
  }
  return "";
}

}  // namespace heddle::doc
