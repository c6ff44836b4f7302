// One account's records are no reason that another's are missing: shares, room, gaps, trimming.
#include "plane/shares.hpp"

#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/ids.hpp"
#include "plane/segment.hpp"

namespace heddle::plane {
namespace {

constexpr std::uint64_t kMost = 1 << 20;

class JournalShares : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + uuid7();
    writer_ = open();
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  [[nodiscard]] std::unique_ptr<JournalWriter> open() const {
    return JournalWriter::open({.dir = dir_, .fields = {"a"}, .max_bytes = kMost}).value();
  }
  void rows(const std::string& account, int requests) {
    for (int i = 0; i < requests; ++i) {
      RequestRecord request;
      request.request_id = fmt::format("{}-{}", account, sent_[account]++);
      request.account = account;
      request.rows.resize(1);
      request.rows[0].fields.resize(1);
      request.rows[0].prediction = {0.25F};
      request.rows[0].standby_prediction = {0.5F};
      writer_->append(request);
      ASSERT_TRUE(writer_->commit().ok());
    }
  }
  /// As the data plane takes labels: asked first. How many were taken.
  int labels(const std::string& account, int count) {
    int taken = 0;
    for (int i = 0; i < count; ++i) {
      if (writer_->room(RecordKind::kLabels, account) != Room::kYes) continue;
      writer_->append(LabelRecord{fmt::format("{}-{}#0", account, i), true, i, account});
      EXPECT_TRUE(writer_->commit().ok());
      ++taken;
    }
    return taken;
  }
  [[nodiscard]] std::uint64_t lost(const std::string& account) const {
    const auto all = writer_->unrecorded();
    const auto at = all.find(account);
    return at == all.end() ? 0 : at->second.requests + at->second.labels;
  }
  [[nodiscard]] std::uint64_t on_disk() const {
    std::uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir_)) bytes += entry.file_size();
    return bytes;
  }
  /// Everything was read: as the control plane says after a snapshot and the access log.
  void read_all() { ASSERT_TRUE(consumed(dir_, writer_->position().segment, kMost / 2).ok()); }
  [[nodiscard]] std::map<std::string, GapRecord> gaps() const {
    std::map<std::string, GapRecord> out;
    auto reader = JournalReader::open(dir_).value();
    for (;;) {
      const auto record = reader->next();
      if (!record.ok() || !*record) return out;
      if (const auto* gap = std::get_if<GapRecord>(&**record)) {
        out[gap->account].requests += gap->requests;
        out[gap->account].labels += gap->labels;
      }
    }
  }

  std::string dir_;
  std::unique_ptr<JournalWriter> writer_;
  std::map<std::string, int> sent_;
};

TEST_F(JournalShares, ALabellerThatFloodsIsRefusedBeforeAnybodyElseLosesARecord) {
  const int taken = labels("flood", 30'000);
  EXPECT_GT(taken, 1'000);
  EXPECT_LT(taken, 30'000);
  EXPECT_EQ(writer_->room(RecordKind::kLabels, "flood"), Room::kShareUsed);
  EXPECT_EQ(writer_->room(RecordKind::kLabels, "honest"), Room::kYes) << "it has a share too";
  rows("app", 3'000);
  EXPECT_EQ(labels("honest", 500), 500);
  EXPECT_EQ(lost("app") + lost("honest") + lost("flood"), 0u) << "what is refused is not lost";
  EXPECT_LT(on_disk(), kMost);
}

TEST_F(JournalShares, RowsThatFloodLoseTheirOwnRecordAndNobodyElses) {
  for (int i = 0; i < 100; ++i) {
    rows("flood", 200);
    rows("app", 10);
  }
  EXPECT_GT(lost("flood"), 1'000u);
  EXPECT_EQ(lost("app"), 0u);
  read_all();
  while (writer_->room(RecordKind::kRows, "flood") != Room::kYes) {
  }  // it looks again a few times a second
  writer_->append(TickRecord{1});  // it says what was not said yet
  ASSERT_TRUE(writer_->commit().ok());
  const auto said = gaps();
  EXPECT_EQ(said.size(), 1u);
  EXPECT_EQ(said.at("flood").requests, lost("flood"));
  const auto before = lost("flood");
  rows("flood", 10);
  EXPECT_EQ(lost("flood"), before) << "it is recorded again";
}

TEST_F(JournalShares, ManyThatFloodLeaveRoomForOneMore) {
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 8; ++i) {
      rows(fmt::format("flood-{}", i), 40);
      labels(fmt::format("labels-{}", i), 40);
    }
  }
  rows("app", 100);
  EXPECT_EQ(labels("honest", 20), 20);
  EXPECT_EQ(lost("app"), 0u);
}

TEST_F(JournalShares, WhatWasReadIsInNobodysWayAndTheSizeStaysFlat) {
  std::set<std::uint64_t> sizes;
  for (int i = 0; i < 60; ++i) {
    rows("app", 500);
    labels("app", 500);
    read_all();
    while (writer_->room(RecordKind::kLabels, "app") != Room::kYes) {
    }
    EXPECT_LT(on_disk(), kMost);
  }
  EXPECT_EQ(lost("app"), 0u);
  EXPECT_GT(list_segments(dir_)->front(), 1u) << "the oldest went";
}

TEST_F(JournalShares, LabelsAloneDoNotDriveOutTheRowsThatStay) {
  rows("app", 3'000);
  read_all();
  const int taken = [&] {
    int sum = 0;
    for (int i = 0; i < 100; ++i) {
      sum += labels("flood", 300);
      read_all();
    }
    return sum;
  }();
  EXPECT_LT(taken, 30'000);
  int kept = 0;
  auto reader = JournalReader::open(dir_).value();
  for (auto record = reader->next(); record.ok() && *record; record = reader->next())
    kept += std::holds_alternative<RequestRecord>(**record) ? 1 : 0;
  EXPECT_GT(kept, 1'000) << "rows to learn from";
}

TEST_F(JournalShares, AfterARestartThereIsRoomAndWhatIsThereCounts) {
  labels("flood", 30'000);
  rows("app", 10);
  const auto before = on_disk();
  writer_.reset();
  writer_ = open();
  EXPECT_GE(writer_->bytes(), before - 4096);
  labels("flood", 30'000);
  rows("app", 500);
  EXPECT_EQ(lost("app"), 0u);
  EXPECT_LT(on_disk(), kMost);
}

TEST_F(JournalShares, TicksOfAReplayHaveAShareAndActsAlwaysARoom) {
  int taken = 0;
  while (writer_->room(RecordKind::kOthers, {}) == Room::kYes) {
    writer_->append(TickRecord{taken++});
    ASSERT_TRUE(writer_->commit().ok());
    ASSERT_LT(taken, 1'000'000);
  }
  rows("app", 500);
  writer_->append(StopRecord{"s", "ada", "stop-1"});
  ASSERT_TRUE(writer_->commit().ok());
  EXPECT_EQ(lost("app"), 0u);
  EXPECT_EQ(std::get<StopRecord>(standing_acts(dir_)->acts.at(0)).id, "stop-1");
}

TEST_F(JournalShares, OneTurnOfManyRequestsIsRecordedWhole) {
  // The requests of one turn are handed over together: more than fits in memory at once is written
  // on the way.
  auto large = JournalWriter::open({.dir = dir_ + "/large", .fields = {"a"}}).value();
  RequestRecord request;
  request.account = "app";
  request.request_id = std::string(1 << 20, 'x');
  for (int i = 0; i < 40; ++i) large->append(request);
  ASSERT_TRUE(large->commit().ok());
  EXPECT_TRUE(large->unrecorded().empty());
}

TEST(GapRecords, SayWhoseTheyWereAndOldOnesAreRead) {
  const auto again = [](const GapRecord& gap) {
    std::string framed;
    append_record(gap, framed);
    return std::get<GapRecord>(*decode_record(std::string_view(framed).substr(kRecordHead)));
  };
  const GapRecord whole = again({3, "why", 4, "app"});
  EXPECT_EQ(whole.requests, 3u);
  EXPECT_EQ(whole.labels, 4u);
  EXPECT_EQ(whole.account, "app");
  const GapRecord old = again({3, "why"});  // the bytes of before
  EXPECT_EQ(old.labels, 0u);
  EXPECT_EQ(old.account, "");
  EXPECT_EQ(again({0, "why", 0, "app"}).account, "app");
}

TEST(Consumed, LeavesHalfOfASmallDiskToWhatIsNotRecordedYet) {
  constexpr std::uint64_t kMiB = 1 << 20;
  EXPECT_EQ(traffic_bytes(600 * kMiB, 100'000 * kMiB), kTrafficBytes);
  EXPECT_EQ(traffic_bytes(100 * kMiB, 60 * kMiB), 80 * kMiB);
  EXPECT_EQ(traffic_bytes(100 * kMiB, 0), 50 * kMiB) << "others filled it";
  EXPECT_EQ(traffic_bytes(0, UINT64_MAX), kTrafficBytes);
}

TEST(Consumed, KeepsWhatANotYetFinishedReaderNeeds) {
  const std::string dir = testing::TempDir() + uuid7();
  auto writer =
      JournalWriter::open({.dir = dir, .fields = {"a"}, .segment_bytes = 4096, .max_bytes = kMost})
          .value();
  RequestRecord request;
  request.request_id = std::string(200, 'x');
  for (int i = 0; i < 200; ++i) {
    writer->append(request);
    ASSERT_TRUE(writer->commit().ok());
  }
  ASSERT_TRUE(consumed(dir, 3, 0).ok());
  EXPECT_EQ(list_segments(dir)->front(), 3u);
  ASSERT_TRUE(consumed(dir, 3, 0).ok()) << "again";
  EXPECT_EQ(*read_file(consumed_path(dir)), "3\n");
  EXPECT_EQ(consumed(dir + "/none", 3, 0).error().id, "journal-trim");
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace heddle::plane
