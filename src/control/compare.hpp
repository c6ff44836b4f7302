#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "control/comparison.hpp"
#include "control/wiring.hpp"
#include "doc/schema.hpp"
#include "plane/journal.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// What is read of a journal for one comparison.
inline constexpr std::uint64_t kMostCompared = 128ull << 20;

/// Name of the evidence that holds a comparison.
inline constexpr std::string_view kComparisonEvidence = "comparison.json";

struct ComparisonInput {
  store::Objects* objects = nullptr;
  std::string spool{};  ///< the journal of the service
  Digest base{};        ///< what serves; empty: nothing does
  Digest candidate{};
  Micros until = INT64_MAX;                   ///< labels that became known later are not seen
  plane::JournalPosition end{UINT64_MAX, 0};  ///< nothing behind it is read
  /// Called as the journal is read: bytes, of at most, labelled rows found.
  std::function<void(std::uint64_t, std::uint64_t, std::int64_t)> progress{};
};

/// Two bundles on the same labelled rows (docs/adr/0026): the newest of the recorded traffic, else
/// those that the candidate's run held out; 200 to 10,000 of them, none that either says that it
/// learned from. Reads 128 MiB of the journal at most, the newest first. `heddle.comparison/1` as
/// `release.compare` (docs/operations.md). The error is of a candidate that is not there or
/// damaged.
[[nodiscard]] Result<Comparison> compare_bundles(const ComparisonInput& input);

/// A comparison that could not be made, for the record.
[[nodiscard]] Comparison not_compared(const Digest& base, const Digest& candidate, std::string why);

/// What a comparison in a process of its own is asked with.
struct ComparisonRequest {
  std::string service;
  Digest base{};
  Digest candidate{};
  Micros until = INT64_MAX;           ///< as of `ComparisonInput`
  std::uint64_t segment = INT64_MAX;  ///< of the journal: nothing behind `offset` in it is read
  std::uint64_t offset = 0;
  [[nodiscard]] static const doc::Schema<ComparisonRequest>& schema();
};

/// Name of the work that compares the two for what is proposed under `op_id`.
[[nodiscard]] std::string comparison_name(std::string_view op_id, const Digest& base,
                                          const Digest& candidate);

/// The work of one comparison in a process of its own: reads `DIR/request.json`, the bundles and
/// the journal below DIR (work_inputs.hpp), writes `DIR/progress.json` {read, of, rows} as it goes,
/// and leaves `DIR/result.json`, whole or not at all.
[[nodiscard]] Result<void> run_comparison(const std::string& dir, const Wiring& wiring);

}  // namespace heddle::control
