#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "plane/journal.hpp"

namespace heddle::plane {

/// Counts by account (a number of `Shares`) what went unrecorded, or would if the disk did not take
/// it.
class Tally {
 public:
  void add(RecordKind kind, std::size_t account) {
    if (counts_.size() <= account) counts_.resize(account + 1);
    ++(kind == RecordKind::kRows ? counts_[account].requests : counts_[account].labels);
    any_ = true;
  }
  void add(const Tally& other) {
    for (std::size_t i = 0; other.any_ && i < other.counts_.size(); ++i) {
      if (counts_.size() <= i) counts_.resize(i + 1);
      counts_[i].requests += other.counts_[i].requests;
      counts_[i].labels += other.counts_[i].labels;
      any_ = true;
    }
  }
  void clear() {
    if (any_) std::fill(counts_.begin(), counts_.end(), Unrecorded{});
    any_ = false;
  }
  [[nodiscard]] bool any() const noexcept { return any_; }
  [[nodiscard]] const std::vector<Unrecorded>& counts() const noexcept { return counts_; }

 private:
  std::vector<Unrecorded> counts_;  ///< by account
  bool any_ = false;
};

}  // namespace heddle::plane
