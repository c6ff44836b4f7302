#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "store/store.hpp"

namespace heddle::store {

/// What every adapter of store::State must do. For tests only: an adapter instantiates it with a
/// way to open its state, so that opening twice in one test (the first closed) finds what the first
/// wrote.
///
///   INSTANTIATE_TEST_SUITE_P(Sqlite, StateConformance, testing::Values([](const std::string& dir)
///   { return open(dir); }));
using OpenState = std::function<std::unique_ptr<State>(const std::string& directory)>;

class StateConformance : public testing::TestWithParam<OpenState> {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/state.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    open();
  }
  void open() {
    state_.reset();
    state_ = GetParam()(directory_);
    ASSERT_NE(state_, nullptr);
  }
  void put(std::string_view collection, std::string_view key, std::string_view value) {
    ASSERT_TRUE(state_->write([&](Txn& txn) { return txn.put(collection, key, value); }).ok());
  }
  std::optional<std::string> get(std::string_view collection, std::string_view key) {
    std::optional<std::string> found;
    EXPECT_TRUE(state_
                    ->read([&](Txn& txn) -> Result<void> {
                      HEDDLE_ASSIGN_OR_RETURN(found, txn.get(collection, key));
                      return {};
                    })
                    .ok());
    return found;
  }
  std::vector<std::string> keys(std::string_view collection, std::string_view prefix) {
    std::vector<std::string> found;
    EXPECT_TRUE(state_
                    ->read([&](Txn& txn) {
                      return txn.scan(collection, prefix,
                                      [&](std::string_view key, std::string_view) {
                                        found.emplace_back(key);
                                        return true;
                                      });
                    })
                    .ok());
    return found;
  }
  std::vector<std::string> log(std::uint64_t begin, std::uint64_t end) {
    std::vector<std::string> found;
    EXPECT_TRUE(state_
                    ->read([&](Txn& txn) {
                      return txn.read_log(begin, end,
                                          [&](std::uint64_t number, std::string_view entry) {
                                            EXPECT_EQ(number, begin + found.size());
                                            found.emplace_back(entry);
                                            return true;
                                          });
                    })
                    .ok());
    return found;
  }

  std::string directory_;
  std::unique_ptr<State> state_;
};

TEST_P(StateConformance, KeepsAnyBytesAcrossAReopen) {
  const std::string bytes("\0\xff'\";--\n", 9);
  put("c", bytes, bytes);
  put("c", "empty", "");
  put("d", bytes, "other collection");
  open();
  EXPECT_EQ(get("c", bytes), bytes);
  EXPECT_EQ(get("c", "empty"), "");
  EXPECT_EQ(get("d", bytes), "other collection");
  EXPECT_EQ(get("c", "absent"), std::nullopt);
}

TEST_P(StateConformance, OverwritesAndErases) {
  put("c", "k", "1");
  put("c", "k", "2");
  EXPECT_EQ(get("c", "k"), "2");
  ASSERT_TRUE(state_->write([](Txn& txn) { return txn.erase("c", "k"); }).ok());
  ASSERT_TRUE(state_->write([](Txn& txn) { return txn.erase("c", "never there"); }).ok());
  EXPECT_EQ(get("c", "k"), std::nullopt);
}

TEST_P(StateConformance, ScansAPrefixInOrderOfBytes) {
  for (const char* key : {"b/2", "a", "b/10", "b", "c", "b/1", "b0"}) put("c", key, "");
  const std::string high("b/\xff", 3);
  put("c", high, "");
  put("c", high + "\xff", "");
  put("other", "b/3", "");
  EXPECT_EQ(keys("c", "b/"), (std::vector<std::string>{"b/1", "b/10", "b/2", high, high + "\xff"}));
  EXPECT_EQ(keys("c", "\xff").size(), 0U);
  EXPECT_EQ(keys("c", high).size(), 2U);
  EXPECT_EQ(keys("c", "").size(), 9U);
}

TEST_P(StateConformance, AScanStopsWhenTold) {
  for (const char* key : {"1", "2", "3"}) put("c", key, "");
  int seen = 0;
  ASSERT_TRUE(state_
                  ->read([&](Txn& txn) {
                    return txn.scan("c", "",
                                    [&](std::string_view, std::string_view) { return ++seen < 2; });
                  })
                  .ok());
  EXPECT_EQ(seen, 2);
}

TEST_P(StateConformance, AFailedBodyLeavesNothing) {
  put("c", "k", "before");
  const auto result = state_->write([](Txn& txn) -> Result<void> {
    HEDDLE_TRY(txn.put("c", "k", "after"));
    HEDDLE_ASSIGN_OR_RETURN(const auto number, txn.append("entry"));
    EXPECT_EQ(number, 0U);
    return Error{ErrorKind::kConflict, "test-refused", "no"};
  });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().id, "test-refused");
  EXPECT_EQ(get("c", "k"), "before");
  EXPECT_TRUE(log(0, 10).empty());
}

TEST_P(StateConformance, SeesItsOwnWrites) {
  ASSERT_TRUE(state_
                  ->write([](Txn& txn) -> Result<void> {
                    HEDDLE_TRY(txn.put("c", "k", "v"));
                    HEDDLE_ASSIGN_OR_RETURN(const auto value, txn.get("c", "k"));
                    EXPECT_EQ(value, "v");
                    HEDDLE_ASSIGN_OR_RETURN(const auto first, txn.append("a"));
                    HEDDLE_ASSIGN_OR_RETURN(const auto second, txn.append("b"));
                    EXPECT_EQ(first, 0U);
                    EXPECT_EQ(second, 1U);
                    HEDDLE_ASSIGN_OR_RETURN(const auto size, txn.log_size());
                    EXPECT_EQ(size, 2U);
                    return {};
                  })
                  .ok());
}

TEST_P(StateConformance, TheLogIsNumberedFromZeroWithoutGaps) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(state_
                    ->write([&](Txn& txn) -> Result<void> {
                      HEDDLE_ASSIGN_OR_RETURN(const auto number, txn.append(std::to_string(i)));
                      EXPECT_EQ(number, static_cast<std::uint64_t>(i));
                      if (i == 2) HEDDLE_TRY(txn.put("c", "k", "v"));
                      return {};
                    })
                    .ok());
    if (i == 3) open();
  }
  EXPECT_EQ(log(0, 5), (std::vector<std::string>{"0", "1", "2", "3", "4"}));
  EXPECT_EQ(log(1, 3), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(log(4, UINT64_MAX), (std::vector<std::string>{"4"}));
}

TEST_P(StateConformance, AReadCannotWrite) {
  EXPECT_FALSE(state_->read([](Txn& txn) { return txn.put("c", "k", "v"); }).ok());
  EXPECT_EQ(get("c", "k"), std::nullopt);
}

TEST_P(StateConformance, ANestedTransactionIsAnErrorNotADeadlock) {
  const auto result =
      state_->write([&](Txn&) { return state_->write([](Txn&) -> Result<void> { return {}; }); });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind, ErrorKind::kInternal);
}

TEST_P(StateConformance, WritersOfManyThreadsTakeTurns) {
  constexpr int kThreads = 8;
  constexpr int kEach = 50;
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const auto result = state_->write([&](Txn& txn) -> Result<void> {
          HEDDLE_ASSIGN_OR_RETURN(const auto value, txn.get("c", "count"));
          HEDDLE_TRY(txn.put("c", "count", std::to_string(value ? std::stoi(*value) + 1 : 1)));
          HEDDLE_ASSIGN_OR_RETURN([[maybe_unused]] const auto number,
                                  txn.append(fmt::format("{}-{}", t, i)));
          // One in ten changes its mind: it alone must leave nothing, whoever it was committed
          // with.
          if (i % 10 == 9) return Error{ErrorKind::kConflict, "test-refused", "no"};
          return {};
        });
        if (!result) ++refused;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(refused, kThreads * kEach / 10);
  EXPECT_EQ(get("c", "count"), std::to_string(kThreads * kEach * 9 / 10));
  EXPECT_EQ(log(0, UINT64_MAX).size(), static_cast<std::size_t>(kThreads * kEach * 9 / 10));
}

}  // namespace heddle::store
