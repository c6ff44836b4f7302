// A journal that was damaged: what is whole comes, once, and a gap stands in the place of the rest.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "plane/crc32c.hpp"
#include "plane/journal_files.hpp"
#include "plane/journal_fixture.hpp"
#include "plane/segment.hpp"

namespace heddle::plane {
namespace {

using namespace fixture;  // NOLINT(google-build-using-namespace): this test is what it is for

constexpr int kRecords = 12;

/// A journal of one segment with requests 1 to 12, and the places of its records.
struct Journal {
  Journal() {
    auto writer = open_writer(folder.path());
    begins.push_back(writer->position().offset);
    for (int n = 1; n <= kRecords; ++n) {
      writer->append(request(n, 1));
      EXPECT_TRUE(writer->commit().ok());
      begins.push_back(writer->position().offset);
    }
    writer.reset();
    whole = slurp(path());
  }
  [[nodiscard]] std::string path() const { return segment_path(folder.path(), 1); }
  /// The record that this byte is of, from 0; -1: of the head.
  [[nodiscard]] int record_at(std::size_t byte) const {
    return static_cast<int>(std::upper_bound(begins.begin(), begins.end(), byte) - begins.begin()) -
           1;
  }
  /// Another writer follows, with request 99.
  void follow() const {
    auto writer = open_writer(folder.path());
    writer->append(request(99, 1));
    EXPECT_TRUE(writer->commit().ok());
  }
  void remove_followers() const {
    const std::vector<std::uint64_t> segments = list_segments(folder.path()).value();
    for (const std::uint64_t segment : segments)
      if (segment > 1) std::filesystem::remove(segment_path(folder.path(), segment));
  }

  Folder folder;
  std::vector<std::size_t> begins;  ///< of each record, and the end of the last
  std::string whole;
};

std::vector<std::string> all_but(int record, bool with_next) {
  std::vector<std::string> ids;
  for (int n = 1; n <= kRecords; ++n)
    if (n - 1 != record && record >= 0) ids.push_back(fmt::format("r-{}", n));
  if (with_next) ids.push_back("r-99");
  return ids;
}

TEST(JournalDamage, AFlippedByteCostsItsRecordAndIsAGap) {
  const Journal journal;
  journal.follow();
  for (std::size_t at = 0; at < journal.whole.size(); ++at) {
    std::string bytes = journal.whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    spill(journal.path(), bytes);
    const auto records = read_all(journal.folder.path());
    EXPECT_EQ(ids_of(records), all_but(journal.record_at(at), true)) << at;
    ASSERT_EQ(gaps_of(records).size(), 1U) << at;
    EXPECT_NE(gaps_of(records)[0].reason.find("segment 1 "), std::string::npos)
        << at << ": " << gaps_of(records)[0].reason;
  }
}

TEST(JournalDamage, WhatStandsBehindItInTheSegmentBeingWrittenComesAtOnce) {
  const Journal journal;
  for (std::size_t at = journal.begins[3]; at < journal.begins[4]; ++at) {
    std::string bytes = journal.whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    spill(journal.path(), bytes);
    const auto records = read_all(journal.folder.path());
    EXPECT_EQ(ids_of(records), all_but(3, false)) << at;
    EXPECT_EQ(gaps_of(records).size(), 1U) << at;
  }
}

TEST(JournalDamage, AWriterThatComesAfterItHidesNothing) {
  for (const int damaged : {3, kRecords - 1}) {
    const Journal journal;
    const std::size_t begin = journal.begins[static_cast<std::size_t>(damaged)];
    // Its length, checksum, type, and some of what follows.
    for (const std::size_t at : {begin, begin + 1, begin + 3, begin + 5, begin + 8, begin + 40}) {
      std::string bytes = journal.whole;
      bytes[at] = static_cast<char>(bytes[at] ^ 0x04);
      spill(journal.path(), bytes);
      journal.remove_followers();
      journal.follow();
      const auto records = read_all(journal.folder.path());
      EXPECT_EQ(ids_of(records), all_but(damaged, true)) << at;
      // The last record's length, grown: as if its writer had been killed before it was whole.
      const bool looks_cut = damaged == kRecords - 1 && at < journal.begins[kRecords - 1] + 4;
      if (!looks_cut) {
        EXPECT_EQ(gaps_of(records).size(), 1U) << at;
      }
    }
  }
}

TEST(JournalDamage, AZeroedPageCostsItsRecords) {
  const Folder folder;
  {
    auto writer = open_writer(folder.path());
    for (int n = 1; n <= 400; ++n) writer->append(request(n, 1));
    ASSERT_TRUE(writer->commit().ok());
  }
  {
    auto next = open_writer(folder.path());
  }
  const std::string path = segment_path(folder.path(), 1);
  std::string bytes = slurp(path);
  ASSERT_GT(bytes.size(), 5U * 4096);
  std::fill_n(bytes.begin() + 2 * 4096, 4096, '\0');
  spill(path, bytes);
  const auto records = read_all(folder.path());
  const auto ids = ids_of(records);
  EXPECT_GE(ids.size(), 400U - 4096 / (bytes.size() / 400) - 2);
  EXPECT_EQ(ids.front(), "r-1");
  EXPECT_EQ(ids.back(), "r-400");
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end(), [](const auto& a, const auto& b) {
    return std::pair(a.size(), a) < std::pair(b.size(), b);
  }));
  ASSERT_EQ(gaps_of(records).size(), 1U);
  EXPECT_NE(gaps_of(records)[0].reason.find("cannot be read"), std::string::npos);
}

TEST(JournalDamage, ACutSegmentIsAGapOfWhatItLost) {
  const Journal journal;
  journal.follow();
  for (std::size_t size = journal.begins.front(); size < journal.whole.size(); size += 3) {
    spill(journal.path(), std::string_view(journal.whole).substr(0, size));
    const auto records = read_all(journal.folder.path());
    const auto whole = static_cast<std::size_t>(journal.record_at(size));
    EXPECT_EQ(ids_of(records).size(), whole + 1) << size;
    ASSERT_EQ(gaps_of(records).size(), 1U) << size;
    EXPECT_EQ(gaps_of(records)[0].reason,
              fmt::format("segment 1 lost {} bytes at its end, as after a power loss",
                          journal.whole.size() - journal.begins[whole]))
        << size;
  }
}

TEST(JournalDamage, ASegmentThatIsGoneIsAGap) {
  const Folder folder;
  {
    auto writer = open_writer(folder.path(), 4096);
    for (int n = 1; n <= 100; ++n) {
      writer->append(request(n, 6));
      ASSERT_TRUE(writer->commit().ok());
    }
    ASSERT_GT(writer->position().segment, 5U);
  }
  std::filesystem::remove(segment_path(folder.path(), 2));
  std::filesystem::remove(segment_path(folder.path(), 4));
  std::filesystem::remove(segment_path(folder.path(), 5));
  const auto records = read_all(folder.path());
  EXPECT_EQ(ids_of(records).back(), "r-100");
  ASSERT_EQ(gaps_of(records).size(), 2U);
  EXPECT_EQ(gaps_of(records)[0].reason, "segments 2 to 2 are gone");
  EXPECT_EQ(gaps_of(records)[1].reason, "segments 4 to 5 are gone");
}

TEST(JournalDamage, TwoDamagedHeadsCostTwoSegments) {
  const Folder folder;
  for (int n = 1; n <= 4; ++n) {
    auto writer = open_writer(folder.path());
    writer->append(request(n, 1));
    ASSERT_TRUE(writer->commit().ok());
  }
  for (const std::uint64_t segment : {2, 3}) {
    std::string bytes = slurp(segment_path(folder.path(), segment));
    bytes[20] = static_cast<char>(bytes[20] ^ 1);
    spill(segment_path(folder.path(), segment), bytes);
  }
  const auto records = read_all(folder.path());
  EXPECT_EQ(ids_of(records), (std::vector<std::string>{"r-1", "r-4"}));
  ASSERT_EQ(gaps_of(records).size(), 2U);
  EXPECT_EQ(gaps_of(records)[1].reason, "segment 3 cannot be read: its head is damaged");
}

/// A client's text that is a record but for the seed, which no client knows.
std::string planted() {
  std::string framed;
  append_record(StopRecord{"*", "nobody", "planted"}, framed);
  std::string many;
  for (int i = 0; i < 50; ++i) many += framed;
  return many;
}

TEST(JournalDamage, WhatAClientSentIsNeverTakenForARecord) {
  const Folder folder;
  std::size_t begin = 0;
  {
    auto writer = open_writer(folder.path());
    begin = writer->position().offset;
    RequestRecord hostile = request(1, 1);
    hostile.rows[0].fields[0] = text(planted());
    writer->append(hostile);
    writer->append(request(2, 1));
    ASSERT_TRUE(writer->commit().ok());
  }
  const std::string path = segment_path(folder.path(), 1);
  const std::string whole = slurp(path);
  for (std::size_t at = begin; at < begin + kRecordHead; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      spill(path, bytes);
      const auto records = read_all(folder.path());
      ASSERT_EQ(records.size(), 2U) << at;
      EXPECT_TRUE(std::holds_alternative<GapRecord>(records[0])) << at;
      EXPECT_EQ(ids_of(records), std::vector<std::string>{"r-2"}) << at;
    }
  }
}

TEST(JournalDamage, ARecordOfALaterFormIsAGap) {
  const Folder folder;
  std::string bytes(kSegmentMagic);
  constexpr std::uint32_t kSeed = 0x01020304;
  append_head({1, 0, {"origin"}, kSeed}, bytes);
  append_record(request(1, 1), bytes, kSeed);
  std::string later;
  append_record(TickRecord{-3}, later, kSeed);
  // The type of a record that this reader does not know, and the checksum that goes with it.
  std::string tick(later);
  tick[kRecordHead] = 42;
  const std::uint32_t crc = crc32c(std::string_view(tick).substr(kRecordHead)) ^ kSeed;
  std::memcpy(tick.data() + 4, &crc, 4);
  bytes += tick;
  append_record(request(2, 1), bytes, kSeed);
  spill(segment_path(folder.path(), 1), bytes);
  const auto records = read_all(folder.path());
  EXPECT_EQ(ids_of(records), (std::vector<std::string>{"r-1", "r-2"}));
  ASSERT_EQ(gaps_of(records).size(), 1U);
  EXPECT_NE(gaps_of(records)[0].reason.find("form is not known"), std::string::npos);
}

TEST(JournalDamage, AStopBehindItIsKnownAtTheNextStartAndTheGapIsNamed) {
  const Folder folder;
  std::size_t at = 0;
  {
    auto writer = open_writer(folder.path());
    at = writer->position().offset + 30;
    writer->append(request(1, 1));
    writer->append(StopRecord{"flights", "ops", "stop-1"});
    ASSERT_TRUE(writer->commit().ok());
  }
  std::string bytes = slurp(segment_path(folder.path(), 1));
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  spill(segment_path(folder.path(), 1), bytes);
  std::vector<std::string> gaps;
  const auto standing = standing_acts(folder.path(), system_files(), gaps);
  ASSERT_TRUE(standing.ok()) << standing.error().str();
  ASSERT_EQ(standing->acts.size(), 1U);
  EXPECT_EQ(std::get<StopRecord>(standing->acts[0]).id, "stop-1");
  ASSERT_EQ(gaps.size(), 1U);
  EXPECT_NE(gaps[0].find("segment 1 has"), std::string::npos) << gaps[0];
}

TEST(JournalDamage, AReaderGoesOnFromAPlaceInADamagedSegment) {
  const Journal journal;
  journal.follow();
  std::string bytes = journal.whole;
  bytes[12] = static_cast<char>(bytes[12] ^ 1);  // its head, after the reader had begun it
  spill(journal.path(), bytes);
  const auto records = read_all(journal.folder.path(), {1, journal.begins[4]});
  EXPECT_EQ(ids_of(records), std::vector<std::string>{"r-99"});
  EXPECT_EQ(gaps_of(records).size(), 1U);
}

}  // namespace
}  // namespace heddle::plane
