#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.hpp"
#include "doc/value.hpp"

namespace heddle::spec {

/// Bounds past which a number of a definition waits for what never comes.
inline constexpr std::int64_t kMostCount =
    1'000'000'000'000;  ///< rows: at a million a second that is eleven days
inline constexpr Micros kLongest = 36'500 * kDay;

/// Where the value of `key` stands; of a key that is not written, the object.
[[nodiscard]] inline doc::Position position_of(const doc::Value& value, std::string_view key) {
  const doc::Value* found = value.find(key);
  return found == nullptr ? value.position() : found->position();
}

}  // namespace heddle::spec
