#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/clock.hpp"
#include "stats/task.hpp"
#include "watch/names.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

// A label that may not be there: a code as a float, NaN for none; or the value as it came.
[[nodiscard]] inline bool is_label(float code) noexcept { return !std::isnan(code); }
[[nodiscard]] inline bool same_label(float a, float b) noexcept { return a == b; }
[[nodiscard]] inline bool is_label(const std::optional<stats::Label>& label) noexcept {
  return label.has_value();
}
/// Numbers are the same where they are so as floats: clients round.
[[nodiscard]] bool same_label(const std::optional<stats::Label>& a,
                              const std::optional<stats::Label>& b);
template <class Value>
inline Value kNoLabel{};
template <>
inline constexpr float kNoLabel<float> = std::numeric_limits<float>::quiet_NaN();

/// What is said of one row's label, and by whom. Of what one account says the later event time
/// counts. Two accounts that say the same confirm each other; two that differ leave the row without
/// a label that anything may rest on, until one of them says otherwise: whose clock is ahead is no
/// reason to believe it. The word of a third account only counts where nobody contradicts it yet.
template <class Value>
struct OpinionOf {
  Micros time = 0;        ///< when `label` became known
  Micros other_time = 0;  ///< when `other` did
  Value label = kNoLabel<Value>;
  Value other = kNoLabel<Value>;  ///< of another account
  std::uint16_t by = 0;           ///< account of `label`, as a number
  std::uint16_t other_by = 0;

  /// Takes what `account` says; nothing changes when it is older than what that account said.
  /// Whether anything did.
  bool add(const Value& value, Micros at, std::uint16_t account) {
    if (!has_label() || account == by) {
      if (has_label() && at <= time) return false;
      label = value;
      time = at;
      by = account;
      return true;
    }
    const bool own = has_other() && account == other_by;
    const bool is_late =
        own ? at <= other_time : has_other() && (contested() || same_label(value, label));
    if (is_late) return false;
    other = value;
    other_time = at;
    other_by = account;
    return true;
  }
  [[nodiscard]] bool has_label() const { return is_label(label); }
  [[nodiscard]] bool has_other() const { return is_label(other); }
  [[nodiscard]] bool contested() const { return has_other() && !same_label(other, label); }
  [[nodiscard]] bool confirmed() const { return has_other() && same_label(other, label); }
  /// Whether there is a label that something may rest on.
  [[nodiscard]] bool stands() const { return has_label() && !contested(); }
};

/// As the watch keeps it: 32 bytes.
using LabelOpinion = OpinionOf<float>;

/// Accounts are written by name and read as numbers of `names`.
void save_opinion(StateWriter& out, const LabelOpinion& opinion, const Names& names);
[[nodiscard]] LabelOpinion load_opinion(StateReader& in, Names& names);

}  // namespace heddle::watch
