#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace heddle {

/// Microseconds since 1970-01-01T00:00:00Z. Event time and wall time share the unit, never a
/// variable (DESIGN 4, Time).
using Micros = std::int64_t;

inline constexpr Micros kSecond = 1'000'000;
inline constexpr Micros kMinute = 60 * kSecond;
inline constexpr Micros kHour = 60 * kMinute;
inline constexpr Micros kDay = 24 * kHour;
inline constexpr std::int64_t kNanosPerMs = 1'000'000;  ///< of the monotonic clock

/// Where time comes from; injected, so that a test can own it. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Micros wall() const = 0;           ///< for the ledger, approvals, money
  [[nodiscard]] virtual std::int64_t mono_ns() const = 0;  ///< for timeouts and latency
};

[[nodiscard]] const Clock& system_clock();

/// `2001-04-10T05:00:00Z`, with six fractional digits when they are not zero.
[[nodiscard]] std::string format_time(Micros time);
/// `2001-04-10`.
[[nodiscard]] std::string format_date(Micros time);
/// Accepts `YYYY-MM-DD`, and that with `T` or a space, `HH:MM[:SS[.f{1,9}]]` (cut to us) and an
/// optional `Z`, `±HH:MM`, `±HHMM` or `±HH`; checks that the date exists. Strict: nothing before or
/// after.
[[nodiscard]] std::optional<Micros> parse_time(std::string_view text) noexcept;
/// `90s`, `15m`, `2h`, `1d`, `250ms`; sums like `1d12h`. Nothing else.
[[nodiscard]] std::optional<Micros> parse_duration(std::string_view text) noexcept;
/// `1d 2h`, `35m`, `12s`: for people.
[[nodiscard]] std::string format_duration(Micros duration);

struct CivilDate {
  int year;
  int month;  ///< 1 to 12
  int day;    ///< 1 to 31
};
[[nodiscard]] CivilDate civil_date(Micros time) noexcept;
[[nodiscard]] Micros from_civil(CivilDate date) noexcept;

}  // namespace heddle
