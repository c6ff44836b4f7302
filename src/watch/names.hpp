#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::watch {

/// Names of accounts and sources as small numbers. Both are declared in definitions, so there are
/// few; should 65,535 ever have been seen, what comes then shares the empty name's number, 0.
class Names {
 public:
  Names() { (void)number(""); }
  [[nodiscard]] std::uint16_t number(std::string_view name) {
    if (const auto known = numbers_.find(name); known != numbers_.end()) return known->second;
    if (names_.size() >= UINT16_MAX) return 0;
    const auto next = static_cast<std::uint16_t>(names_.size());
    names_.emplace_back(name);
    numbers_.emplace(names_.back(), next);
    return next;
  }
  [[nodiscard]] const std::string& name(std::uint16_t number) const { return names_.at(number); }

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::uint16_t, std::less<>> numbers_;
};

}  // namespace heddle::watch
