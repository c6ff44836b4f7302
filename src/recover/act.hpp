#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.hpp"

namespace heddle::recover {

/// A contract transform that repairs a field.
struct TransformInForce {
  static constexpr std::string_view kName = "transform";
  std::string field;
  std::string transform;          ///< its id in the contract
  int lag_hours = 0;              ///< hours that the field was ahead, and that are taken off
  std::optional<Micros> clock{};  ///< where the field's clock stood when it was repaired; empty:
                                  ///< rows did not agree
  bool operator==(const TransformInForce&) const = default;
};

struct RecalibrationInForce {
  static constexpr std::string_view kName = "recalibration";
  std::vector<double> offsets;  ///< what was added to the margins, one an output
  double quantile = 0;          ///< what was added to that of the interval
  bool operator==(const RecalibrationInForce&) const = default;
};

/// The standby serves.
struct SwapInForce {
  static constexpr std::string_view kName = "swap";
  std::string before{};  ///< digest of what was served before
  bool operator==(const SwapInForce&) const = default;
};

/// A retrained model serves.
struct ReleaseInForce {
  static constexpr std::string_view kName = "release";
  std::string before{};     ///< digest of what was served before
  bool on_standby = false;  ///< that was a standby that had taken over
  bool operator==(const ReleaseInForce&) const = default;
};

/// Something that recovery did and that is in force: what is served is not what a person released
/// last. It is verified for as long as it stands, on what is served against what would be served
/// without it, and taken back when it does not pay.
struct Act {
  using Kind = std::variant<TransformInForce, RecalibrationInForce, SwapInForce, ReleaseInForce>;
  std::string id;  ///< `incident-0003/transform`: names its trial
  Kind kind;
  std::string incident;  ///< that did it
  Micros since = 0;      ///< event time of the decision
  std::string made{};    ///< digest of what serves by it
  bool kept = false;     ///< policy or a person does not let it be taken back

  template <class K>
  [[nodiscard]] bool is() const noexcept {
    return std::holds_alternative<K>(kind);
  }
  template <class K>
  [[nodiscard]] const K* as() const noexcept {
    return std::get_if<K>(&kind);
  }
  /// The field that it repairs; empty: it is about none.
  [[nodiscard]] std::string field() const;

  bool operator==(const Act&) const = default;
};

[[nodiscard]] std::string_view act_name(
    const Act::Kind& kind) noexcept;  ///< transform, recalibration, swap, release
/// What it does, for people: "transform `at-shift` of `at`", "recalibration by +0.5, of the
/// intervals by +2".
[[nodiscard]] std::string act_text(const Act& act);
/// The one that is farthest from 0, with its sign; 0 of none.
[[nodiscard]] double largest_offset(const std::vector<double>& offsets) noexcept;

}  // namespace heddle::recover
