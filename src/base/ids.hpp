#pragma once

#include <string>

#include "base/clock.hpp"

namespace heddle {

/// A UUIDv7 (RFC 9562): 48 bits of wall time in milliseconds, 12 of the microseconds in it, then
/// random bits; sorts by time of making, to the microsecond. Thread-safe.
[[nodiscard]] std::string uuid7(const Clock& clock = system_clock());

}  // namespace heddle
