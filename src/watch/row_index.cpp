#include "watch/row_index.hpp"

#include <utility>

namespace heddle::watch {

void RowIndex::erase(RowKey key, std::uint32_t place) {
  std::size_t hole = tag_of(key) & mask();
  while (slots_[hole].place != place || slots_[hole].tag != tag_of(key)) hole = (hole + 1) & mask();
  // What was pushed past the hole comes back, so that no search ends at it.
  for (std::size_t at = (hole + 1) & mask(); slots_[at].tag != kFree; at = (at + 1) & mask()) {
    const std::size_t home = slots_[at].tag & mask();
    const bool stays = ((at - home) & mask()) < ((at - hole) & mask());
    if (stays) continue;
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole] = {};
  --size_;
}

void RowIndex::grow() {
  std::vector<Slot> before(2 * slots_.size());
  std::swap(before, slots_);
  for (const Slot& slot : before) {
    if (slot.tag != kFree) put(slot);
  }
}

}  // namespace heddle::watch
