#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "control/comparison.hpp"
#include "control/work_job.hpp"

namespace heddle::control {

/// Comparisons of one service that people ask for while the control plane runs: each a job of
/// its own (docs/adr/0010), one at a time. Who asks is told to ask again until it has ended.
/// Confined to the control thread.
class Comparing {
 public:
  explicit Comparing(WorkParts parts) : parts_(std::move(parts)) {}
  Comparing(const Comparing&) = delete;
  Comparing& operator=(const Comparing&) = delete;

  /// The comparison of these two when its process has ended, once; nullopt while it runs, or while
  /// one of others runs that somebody waits for. The first call starts it.
  [[nodiscard]] Result<std::optional<Comparison>> result(const Digest& base,
                                                         const Digest& candidate);
  /// How far it is. What its process wrote of that and nobody can read is told as nothing done: it
  /// is for who looks on.
  [[nodiscard]] ComparisonProgress progress() const;

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] Result<void> start(const Digest& base, const Digest& candidate);
  [[nodiscard]] Result<Comparison> read_result();

  WorkParts parts_;
  std::unique_ptr<WorkJob> job_{};
  Digest base_{};
  Digest candidate_{};
  Clock::time_point asked_{};  ///< last time: what nobody asks for any more gives way
};

}  // namespace heddle::control
