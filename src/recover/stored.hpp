#pragma once

#include <optional>
#include <string>
#include <vector>

#include "doc/schema.hpp"
#include "recover/act.hpp"
#include "recover/by_hand.hpp"
#include "recover/incident.hpp"
#include "recover/ladder_state.hpp"

namespace heddle::recover {

// What is stored of recovery, docs/formats/recovery.md. A row that is not as it must be is kCorrupt
// `recover-state`.

/// An act as it is stored: with the members of every kind, those of the others empty.
struct StoredAct {
  std::string id{};
  std::string kind{};  ///< `act_name`
  std::string incident{};
  Micros since = 0;
  std::string field{};
  std::string transform{};
  int lag_hours = 0;
  std::vector<double> offsets{};
  double quantile = 0;
  std::string before{};
  std::string made{};
  bool on_standby = false;
  bool kept = false;
  std::optional<Micros> clock{};
  bool operator==(const StoredAct&) const = default;
};

[[nodiscard]] StoredAct stored(const Act& act);
/// `stored` is what the schema parsed, so that its kind is known.
[[nodiscard]] Act act_of(const StoredAct& stored);

[[nodiscard]] const doc::Schema<StoredAct>& act_schema();
[[nodiscard]] const doc::Schema<Incident>& incident_schema();
[[nodiscard]] const doc::Schema<ByHand>& by_hand_schema();
/// `heddle.recovery/1`: the state without its incidents, which are rows of their own.
[[nodiscard]] const doc::Schema<LadderState>& ladder_state_schema();

}  // namespace heddle::recover
