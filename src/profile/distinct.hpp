#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::profile {

/// Which values a column has, or which rows a file, in bounded memory: the values whose hash lies
/// below a threshold, each with how often and where it came. The threshold halves whenever more
/// than `capacity` values lie below it (Gibbons 2001, "Distinct sampling for highly-accurate
/// answers to distinct values queries and event reports"), so what is kept is a function of the set
/// of values alone, and a merge gives what one pass over all rows would have given. Exact while
/// `level()` is 0. A value type.
class DistinctSample {
 public:
  static constexpr std::int64_t kNone = -1;

  struct Entry {
    std::uint64_t hash = 0;
    std::int64_t count = 0;
    std::int64_t first = kNone;   ///< the first row that has it
    std::int64_t second = kNone;  ///< the next one; kNone: there is no other
    std::string value{};          ///< as text, where the caller gave one

    bool operator==(const Entry&) const = default;
  };

  explicit DistinctSample(std::size_t capacity = 4096) : capacity_(capacity) {}

  /// One occurrence. Rows come in ascending order between two merges. `text()` is asked once a
  /// value that is kept.
  template <class Text>
  void add(std::uint64_t hash, std::int64_t row, const Text& text) {
    if (!is_below(hash)) return;
    Entry& entry = at(hash);
    if (entry.count++ == 0) {
      entry.first = row;
      entry.value = text();
      if (entries_.size() > capacity_) raise();
    } else if (entry.second == kNone) {
      entry.second = row;
    }
  }
  void merge(const DistinctSample& later);

  /// How many distinct values there are: exact at level 0, else the count below the threshold
  /// scaled up, whose relative standard error is about 1.2 / sqrt(capacity).
  [[nodiscard]] double estimate() const noexcept {
    return static_cast<double>(entries_.size()) * static_cast<double>(std::uint64_t{1} << level_);
  }
  [[nodiscard]] int level() const noexcept { return level_; }
  [[nodiscard]] bool is_exact() const noexcept { return level_ == 0; }
  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }
  /// The most frequent first, ties by value.
  [[nodiscard]] std::vector<Entry> by_count() const;
  /// Of the values that are kept, those that came once.
  [[nodiscard]] std::size_t singletons() const noexcept;

  [[nodiscard]] bool operator==(const DistinctSample& other) const;

 private:
  [[nodiscard]] bool is_below(std::uint64_t hash) const noexcept {
    return level_ == 0 || (hash >> (64 - level_)) == 0;
  }
  Entry& at(std::uint64_t hash);
  void raise();
  void rebuild(std::size_t slots);

  std::size_t capacity_;
  int level_ = 0;
  std::vector<Entry> entries_{};
  std::vector<std::uint32_t> slots_{};  ///< 1 + an index of `entries_`; 0: free
};

/// The finaliser of SplitMix64: every input bit moves every output bit.
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t z) noexcept {
  z += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}
[[nodiscard]] std::uint64_t hash_of(std::string_view text) noexcept;

}  // namespace heddle::profile
