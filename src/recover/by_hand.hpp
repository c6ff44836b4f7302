#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"

namespace heddle::recover {

/// What a person did that incidents must know of: about an incident, or about a source under
/// quarantine. The control plane keeps each in the transaction of its decision, and the ladder
/// takes each once, in the order of `number`, after the tick that it came after: a restart takes
/// them at the same places.
struct ByHand {
  enum class Kind : std::uint8_t { kOpen, kAcknowledge, kComment, kClose, kQuarantine, kRelease };
  Kind kind = Kind::kComment;
  std::uint64_t number = 0;  ///< from 1, one more each time
  Micros after = 0;          ///< event time of the tick it came after; INT64_MIN: of none
  std::string by;            ///< the person
  std::string text;          ///< why, one line
  std::uint64_t entry = 0;   ///< ledger entry
  std::string incident{};    ///< id; kQuarantine, kRelease: empty, every open one of the source
  std::string source{};      ///< kQuarantine, kRelease; kOpen: if it is about one
  std::string account{};     ///< of the source; empty: everybody's
  std::vector<std::string> in_force{};  ///< kClose: what goes on, in words
  bool shut_out = false;                ///< kClose: its source is still under its quarantine

  bool operator==(const ByHand&) const = default;
  /// One sentence for a timeline.
  [[nodiscard]] std::string line() const;
};

/// The command that lets a source in.
[[nodiscard]] std::string release_command(std::string_view service, std::string_view account,
                                          std::string_view source);

/// open, acknowledge, comment, close, quarantine, release
[[nodiscard]] std::string_view kind_name(ByHand::Kind kind) noexcept;

}  // namespace heddle::recover
