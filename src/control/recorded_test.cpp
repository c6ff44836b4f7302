// What is read of a journal for an answer, and for the page of an incident.
#include "control/recorded.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "base/ids.hpp"
#include "plane/segment.hpp"

namespace heddle::control {
namespace {

/// A journal of some small segments: an hour's tick, then a refused row of source `a` or `b`, each.
class RecordedTest : public testing::Test {
 protected:
  static constexpr int kHours = 400;

  void SetUp() override {
    plane::JournalWriter::Options options;
    options.dir = spool_;
    options.fields = {"distance"};
    options.segment_bytes = 4 << 10;
    writer_ = plane::JournalWriter::open(options).value();
    for (int hour = 0; hour < kHours; ++hour) add(hour);
    ASSERT_TRUE(writer_->commit().ok());
    ASSERT_GT(plane::list_segments(spool_)->size(), 8U);
  }
  void add(int hour) {
    writer_->append(plane::TickRecord{hour * kHour});
    plane::RequestRecord request;
    request.request_id = fmt::format("q{}", hour);
    request.source = hour % 100 == 0 ? "b" : "a";
    request.account = "app";
    request.event_time = hour * kHour;
    request.rows.resize(2);
    request.rows[0].prediction = request.rows[0].standby_prediction = {0.25F};
    request.rows[0].shadow_prediction = {0.5F};
    request.rows[1].outcome = plane::RowOutcome::kRefused;
    request.rows[1].rules = {"far"};
    for (auto& row : request.rows) {
      row.fields.resize(1);
      row.fields[0].kind = expr::Datum::Kind::kInt;
      row.fields[0].i = hour;
    }
    writer_->append(request);
    if (hour % 8 == 7) {
      ASSERT_TRUE(writer_->commit().ok());
    }
  }
  /// Ids of the rows, and in how many answers they came.
  std::pair<std::vector<std::string>, int> all_of(const std::string& source, std::size_t limit,
                                                  std::uint64_t most_bytes) const {
    std::vector<std::string> ids;
    std::uint64_t before = UINT64_MAX;
    for (int answers = 1;; ++answers) {
      const auto found =
          read_refused_rows(spool_, {source, limit - ids.size(), before}, most_bytes).value();
      std::vector<std::string> older;
      for (const auto& row : found.rows) older.push_back(row.request_id);
      ids.insert(ids.begin(), older.begin(), older.end());
      if (!found.before) return {ids, answers};
      EXPECT_LT(*found.before, before) << "it gets on";
      before = *found.before;
    }
  }
  Result<int> count(int from, int to) const {
    int requests = 0;
    HEDDLE_TRY(read_recorded(
        spool_, from * kHour, to * kHour, writer_->position(), [&](const plane::Record& record) {
          requests += std::holds_alternative<plane::RequestRecord>(record) ? 1 : 0;
          return true;
        }));
    return requests;
  }

  const std::string spool_ = testing::TempDir() + uuid7();
  std::unique_ptr<plane::JournalWriter> writer_;
};

TEST_F(RecordedTest, RefusedRowsAreTheNewestOldestFirst) {
  const auto found = read_refused_rows(spool_, {"", 3}).value();
  ASSERT_EQ(found.rows.size(), 3U);
  const auto& last = found.rows.back();
  EXPECT_EQ(last.request_id, "q399");
  EXPECT_EQ(last.row, 1);
  EXPECT_EQ(last.outcome, "refused");
  EXPECT_EQ(*last.fields.find("distance"), doc::Value(399));
  EXPECT_EQ(found.rows.front().request_id, "q397");
  EXPECT_FALSE(found.before.has_value());
}

TEST_F(RecordedTest, OneAnswerReadsALittleAndSaysWhereTheNextGoesOn) {
  for (const std::uint64_t most : {std::uint64_t{1}, std::uint64_t{10'000}, kMostReadAtOnce}) {
    const auto [ids, answers] = all_of("b", 20, most);
    EXPECT_EQ(ids, (std::vector<std::string>{"q0", "q100", "q200", "q300"})) << most;
    const auto segments = static_cast<int>(plane::list_segments(spool_)->size());
    EXPECT_EQ(answers == 1, most == kMostReadAtOnce) << most;
    if (most == 1) {
      EXPECT_EQ(answers, segments);
    }
    EXPECT_EQ(all_of("", 1'000, most).first.size(), static_cast<std::size_t>(kHours));
  }
}

TEST_F(RecordedTest, ARequestIsFoundByItsId) {
  for (const int hour : {0, 173, kHours - 1}) {
    const auto found = find_requests(spool_, fmt::format("q{}", hour)).value();
    ASSERT_EQ(found.size(), 1U) << hour;
    EXPECT_EQ(found[0].request.event_time, hour * kHour);
    EXPECT_EQ(found[0].request.rows[0].fields[0].i, hour);
    EXPECT_EQ(found[0].fields, std::vector<std::string>{"distance"});
    // It is where it says.
    EXPECT_EQ(found[0].segment == plane::list_segments(spool_)->front(), hour == 0) << hour;
  }
  EXPECT_TRUE(find_requests(spool_, "q").value().empty());
  EXPECT_TRUE(find_requests(spool_, "q400").value().empty());
  EXPECT_TRUE(find_requests(spool_ + "/none", "q0").value().empty());
}

TEST_F(RecordedTest, OfAnIdThatCameAgainTheNewestSegmentCounts) {
  add(0);
  add(0);
  ASSERT_TRUE(writer_->commit().ok());
  const auto found = find_requests(spool_, "q0").value();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].segment, plane::list_segments(spool_)->back());
}

TEST_F(RecordedTest, OfATimeOnlyItsSegmentsAreRead) {
  EXPECT_EQ(count(0, kHours).value(), kHours);
  EXPECT_EQ(count(390, 395).value(), 5);
  EXPECT_EQ(count(100, 110).value(), 10);
}

TEST_F(RecordedTest, MoreThanOneAnswerMayReadIsReadAllTheSame) {
  // A large field a row: more than 32 MiB in a few seconds.
  plane::JournalWriter::Options options;
  options.dir = testing::TempDir() + uuid7();
  options.fields = {"note"};
  const auto writer = plane::JournalWriter::open(options).value();
  constexpr int kRequests = 640;
  for (int i = 0; i < kRequests; ++i) {
    plane::RequestRecord request;
    request.request_id = fmt::format("q{}", i);
    request.event_time = i * kSecond;
    request.rows.resize(1);
    request.rows[0].fields.resize(1);
    request.rows[0].fields[0].kind = expr::Datum::Kind::kString;
    request.rows[0].fields[0].s.assign(64 << 10, 'x');
    writer->append(plane::TickRecord{i * kSecond});
    writer->append(request);
    ASSERT_TRUE(writer->commit().ok());
  }
  std::uint64_t bytes = 0;
  int seen = 0;
  ASSERT_TRUE(
      read_recorded(options.dir, 0, kHour, writer->position(), [&](const plane::Record& record) {
        if (const auto* r = std::get_if<plane::RequestRecord>(&record)) {
          bytes += r->rows[0].fields[0].s.size();
          ++seen;
        }
        return true;
      }).ok());
  EXPECT_EQ(seen, kRequests);
  EXPECT_GT(bytes, kMostReadAtOnce);
}

TEST_F(RecordedTest, NothingBehindItsEndAndNothingThatIsNotWanted) {
  const auto end = writer_->position();
  for (int hour = kHours; hour < kHours + 20; ++hour) add(hour);
  ASSERT_TRUE(writer_->commit().ok());
  int seen = 0;
  ASSERT_TRUE(read_recorded(spool_, 0, 10'000 * kHour, end, [&](const plane::Record&) {
                return ++seen > 0;
              }).ok());
  EXPECT_EQ(seen, 2 * kHours);
  seen = 0;
  ASSERT_TRUE(read_recorded(spool_, 0, 10'000 * kHour, end, [&](const plane::Record&) {
                return ++seen < 7;
              }).ok());
  EXPECT_EQ(seen, 7);
}

}  // namespace
}  // namespace heddle::control
