#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"

namespace heddle::recover {

/// Something that recovery did and that is in force: what is served is not what a person released
/// last. It is verified for as long as it stands, on what is served against what would be served
/// without it, and taken back when it does not pay.
struct Act {
  enum class Kind : std::uint8_t { kTransform, kRecalibration, kSwap, kRelease };
  std::string id;  ///< `incident-0003/transform`: names its trial
  Kind kind = Kind::kTransform;
  std::string incident;     ///< that did it
  Micros since = 0;         ///< event time of the decision
  std::string field{};      ///< kTransform
  std::string transform{};  ///< kTransform: its id in the contract
  int lag_hours = 0;        ///< kTransform: hours that the field was ahead, and that are taken off
  std::optional<Micros> clock{};  ///< kTransform: where the field's clock stood when it was
                                  ///< repaired; empty: rows did not agree
  double intercept = 0;           ///< kRecalibration: logits added
  std::string before{};           ///< kRelease, kSwap: digest of what was served before
  std::string made{};             ///< digest of what serves by it
  bool on_standby = false;  ///< kRelease: what was served before was a standby that had taken over
  bool kept = false;        ///< policy or a person does not let it be taken back

  [[nodiscard]] doc::Value to_value() const;
  [[nodiscard]] static Result<Act> from_value(const doc::Value& value);
};

[[nodiscard]] std::string_view act_name(
    Act::Kind kind) noexcept;  ///< transform, recalibration, swap, release
/// What it does, for people: "transform `at-shift` of `at`", "recalibration by +0.5 logits".
[[nodiscard]] std::string act_text(const Act& act);

}  // namespace heddle::recover
