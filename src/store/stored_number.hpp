#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

#include <fmt/format.h>

#include "base/result.hpp"

namespace heddle::store {

/// `row` of the state holds something else than `what`: kCorrupt `state-row`.
[[nodiscard]] inline Error damaged_row(std::string_view row, std::string_view what) {
  return {ErrorKind::kCorrupt, "state-row",
          fmt::format("row `{}` of the state holds no {}", row, what),
          "bring `.heddle/state.db` back from a backup"};
}

/// The number that `row` of the state holds in decimal; kCorrupt `state-row` where it holds none.
[[nodiscard]] inline Result<std::uint64_t> stored_number(std::string_view text,
                                                         std::string_view row) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [at, fault] = std::from_chars(text.data(), end, number);
  if (fault == std::errc() && at == end && !text.empty()) return number;
  return damaged_row(row, "number");
}

}  // namespace heddle::store
