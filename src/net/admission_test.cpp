#include "net/admission.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace heddle::net {
namespace {

TEST(Admission, GivesPlacesBack) {
  Admission admission;
  {
    const auto one = admission.take(7);
    auto two = admission.take(7);
    const auto owner = admission.take(0);
    two.begin_handshake();
    EXPECT_EQ(admission.open(), 3u);
    EXPECT_EQ(admission.of(7), 2u);
    EXPECT_EQ(admission.of(0), 0u);
    EXPECT_EQ(admission.handshakes(), 1u);
    const auto moved = std::move(two);
    EXPECT_EQ(admission.open(), 3u);
    EXPECT_EQ(admission.handshakes(), 1u);
  }
  EXPECT_EQ(admission.open(), 0u);
  EXPECT_EQ(admission.of(7), 0u);
  EXPECT_EQ(admission.handshakes(), 0u);
}

std::vector<std::uint64_t> ids(const std::vector<Candidate>& chosen) {
  std::vector<std::uint64_t> out;
  for (const Candidate& one : chosen) out.push_back(one.id);
  return out;
}

TEST(FirstToClose, IsTheOldestOfTheAddressThatHasMost) {
  const std::vector<Candidate> all = {{1, 10, Use::kIdle, 1},     {2, 10, Use::kUnproven, 5},
                                      {3, 20, Use::kUnproven, 4}, {4, 20, Use::kUnproven, 2},
                                      {5, 20, Use::kUnproven, 3}, {6, 30, Use::kSlow, 0},
                                      {7, 30, Use::kIdle, 9},     {8, 30, Use::kIdle, 8}};
  // Never heard: address 20 has three and loses two, then each has one. Heard: address 30 has
  // three, and its idle ones go before the slow one.
  EXPECT_EQ(ids(first_to_close(all, 8)), (std::vector<std::uint64_t>{4, 5, 3, 2, 8, 7, 6, 1}));
  EXPECT_EQ(ids(first_to_close(all, 3)), (std::vector<std::uint64_t>{4, 5, 3}));
  EXPECT_TRUE(first_to_close({}, 3).empty());
}

/// Against the definition, one at a time: of those that were never heard, else of all, the address
/// that has most loses the one with the least claim to stay.
TEST(FirstToClose, AgreesWithChoosingOneAtATime) {
  std::mt19937 random(20260729);
  for (int round = 0; round < 300; ++round) {
    std::vector<Candidate> left;
    const int count = static_cast<int>(random() % 30);
    for (int i = 0; i < count; ++i) {
      left.push_back({static_cast<std::uint64_t>(i + 1), 1 + random() % 4,
                      static_cast<Use>(random() % 3), static_cast<std::int64_t>(i * 7919 % 101)});
    }
    const auto heard = [](const Candidate& c) { return c.use != Use::kUnproven; };
    for (const Candidate& chosen : first_to_close(left, left.size())) {
      const bool all_heard = std::all_of(left.begin(), left.end(), heard);
      ASSERT_EQ(heard(chosen), all_heard);
      const auto held = [&](std::uint64_t address) {
        return std::count_if(left.begin(), left.end(), [&](const Candidate& c) {
          return c.address == address && heard(c) == heard(chosen);
        });
      };
      for (const Candidate& other : left) {
        if (heard(other) != heard(chosen)) continue;
        ASSERT_GE(held(chosen.address), held(other.address));
        if (other.address == chosen.address) {
          ASSERT_LE(std::pair(chosen.use, chosen.since_ns), std::pair(other.use, other.since_ns));
        }
      }
      std::erase_if(left, [&](const Candidate& c) { return c.id == chosen.id; });
    }
    ASSERT_TRUE(left.empty());
  }
}

}  // namespace
}  // namespace heddle::net
