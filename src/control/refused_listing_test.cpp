// Refused rows are read beside the control thread: who asks is told to ask again.
#include "control/refused_listing.hpp"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace heddle::control {
namespace {

std::atomic<bool> held{false};
std::atomic<int> reads{0};

/// As long as the test says; the rows are the name of the source.
Result<RefusedRows> slowly(const RefusedListing::Question& question) {
  ++reads;
  while (held) std::this_thread::yield();
  if (question.query.source == "broken") return Error{ErrorKind::kIo, "disk", "it does not answer"};
  RefusedRows rows;
  rows.rows.push_back({.request_id = question.query.source});
  return rows;
}

class RefusedListingTest : public testing::Test {
 protected:
  void SetUp() override {
    held = false;
    reads = 0;
  }
  void TearDown() override { held = false; }
  /// Asks until it is answered.
  Result<RefusedRows> rows_of(const std::string& source) {
    for (;;) {
      auto rows = listing_.result({"", source, 1});
      if (!rows.ok()) return rows.error();
      if (*rows) return **rows;
      std::this_thread::yield();
    }
  }

  RefusedListing listing_{&slowly};
};

TEST_F(RefusedListingTest, AnswersAtOnceWhileItReadsAndReadsOnce) {
  held = true;
  for (int i = 0; i < 1'000; ++i) ASSERT_FALSE(listing_.result({"", "a", 1}).value().has_value());
  EXPECT_LE(reads, 1);
  held = false;
  EXPECT_EQ(rows_of("a").value().rows.at(0).request_id, "a");
  EXPECT_EQ(reads, 1);
  // Given once: the next question is of the journal of then.
  EXPECT_EQ(rows_of("a").value().rows.size(), 1U);
  EXPECT_EQ(reads, 2);
}

TEST_F(RefusedListingTest, OneAtATimeAndAnErrorIsTheAnswerOfWhoAsked) {
  held = true;
  EXPECT_FALSE(listing_.result({"", "broken", 1}).value().has_value());
  EXPECT_FALSE(listing_.result({"", "b", 1}).value().has_value());
  held = false;
  EXPECT_EQ(rows_of("broken").error().id, "disk");
  EXPECT_EQ(rows_of("b").value().rows.at(0).request_id, "b");
  EXPECT_EQ(reads, 2);
}

}  // namespace
}  // namespace heddle::control
