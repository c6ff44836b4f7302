#include "profile/distinct.hpp"

#include <algorithm>
#include <functional>

namespace heddle::profile {

std::uint64_t hash_of(std::string_view text) noexcept {
  return mixed(std::hash<std::string_view>{}(text));
}

DistinctSample::Entry& DistinctSample::at(std::uint64_t hash) {
  if ((entries_.size() + 1) * 2 > slots_.size())
    rebuild(std::max<std::size_t>(64, slots_.size() * 2));
  const std::size_t mask = slots_.size() - 1;
  // The high bits are the same for all that is kept at a level above 0: the low ones choose.
  for (std::size_t slot = hash & mask;; slot = (slot + 1) & mask) {
    if (slots_[slot] == 0) {
      entries_.push_back({.hash = hash});
      slots_[slot] = static_cast<std::uint32_t>(entries_.size());
      return entries_.back();
    }
    Entry& entry = entries_[slots_[slot] - 1];
    if (entry.hash == hash) return entry;
  }
}

void DistinctSample::rebuild(std::size_t slots) {
  slots_.assign(slots, 0);
  const std::size_t mask = slots - 1;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::size_t slot = entries_[i].hash & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = static_cast<std::uint32_t>(i + 1);
  }
}

void DistinctSample::raise() {
  while (entries_.size() > capacity_ && level_ < 63) {
    ++level_;
    std::erase_if(entries_, [&](const Entry& entry) { return !is_below(entry.hash); });
  }
  rebuild(slots_.size());
}

void DistinctSample::merge(const DistinctSample& later) {
  if (later.level_ > level_) {
    level_ = later.level_;
    std::erase_if(entries_, [&](const Entry& entry) { return !is_below(entry.hash); });
    rebuild(std::max<std::size_t>(64, slots_.size()));
  }
  for (const Entry& from : later.entries_) {
    if (!is_below(from.hash)) continue;
    Entry& entry = at(from.hash);
    if (entry.count == 0) {
      entry = from;
    } else {
      entry.count += from.count;
      if (entry.second == kNone) entry.second = from.first;
    }
    if (entries_.size() > capacity_) raise();
  }
}

std::vector<DistinctSample::Entry> DistinctSample::by_count() const {
  auto out = entries_;
  std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) {
    return a.count != b.count ? a.count > b.count : a.value < b.value;
  });
  return out;
}

std::size_t DistinctSample::singletons() const noexcept {
  return static_cast<std::size_t>(std::count_if(
      entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.count == 1; }));
}

bool DistinctSample::operator==(const DistinctSample& other) const {
  if (level_ != other.level_ || entries_.size() != other.entries_.size()) return false;
  const auto sorted = [](std::vector<Entry> entries) {
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.hash < b.hash; });
    return entries;
  };
  return sorted(entries_) == sorted(other.entries_);
}

}  // namespace heddle::profile
