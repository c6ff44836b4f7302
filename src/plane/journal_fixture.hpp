#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "plane/journal_files.hpp"

namespace heddle::plane::fixture {

using heddle::fixture::Folder;

inline FieldValue text(std::string s) {
  FieldValue value;
  value.kind = expr::Datum::Kind::kString;
  value.s = std::move(s);
  return value;
}
inline FieldValue number(std::int64_t i) {
  FieldValue value;
  value.kind = expr::Datum::Kind::kInt;
  value.i = i;
  return value;
}

inline RequestRecord request(int n, int rows = 2) {
  RequestRecord r{
      fmt::format("r-{}", n), "source-1", n * kSecond, 1'700'000'000'000'000 + n, "primary", 7, {}};
  for (int i = 0; i < rows; ++i) {
    RowRecord row;
    row.outcome = i % 2 == 0 ? RowOutcome::kServed : RowOutcome::kRefused;
    row.fields = {text(fmt::format("ABQ-{}", i)), number(-n), FieldValue{}};
    if (i % 2 == 1) row.rules = {"distance-range", "origin-enum"};
    if (i % 2 == 0) row.prediction = {0.25f};
    row.standby_prediction = {0.5f};
    if (n == 3) row.shadow_prediction = {0.75f};
    r.rows.push_back(row);
  }
  if (n > 0) {
    r.cohort = Cohort::kBaseline;
    r.micros = 300;
  }
  if (n == 3) r.account = "app";
  return r;
}

/// The machine's files on a disk that need not be waited for.
class QuickFiles final : public FilePort {
 public:
  int fsync(int) override { return 0; }
  int fdatasync(int) override { return 0; }
};

inline std::unique_ptr<JournalWriter> open_writer(const std::string& dir,
                                                  std::uint64_t segment_bytes = 8 << 20,
                                                  std::uint64_t max_bytes = 1ull << 30) {
  JournalWriter::Options options;
  options.dir = dir;
  options.fields = {"origin", "distance", "date"};
  options.segment_bytes = segment_bytes;
  options.max_bytes = max_bytes;
  static QuickFiles files;
  auto writer = open_journal(std::move(options), files, system_clock());
  EXPECT_TRUE(writer.ok()) << (writer.ok() ? "" : writer.error().str());
  return std::move(*writer);
}

inline std::vector<Record> read_all(const std::string& dir, JournalPosition from = {}) {
  auto reader = JournalReader::open(dir, from);
  std::vector<Record> records;
  while (true) {
    auto record = (*reader)->next();
    EXPECT_TRUE(record.ok()) << (record.ok() ? "" : record.error().str());
    if (!record.ok() || !record->has_value()) return records;
    records.push_back(std::move(**record));
  }
}

/// Ids of the requests, in order.
inline std::vector<std::string> ids_of(const std::vector<Record>& records) {
  std::vector<std::string> ids;
  for (const Record& record : records) {
    if (const auto* request = std::get_if<RequestRecord>(&record))
      ids.push_back(request->request_id);
  }
  return ids;
}
inline std::vector<GapRecord> gaps_of(const std::vector<Record>& records) {
  std::vector<GapRecord> gaps;
  for (const Record& record : records) {
    if (const auto* gap = std::get_if<GapRecord>(&record)) gaps.push_back(*gap);
  }
  return gaps;
}

/// Requests that went unrecorded.
inline std::uint64_t lost_of(const JournalWriter& writer) {
  std::uint64_t sum = 0;
  for (const auto& [account, lost] : writer.unrecorded()) sum += lost.requests;
  return sum;
}

inline std::string slurp(const std::string& path) { return *read_file(path); }
inline void spill(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace heddle::plane::fixture
