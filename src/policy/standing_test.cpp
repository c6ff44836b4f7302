// What the rows of decisions say when they are not what was written.
#include "policy/standing.hpp"

#include <gtest/gtest.h>

#include "store/memory_fixture.hpp"

namespace heddle::policy {
namespace {

constexpr Micros kNow = 1'000'000 * kSecond;

template <class Body>
auto inside(store::State& state, Body body) {
  decltype(body(std::declval<store::Txn&>())) out = Error{};
  const auto written = state.write([&](store::Txn& txn) -> Result<void> {
    out = body(txn);
    return {};
  });
  EXPECT_TRUE(written.ok());
  return out;
}

TEST(Standing, ANumberThatIsNoneIsAnErrorAndNoOther) {
  for (const char* damaged : {"", "x", "7x", "-1", " 7", "99999999999999999999"}) {
    store::fixture::MemoryState state;
    const auto put = [&](std::string_view collection, std::string_view key) {
      ASSERT_TRUE(
          state.write([&](store::Txn& txn) { return txn.put(collection, key, damaged); }).ok());
    };
    const auto count = [&] {
      return inside(state, [](store::Txn& txn) {
        return count_applied(txn, "slot.swap", "late", kNow, kDay);
      });
    };
    const auto next = [&] { return inside(state, &next_approval_id); };
    ASSERT_TRUE(state
                    .write([](store::Txn& txn) {
                      return note_applied(txn, "slot.swap", "late", kNow - kHour, 3);
                    })
                    .ok());
    EXPECT_EQ(count().value(), 1);
    EXPECT_EQ(next().value(), "approval-0001");
    EXPECT_EQ(next().value(), "approval-0002");
    put("policy.actions", "slot.swap");
    EXPECT_EQ(count().error().id, "state-row") << damaged;
    EXPECT_EQ(count().error().kind, ErrorKind::kCorrupt);
    put("policy.count", "approvals");
    EXPECT_EQ(next().error().id, "state-row") << damaged;
  }
}

}  // namespace
}  // namespace heddle::policy
