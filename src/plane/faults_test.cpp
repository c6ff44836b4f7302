// The journal on a disk that fails at any call, once or for good: what was acknowledged is there,
// what is not there was counted, and the error says what happened.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/file_fixture.hpp"
#include "plane/journal_files.hpp"
#include "plane/journal_fixture.hpp"
#include "plane/segment.hpp"

namespace heddle::plane {
namespace {

using namespace fixture;  // NOLINT(google-build-using-namespace): this test is what it is for
using heddle::fixture::Fault;
using heddle::fixture::FaultyFiles;
using heddle::fixture::with_each_fault;

class TestClock final : public Clock {
 public:
  [[nodiscard]] Micros wall() const override { return now_ns / 1000; }
  [[nodiscard]] std::int64_t mono_ns() const override { return now_ns; }
  std::int64_t now_ns = 1'000'000'000;
};
constexpr std::int64_t kLongEnough = 300'000'000;  ///< for the writer to look at the disk again

/// What a writer acknowledged, one record a commit.
struct Written {
  FaultyFiles& files;
  TestClock clock{};
  std::unique_ptr<JournalWriter> writer{};
  std::set<std::string> recorded{};  ///< requests that `commit` took
  std::set<std::string> acts{};
  std::uint64_t appended = 0;

  Result<void> open(const std::string& dir) {
    JournalWriter::Options options;
    options.dir = dir;
    options.fields = {"origin", "distance", "date"};
    options.segment_bytes = 4096;
    options.max_bytes = 1 << 20;
    HEDDLE_ASSIGN_OR_RETURN(writer, open_journal(std::move(options), files, clock));
    return {};
  }
  Result<void> add_request(int n) {
    const std::uint64_t lost = lost_of(*writer);
    const RequestRecord record = request(n, 8);
    writer->append(record);
    ++appended;
    clock.now_ns += kLongEnough;
    HEDDLE_TRY(writer->commit());
    if (lost_of(*writer) == lost) recorded.insert(record.request_id);
    return {};
  }
  Result<void> add_stop(int n) {
    const std::string id = fmt::format("stop-{}", n);
    writer->append(StopRecord{"flights", "ops", id});
    clock.now_ns += kLongEnough;
    HEDDLE_TRY(writer->commit());
    acts.insert(id);
    return {};
  }
};

std::multiset<std::string> stops_of(const std::vector<Record>& records) {
  std::multiset<std::string> ids;
  for (const Record& record : records) {
    if (const auto* stop = std::get_if<StopRecord>(&record)) ids.insert(stop->id);
  }
  return ids;
}

void is_clear(const Error& error, const std::string& folder, const std::string& where) {
  EXPECT_EQ(error.kind, ErrorKind::kIo) << where << ": " << error.str();
  EXPECT_FALSE(error.hint.empty()) << where << ": " << error.str();
  EXPECT_NE(error.message.find(folder), std::string::npos) << where << ": " << error.str();
}

TEST(JournalFaults, WhatWasCommittedIsThereAndTheRestIsCounted) {
  const bool ended = with_each_fault([](const Fault& fault, std::uint64_t call) {
    const std::string where = fmt::format("{} at call {}", to_string(fault), call);
    const Folder folder;
    const std::string dir = folder.path() + "/spool";
    FaultyFiles files(folder.path());
    Written written{files};
    files.arm(call, fault);
    if (const auto opened = written.open(dir); !opened.ok()) {
      is_clear(opened.error(), folder.path(), where);
      files.disarm();
      EXPECT_TRUE(written.open(dir).ok()) << where;
      return true;
    }
    for (int n = 1; n <= 16; ++n) {
      const auto done = n % 4 == 0 ? written.add_stop(n) : written.add_request(n);
      if (!done.ok()) is_clear(done.error(), folder.path(), where);
    }
    const bool struck = files.struck();
    files.disarm();
    written.clock.now_ns += kLongEnough;
    EXPECT_TRUE(written.add_stop(100).ok()) << where << ": the disk is well again";
    EXPECT_TRUE(written.add_request(101).ok()) << where;
    EXPECT_TRUE(written.recorded.contains("r-101")) << where;
    const std::uint64_t lost = lost_of(*written.writer);
    written.writer.reset();

    const auto records = read_all(dir);
    const auto ids = ids_of(records);
    const std::set<std::string> there(ids.begin(), ids.end());
    for (const auto& id : written.recorded) EXPECT_TRUE(there.contains(id)) << where << ": " << id;
    const auto stops = stops_of(records);
    for (const auto& id : written.acts) EXPECT_GE(stops.count(id), 1U) << where << ": " << id;
    EXPECT_EQ(ids.size() + lost, written.appended) << where;
    std::uint64_t said = 0;
    for (const GapRecord& gap : gaps_of(records)) said += gap.requests;
    EXPECT_EQ(said, lost) << where;
    return struck;
  });
  EXPECT_TRUE(ended);
}

TEST(JournalFaults, WhatWasSyncedSurvivesAPowerLoss) {
  const bool ended = with_each_fault([](const Fault& fault, std::uint64_t call) {
    const std::string where = fmt::format("{} at call {}", to_string(fault), call);
    const Folder folder;
    const std::string dir = folder.path() + "/spool";
    FaultyFiles files(folder.path());
    Written written{files};
    files.arm(call, fault);
    if (!written.open(dir).ok()) return true;
    std::set<std::string> durable;
    std::set<std::string> doubtful;
    for (int n = 1; n <= 12; ++n) {
      (void)written.add_request(n);
      if (n % 3 != 0) continue;
      const auto synced = written.writer->sync();
      if (!synced.ok()) is_clear(synced.error(), folder.path(), where);
      for (const auto& id : written.recorded) {
        if (!synced.ok() && !durable.contains(id)) doubtful.insert(id);
        if (synced.ok() && !doubtful.contains(id)) durable.insert(id);
      }
    }
    const bool struck = files.struck();
    files.disarm();
    files.lose_power();
    const auto ids = ids_of(read_all(dir));
    const std::set<std::string> there(ids.begin(), ids.end());
    for (const auto& id : durable) EXPECT_TRUE(there.contains(id)) << where << ": " << id;
    if (!fault.stays) {
      EXPECT_GE(durable.size(), 6U) << where;
    }
    return struck;
  });
  EXPECT_TRUE(ended);
}

TEST(JournalFaults, AReaderThatCouldNotReadGoesOnWhereItStood) {
  const Folder folder;
  {
    auto writer = open_writer(folder.path(), 4096);
    for (int n = 1; n <= 16; ++n) {
      writer->append(request(n, 8));
      ASSERT_TRUE(writer->commit().ok());
    }
  }
  const auto expected = ids_of(read_all(folder.path()));
  ASSERT_EQ(expected.size(), 16U);
  const bool ended = with_each_fault([&](const Fault& fault, std::uint64_t call) {
    const std::string where = fmt::format("{} at call {}", to_string(fault), call);
    FaultyFiles files(folder.path());
    files.arm(call, fault);
    const auto reader = read_journal(folder.path(), {}, files).value();
    std::vector<Record> records;
    bool failed = false;
    for (int looks = 0; looks < 80; ++looks) {
      auto record = reader->next();
      if (!record.ok()) {
        is_clear(record.error(), folder.path(), where);
        failed = true;
        files.disarm();
      } else if (record->has_value()) {
        records.push_back(std::move(**record));
      }
    }
    EXPECT_EQ(ids_of(records), expected) << where;
    EXPECT_TRUE(gaps_of(records).empty()) << where << ": " << gaps_of(records).front().reason;
    const bool struck = files.struck();
    EXPECT_TRUE(failed || !struck || !fault.stays) << where;
    return struck;
  });
  EXPECT_TRUE(ended);
}

TEST(JournalFaults, ActsThatStandAreKnownOrTheErrorSaysThatTheyAreNot) {
  const Folder folder;
  {
    auto writer = open_writer(folder.path(), 4096);
    for (int n = 1; n <= 20; ++n) writer->append(request(n, 4));
    writer->append(StopRecord{"flights", "ops", "stop-1"});
    ASSERT_TRUE(writer->commit().ok());
  }
  const bool ended = with_each_fault([&](const Fault& fault, std::uint64_t call) {
    FaultyFiles files(folder.path());
    files.arm(call, fault);
    std::vector<std::string> gaps;
    const auto standing = standing_acts(folder.path(), files, gaps);
    const std::string where = fmt::format("{} at call {}", to_string(fault), call);
    if (standing.ok()) {
      EXPECT_EQ(standing->acts.size(), 1U) << where;
      EXPECT_TRUE(gaps.empty()) << where;
    } else {
      is_clear(standing.error(), folder.path(), where);
    }
    return files.struck();
  });
  EXPECT_TRUE(ended);
}

TEST(JournalFaults, OnlyWhatWasReadIsRemovedWhateverFails) {
  const bool ended = with_each_fault([](const Fault& fault, std::uint64_t call) {
    const std::string where = fmt::format("{} at call {}", to_string(fault), call);
    const Folder folder;
    {
      auto writer = open_writer(folder.path(), 4096);
      for (int n = 1; n <= 40; ++n) {
        writer->append(request(n, 12));
        EXPECT_TRUE(writer->commit().ok());
      }
    }
    FaultyFiles files(folder.path());
    files.arm(call, fault);
    const auto said = consumed(folder.path(), 3, 0, files);
    const bool struck = files.struck();
    files.disarm();
    if (!said.ok()) {
      is_clear(said.error(), folder.path(), where);
      EXPECT_TRUE(consumed(folder.path(), 3, 0, files).ok()) << where;
    }
    const std::vector<std::uint64_t> segments = list_segments(folder.path()).value();
    EXPECT_EQ(segments.front(), 3U) << where;
    EXPECT_EQ(slurp(consumed_path(folder.path())), "3\n") << where;
    return struck;
  });
  EXPECT_TRUE(ended);
}

TEST(JournalFaults, AWriterThatCannotListItsSegmentsDoesNotBeginAnew) {
  const Folder folder;
  {
    auto writer = open_writer(folder.path());
  }
  FaultyFiles files(folder.path());
  Written written{files};
  // The folder is there, and only its list is not to be had.
  files.arm(2, {EMFILE, false, false});
  const auto opened = written.open(folder.path());
  ASSERT_FALSE(opened.ok()) << "it would have put its reserve in place of the first segment";
  EXPECT_EQ(opened.error().id, "file-io-failed");
}

}  // namespace
}  // namespace heddle::plane
