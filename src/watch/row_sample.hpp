#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// What a row id is kept as: the first 128 bits of SHA-256 over a secret and the id. Two ids of
/// 2^40 rows share one with a chance below 2^-48, and nobody outside can choose ids that do, or
/// ids that are in the sample.
struct RowKey {
  std::uint64_t high = 0;  ///< decides whether the row is in the sample
  std::uint64_t low = 0;
  auto operator<=>(const RowKey&) const = default;
};

[[nodiscard]] RowKey row_key(std::string_view secret, std::string_view row_id);

/// Which rows are kept, where there are too many to keep them all: those whose key begins with
/// `halvings` zero bits, a share of 1 / 2^halvings that is uniform over row ids, so that a row and
/// its label agree. Rows are known by their sequence number, which only grows; rows of one time
/// may have been sampled more coarsely than later ones.
class RowSample {
 public:
  [[nodiscard]] static bool begins(RowKey key, int halvings) noexcept {
    return halvings == 0 || key.high >> (64 - halvings) == 0;
  }
  [[nodiscard]] bool holds(RowKey key, std::uint64_t sequence) const {
    return begins(key, halvings_at(sequence));
  }
  /// Of the rows that come now.
  [[nodiscard]] int halvings() const noexcept { return steps_.back().halvings; }
  [[nodiscard]] bool takes(RowKey key) const noexcept { return begins(key, halvings()); }
  /// Whether a row with this key is kept whenever it came.
  [[nodiscard]] bool always_takes(RowKey key) const noexcept {
    return begins(key, steps_.front().halvings);
  }
  /// Of the row with this number; rows after it were sampled no more coarsely.
  [[nodiscard]] int halvings_at(std::uint64_t sequence) const;

  /// Half of the rows that come now, and of those before that were sampled no more coarsely.
  void halve();
  /// Twice as many of the rows from `sequence` on.
  void refine(std::uint64_t sequence);
  /// No row below `first` is kept any more.
  void prune(std::uint64_t first);

  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  struct Step {
    std::uint64_t from = 0;  ///< sequence number of the first row it holds for
    int halvings = 0;
  };
  std::deque<Step> steps_{{}};  ///< never empty; halvings fall from one to the next
};

}  // namespace heddle::watch

template <>
struct std::hash<heddle::watch::RowKey> {
  std::size_t operator()(const heddle::watch::RowKey& key) const noexcept {
    return static_cast<std::size_t>(key.low);  // uniform already
  }
};
