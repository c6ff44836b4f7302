#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "doc/schema.hpp"
#include "plane/journal.hpp"
#include "policy/act.hpp"
#include "recover/ladder_state.hpp"
#include "watch/judgement.hpp"

namespace heddle::control {

// The rows of the state that the control of a service keeps: docs/formats/control-state.md. A row
// that is not as it must be is kCorrupt `control-state`.

// Collections of the state, each with keys `<service>/...`.
inline constexpr std::string_view kIncidents = "incidents";  ///< that the ladder still looks at
/// Incidents that are over and that the ladder let go.
inline constexpr std::string_view kClosedIncidents = "incidents-closed";
inline constexpr std::string_view kRoutes = "routes";      ///< RouteRow
inline constexpr std::string_view kVariants = "variants";  ///< Repaired, by op_id
inline constexpr std::string_view kFindings = "findings";  ///< watch::Finding, in their order
inline constexpr std::string_view kWorks = "works";        ///< WorkRow
inline constexpr std::string_view kRetrains =
    "retrains";  ///< of the version before: retrains alone
inline constexpr std::string_view kPostmortems = "postmortems";  ///< PostmortemRow, by incident

/// Event time left its clock, and stands so until a person sets it.
struct ClockJump {
  std::string id{};
  Micros event_time = 0;
  std::string reason{};
  bool operator==(const ClockJump&) const = default;
};

/// The last judgement of the running canary, and what came of it.
struct CanaryLook {
  std::uint64_t stepped = 0;                    ///< route version that set the weight it is about
  std::optional<watch::Judgement> judgement{};  ///< none: this weight was not judged yet
  Micros event_time = 0;                        ///< of the judgement
  std::uint64_t entry = 0;                      ///< ledger entry of the judgement
  bool held = false;                            ///< inconclusive for long: a person decides
  std::string approval{};  ///< id of the approval that what follows waits for; empty: none
  std::string denied{};    ///< the rule that kept it from going on; empty: none
};

/// Of a weight that was judged.
[[nodiscard]] const doc::Schema<CanaryLook>& judged_look_schema();
/// `null` where no canary runs.
[[nodiscard]] doc::Value print_look(const std::optional<CanaryLook>& look);

/// What is carried out when its approval is given.
struct WaitingRow {
  std::string service{};
  policy::Proposal proposal{};
};

/// Where the control of a service stands: place in the journal, canary, recovery.
struct Snapshot {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  std::uint64_t applied = 0;
  Micros tick = INT64_MIN;
  Micros day = INT64_MIN;
  std::optional<ClockJump> clock_jump{};
  std::uint64_t findings = 0;
  std::optional<CanaryLook> look{};
  std::optional<WaitingRow> promotion{};  ///< of the canary, while its comparison is made
  Micros next_look = INT64_MIN;
  Micros told_at = INT64_MIN;
  recover::LadderState ladder{};  ///< its incidents are rows of their own
};

/// A version of the route table: what served from then on.
struct RouteRow {
  std::uint64_t version = 0;
  std::string action{};
  Digest primary{};
  Digest standby{};
  Digest canary{};
  std::uint32_t weight = 0;
  Digest shadow{};
  Micros event_time = 0;
  std::string decision{};  ///< `ledger/N`
  bool operator==(const RouteRow&) const = default;
};
/// N of `ledger/N`; 0: it names no entry.
[[nodiscard]] std::uint64_t entry_of_decision(std::string_view decision) noexcept;

/// Bundles that were made for an act, and those they were made from.
struct Repaired {
  Digest of_primary, of_standby;
  Digest primary, standby;
  bool operator==(const Repaired&) const = default;
};

/// What takes long and a decision needs, in a process of its own.
struct WorkRow {
  std::string command{};  ///< `retrain`, `compare` or `postmortem`
  std::string name{};     ///< of its folder among the runs; one work has one name
  Micros due = 0;         ///< its result counts at this event time or later
  std::string request{};  ///< what its process reads
  bool operator==(const WorkRow&) const = default;
};

struct PostmortemRow {
  std::string incident{};
  Digest page{};
  doc::Value proof{};
  bool operator==(const PostmortemRow&) const = default;
};

/// Why nothing of a service is decided.
struct LockRow {
  std::string id{};
  std::string error{};
  std::uint64_t entry = 0;
  bool operator==(const LockRow&) const = default;
};

/// TLS files of a data plane as they were told last, by their digests.
struct TlsRow {
  std::string certificate{};  ///< empty: none
  std::string client_ca{};
  std::string since{};               ///< wall time; empty: none were ever told
  std::uint64_t entry = 0;           ///< ledger entry
  std::vector<std::string> heard{};  ///< acts that told, which may be read again after a crash
  bool operator==(const TlsRow&) const = default;
};

/// Sandboxes of a data plane's workers as they were told last.
struct SandboxRow {
  std::int64_t number = 0;  ///< of the telling
  std::vector<plane::SandboxRecord> workers{};
  bool operator==(const SandboxRow&) const = default;
};

[[nodiscard]] const doc::Schema<Snapshot>& snapshot_schema();
[[nodiscard]] const doc::Schema<RouteRow>& route_row_schema();
[[nodiscard]] const doc::Schema<Repaired>& repaired_schema();
[[nodiscard]] const doc::Schema<WorkRow>& work_row_schema();
/// A row of `retrains`: the folder in place of the command.
[[nodiscard]] const doc::Schema<WorkRow>& retrain_row_schema();
[[nodiscard]] const doc::Schema<PostmortemRow>& postmortem_row_schema();
[[nodiscard]] const doc::Schema<WaitingRow>& waiting_row_schema();
[[nodiscard]] const doc::Schema<LockRow>& lock_row_schema();
[[nodiscard]] const doc::Schema<TlsRow>& tls_row_schema();
[[nodiscard]] const doc::Schema<SandboxRow>& sandbox_row_schema();
/// One worker, as it is stored and shown.
[[nodiscard]] const doc::Schema<plane::SandboxRecord>& worker_schema();

}  // namespace heddle::control
