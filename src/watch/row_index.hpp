#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "watch/row_sample.hpp"

namespace heddle::watch {

/// Where a row is, by its key: an open table of places alone, eight bytes each, since a lookup is
/// made for every row and every label and each miss of a cache counts. The keys are with the rows:
/// who looks one up says whether a place is of that key. A place is a number that grows by one a
/// row, modulo 2^32. Single-threaded.
class RowIndex {
 public:
  RowIndex() { clear(); }

  /// Whether there is one; `place`: that for which `is(place)` says that it is of `key`.
  template <class Is>
  [[nodiscard]] bool find(RowKey key, Is is, std::uint32_t& place) const {
    const std::uint32_t tag = tag_of(key);
    for (std::size_t at = tag & mask(); slots_[at].tag != kFree; at = (at + 1) & mask()) {
      if (slots_[at].tag != tag || !is(slots_[at].place)) continue;
      place = slots_[at].place;
      return true;
    }
    return false;
  }
  /// Of a key that is not there yet.
  void insert(RowKey key, std::uint32_t place) {
    if (4 * (size_ + 1) > 3 * slots_.size()) grow();
    put({tag_of(key), place});
    ++size_;
  }
  /// The entry of this key and place, which is there.
  void erase(RowKey key, std::uint32_t place);
  void clear() {
    slots_.assign(kLeast, {});
    size_ = 0;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::uint32_t kFree = 0;
  static constexpr std::size_t kLeast = 1024;
  struct Slot {
    std::uint32_t tag = kFree;
    std::uint32_t place = 0;
  };
  [[nodiscard]] static std::uint32_t tag_of(RowKey key) noexcept {
    const auto tag = static_cast<std::uint32_t>(key.low);  // uniform already
    return tag == kFree ? 1 : tag;
  }
  [[nodiscard]] std::size_t mask() const noexcept { return slots_.size() - 1; }
  void put(Slot slot) {
    std::size_t at = slot.tag & mask();
    while (slots_[at].tag != kFree) at = (at + 1) & mask();
    slots_[at] = slot;
  }
  void grow();

  std::vector<Slot> slots_;  ///< a power of two, three quarters full at most
  std::size_t size_ = 0;
};

}  // namespace heddle::watch
