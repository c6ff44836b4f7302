#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace heddle::runtime {

/// What a batch of n rows costs, as a + b*n nanoseconds: least squares over the last 64 batches,
/// renewed with each. Both are never below 0; batches of one size alone say nothing of a, which is
/// 0 then. Not thread-safe.
class CostModel {
 public:
  void add(std::size_t rows, std::int64_t ns) noexcept;

  [[nodiscard]] bool known() const noexcept { return count_ >= kLeast; }
  [[nodiscard]] double fixed_ns() const noexcept { return a_; }
  [[nodiscard]] double row_ns() const noexcept { return b_; }
  /// Most rows that fit into `ns`, at most `most`; 1 before anything is known, never below 1.
  [[nodiscard]] std::size_t rows_within(std::int64_t ns, std::size_t most) const noexcept;

 private:
  static constexpr std::size_t kKept = 64;
  static constexpr std::size_t kLeast = 4;
  struct Seen {
    double rows = 0;
    double ns = 0;
  };
  std::array<Seen, kKept> seen_{};
  std::size_t next_ = 0;
  std::size_t count_ = 0;
  double a_ = 0, b_ = 0;
};

/// How many of the waiting requests, whose rows are `waiting` from the oldest on, go into one
/// batch: the oldest always, then in order as long as the rows stay within `fit` and `most`. 0 only
/// when nothing waits.
[[nodiscard]] std::size_t take(std::span<const std::size_t> waiting, std::size_t fit,
                               std::size_t most) noexcept;

}  // namespace heddle::runtime
