#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "doc/schema.hpp"
#include "plane/route.hpp"

namespace heddle::release {

/// What is known of a bundle. It may be put into a slot only when both hold.
struct Standing {
  bool approved = false;   ///< a person's approval, or a policy rule that names the exception
  bool ready = false;      ///< its objects are here, its parity check passed
  std::string approval{};  ///< id of the approval or the ledger entry
  bool operator==(const Standing&) const = default;
};

/// A canary that runs. Counted from `started`, its weight holds since `stepped`: versions of the
/// route table, so that a record of the journal is told apart from one of an earlier canary or
/// weight.
struct CanaryRun {
  plane::Canary canary{};  ///< `bundle` empty: none runs
  std::vector<std::uint32_t> steps{};
  std::uint64_t started = 0;
  std::uint64_t stepped = 0;
  Micros stepped_at = 0;  ///< event time of the decision that set the weight
  bool operator==(const CanaryRun&) const = default;
  [[nodiscard]] bool running() const noexcept { return !canary.bundle.empty(); }
  /// The step after this weight; 0 at the last one.
  [[nodiscard]] std::uint32_t next_weight() const noexcept;
};

/// What is stored of the releases of one service (docs/formats/releases.md). Releases keeps what
/// always holds of it.
struct ReleasesState {
  std::string service{};
  std::uint64_t version = 0;
  Digest primary{};
  Digest standby{};
  Digest rollback{};
  CanaryRun canary{};
  Digest shadow{};
  bool fail_over_allowed = false;
  plane::FailOver fail_over{};
  bool stopped = false;
  std::vector<plane::QuarantinedSource> quarantined{};
  std::vector<std::string> acknowledged{};
  std::map<Digest, Standing> bundles{};
  bool operator==(const ReleasesState&) const = default;
};

[[nodiscard]] const doc::Schema<ReleasesState>& releases_schema();

}  // namespace heddle::release
