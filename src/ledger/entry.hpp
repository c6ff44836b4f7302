#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"

namespace heddle::ledger {

inline constexpr std::size_t kMaxEntryBytes = 16 << 10;
/// Published files were found missing, and that somebody had them written again.
inline constexpr const char* kDamageAction = "ledger.damage";
inline constexpr const char* kRebuildAction = "ledger.rebuild";

/// One line of the ledger: who did what to what, why, under which policy, and what came of it
/// (docs/formats/ledger.md). No row values and no unsalted hashes of them ever go in; what is large
/// goes to the objects and is named by digest.
struct Entry {
  std::uint64_t seq = 0;  ///< given by `Ledger::append`
  Micros t = 0;           ///< wall time, given by `Ledger::append`; never decreases
  std::string op_id{};
  std::string actor_type = "system";  ///< person, agent, system
  std::string actor{};
  std::string action{};
  std::string target{};
  std::vector<std::pair<std::string, Digest>> subjects{};
  Digest policy{};                   ///< of the rules it was decided by; empty: no decision
  std::string decision{};            ///< allow, deny, require_approval
  std::vector<std::string> rules{};  ///< every matching rule, the deciding one first
  doc::Value attributes{};
  std::vector<std::pair<std::string, Digest>> evidence{};
  std::string approval{};
  std::string result{};  ///< applied, denied, requested, intent, done, failed, ...
  std::string reason{};
  std::string incident{};
  Micros event_time = 0;  ///< 0: not about traffic
};

/// One line of JSON with the members in this order, those that are empty left out. kTooLarge past
/// 16 KiB.
[[nodiscard]] Result<std::string> to_json(const Entry& entry);
[[nodiscard]] Result<Entry> parse_entry(std::string_view json);

}  // namespace heddle::ledger
