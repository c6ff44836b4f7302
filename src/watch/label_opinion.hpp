#pragma once

#include <cstdint>

#include "base/clock.hpp"
#include "watch/names.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// What is said of one row's label, and by whom. Of what one account says the later event time
/// counts. Two accounts that say the same confirm each other; two that differ leave the row without
/// a label that anything may rest on, until one of them says otherwise: whose clock is ahead is no
/// reason to believe it. The word of a third account only counts where nobody contradicts it yet.
struct LabelOpinion {
  Micros time = 0;        ///< when `label` became known
  Micros other_time = 0;  ///< when `other` did
  std::uint16_t by = 0;   ///< account of `label`, as a number
  std::uint16_t other_by = 0;
  std::int8_t label = -1;  ///< -1: none yet
  std::int8_t other = -1;  ///< of another account; -1: none

  /// Takes what `account` says; nothing changes when it is older than what that account said.
  void add(std::int8_t value, Micros at, std::uint16_t account) noexcept {
    if (label < 0 || account == by) {
      if (label >= 0 && at <= time) return;
      label = value;
      time = at;
      by = account;
      return;
    }
    const bool own = other >= 0 && account == other_by;
    if (own ? at <= other_time : other >= 0 && (contested() || value == label)) return;
    other = value;
    other_time = at;
    other_by = account;
  }
  [[nodiscard]] bool contested() const noexcept { return other >= 0 && other != label; }
  [[nodiscard]] bool confirmed() const noexcept { return other >= 0 && other == label; }
  /// Whether there is a label that something may rest on.
  [[nodiscard]] bool stands() const noexcept { return label >= 0 && !contested(); }
  bool operator==(const LabelOpinion&) const = default;
};

/// Accounts are written by name and read as numbers of `names`.
void save_opinion(StateWriter& out, const LabelOpinion& opinion, const Names& names);
[[nodiscard]] LabelOpinion load_opinion(StateReader& in, Names& names);

}  // namespace heddle::watch
