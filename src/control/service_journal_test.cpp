// The journal of a service: where it is read on, what waits, and what nobody needs any more.
#include "control/service_journal.hpp"

#include "plane/journal_fixture.hpp"
#include "plane/segment.hpp"

namespace heddle::control {
namespace {

class ServiceJournalTest : public testing::Test {
 protected:
  void SetUp() override { writer_ = plane::fixture::open_writer(spool_, 4 << 10); }
  void tick(int hour) {
    writer_->append(plane::TickRecord{hour * kHour});
    ASSERT_TRUE(writer_->commit().ok());
  }
  void fill(std::size_t segments) {
    for (int i = 0; plane::list_segments(spool_)->size() < segments; ++i) {
      writer_->append(plane::fixture::request(i));
      ASSERT_TRUE(writer_->commit().ok());
    }
  }
  static ServiceJournal open(const std::string& spool, plane::JournalPosition from = {}) {
    auto journal = ServiceJournal::open(spool, from);
    EXPECT_TRUE(journal.ok()) << journal.error().str();
    return std::move(*journal);
  }
  static Micros tick_of(const Result<std::optional<plane::Record>>& record) {
    const auto* tick = record.ok() && *record ? std::get_if<plane::TickRecord>(&**record) : nullptr;
    return tick == nullptr ? -1 : tick->event_time;
  }

  heddle::fixture::Folder folder_;
  const std::string spool_ = folder_ / "s";
  std::unique_ptr<plane::JournalWriter> writer_;
};

TEST_F(ServiceJournalTest, ARecordThatWaitsIsNotBehindThePlaceThatASnapshotNames) {
  tick(1);
  tick(2);
  auto journal = open(spool_);
  EXPECT_EQ(tick_of(journal.next()), kHour);
  const auto before = journal.position();
  auto waits = journal.next();
  ASSERT_EQ(tick_of(waits), 2 * kHour);
  journal.hold(**waits);
  EXPECT_EQ(journal.position(), before);
  // A start from there reads it again.
  auto again = open(spool_, journal.position());
  EXPECT_EQ(tick_of(again.next()), 2 * kHour);
  EXPECT_EQ(tick_of(journal.next()), 2 * kHour);
  EXPECT_GT(journal.position(), before);
  EXPECT_FALSE(journal.next().value().has_value());
}

TEST_F(ServiceJournalTest, AJournalThatIsGoneIsReadFromWhatIsThere) {
  tick(1);
  EXPECT_EQ(open(spool_).lost(), "");
  auto journal = open(spool_, {77, 0});
  EXPECT_EQ(journal.lost(), "segment 77 is gone");
  EXPECT_EQ(tick_of(journal.next()), kHour);
  EXPECT_FALSE(journal.has_place());
  journal.saved();
  EXPECT_TRUE(journal.has_place());
  EXPECT_FALSE(open(folder_ / "new").next().value().has_value());
}

TEST_F(ServiceJournalTest, WhatASnapshotOrTheAccessLogStillNeedsStays) {
  fill(6);
  const auto consumed = [&] {
    const auto said = read_file(plane::consumed_path(spool_));
    return said.ok() ? std::stoi(*said) : 0;
  };
  auto journal = open(spool_);
  while (journal.next().value()) {
  }
  EXPECT_GE(journal.unsaved_segments(), 5U);
  journal.archived(2);
  EXPECT_EQ(consumed(), 0) << "a crash would read it all again";
  journal.saved();
  EXPECT_EQ(journal.unsaved_segments(), 0U);
  journal.trim();
  EXPECT_EQ(consumed(), 3) << "the access log has two";
  journal.archived(UINT64_MAX);  // there is none
  EXPECT_EQ(consumed(), static_cast<int>(journal.position().segment));
}

TEST_F(ServiceJournalTest, StopsThatWereNotReadAreFoundAndStayUnread) {
  tick(1);
  auto journal = open(spool_);
  EXPECT_EQ(tick_of(journal.next()), kHour);
  writer_->append(plane::StopRecord{"s", "ada", "stop-1"});
  ASSERT_TRUE(writer_->commit().ok());
  const auto stops = journal.unread_stops().value();
  ASSERT_EQ(stops.size(), 1U);
  EXPECT_EQ(stops.as_array().at(0).string_or("id"), "stop-1");
  EXPECT_EQ(stops.as_array().at(0).string_or("by"), "ada");
  const auto record = journal.next().value();
  ASSERT_TRUE(record && std::holds_alternative<plane::StopRecord>(*record));
}

}  // namespace
}  // namespace heddle::control
