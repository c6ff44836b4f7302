#pragma once

#include <string>
#include <string_view>

namespace heddle::draft {

/// Two texts line by line, as `diff -u` shows them: three lines around each change; empty when they
/// are equal. By the longest common subsequence (Myers 1986).
[[nodiscard]] std::string difference(std::string_view before, std::string_view after,
                                     std::string_view name);

}  // namespace heddle::draft
