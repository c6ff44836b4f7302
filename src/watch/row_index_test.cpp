#include "watch/row_index.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace heddle::watch {
namespace {

/// Against a map, with keys that share a tag, tags that share a slot, and slots that run over the
/// table's end.
TEST(RowIndex, FindsWhatAMapFinds) {
  std::mt19937_64 random(7);
  RowIndex index;
  std::map<RowKey, std::uint32_t> known;
  std::map<std::uint32_t, RowKey> at;
  std::uint32_t next = UINT32_MAX - 2000;  // places go round
  const auto find = [&](RowKey key) -> std::int64_t {
    std::uint32_t place = 0;
    const auto is = [&](std::uint32_t one) { return at.at(one) == key; };
    return index.find(key, is, place) ? std::int64_t{place} : -1;
  };
  const auto some_key = [&] {
    const std::uint64_t low = random() % 3 == 0 ? UINT32_MAX - random() % 8 : random() % 5000;
    return RowKey{random() % 4, low | (random() % 2) << 40};
  };
  for (int i = 0; i < 40'000; ++i) {
    const RowKey key = some_key();
    const auto there = known.find(key);
    ASSERT_EQ(find(key), there == known.end() ? -1 : std::int64_t{there->second}) << i;
    if (there == known.end()) {
      index.insert(key, next);
      at[next] = key;
      known[key] = next++;
    } else if (random() % 3 != 0) {
      index.erase(key, there->second);
      at.erase(there->second);
      known.erase(there);
    }
    ASSERT_EQ(index.size(), known.size());
  }
  EXPECT_GT(known.size(), 2'000U);
  for (const auto& [key, place] : known) ASSERT_EQ(find(key), std::int64_t{place});
  index.clear();
  for (const auto& [key, place] : known) ASSERT_EQ(find(key), -1);
}

}  // namespace
}  // namespace heddle::watch
