#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace heddle::replay {

/// One fault of the catalogue: what is changed in which rows. It is active for rows whose true
/// event time is in [from, to) and, where they are set, only for one source, a seeded share of the
/// rows, or true hours of the day. Field names are the recorded file's; the true event time itself
/// is never changed.
struct Fault {
  enum class Kind {
    kUnit,          ///< `field` (number) times `factor`, rounded
    kDateFormat,    ///< `field` (timestamp) sent as text, `MM/DD/YY`
    kUnknownCode,   ///< `field` (string) replaced by a code that no enum holds
    kMissing,       ///< `field` sent without a value
    kTimeShift,     ///< `field` (timestamp) plus `shift`, the date rolls over
    kInvertLabel,   ///< the world turns over: the label becomes 1 - label
    kWrongLabel,    ///< what is sent as label is 1 - label; the world stays as it was
    kDropPositive,  ///< rows with a true label are left out: the base rate falls
  };
  std::string name;  ///< in truth files and reports: `a`, `b-date`, ...
  Kind kind = Kind::kUnit;
  std::string field{};
  Micros from = INT64_MIN;
  Micros to = INT64_MAX;
  int source = -1;        ///< index of the one source it touches; -1: every source
  double share_from = 0;  ///< touches rows whose seeded uniform draw is in [share_from, share_to)
  double share_to = 1;
  int hour_from = 0;  ///< true hour of the event time, inclusive
  int hour_to = 23;   ///< inclusive
  double factor = 1;
  Micros shift = 0;

  [[nodiscard]] bool active(Micros event_time, int row_source, double draw) const noexcept;
};

/// The faults of the flights demo: (a) `a`: distance in kilometres from one source, April 10-11;
/// (b) `b-date`, `b-code`: April 20, 5 % of the rows each; (c) `c`: departure + 5 hours from May 11
/// until May 30, when the clock is right again; (d) `d`: label inverted where the true hour is 6 to
/// 11, from June 8. `year` is that of the recording.
[[nodiscard]] std::vector<Fault> flights_faults(int year = 2001);

/// `none`, `flights`, or a comma-separated choice of the flights' names (`a,c`). kInvalid names
/// what is known.
[[nodiscard]] Result<std::vector<Fault>> faults_from_text(const std::string& text);

/// A code for `kUnknownCode`: upper case, outside every airport list, the same for the same row.
/// Written to `out[4]`.
void unknown_code(std::uint64_t row, char out[4]) noexcept;

/// A uniform draw in [0, 1) that depends on seed and row only (SplitMix64).
[[nodiscard]] double seeded_draw(std::uint64_t seed, std::uint64_t row) noexcept;

}  // namespace heddle::replay
