#include "adapters/sqlite/integrity.hpp"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <string>

#include "adapters/sqlite/connection.hpp"
#include "base/digest.hpp"
#include "base/file.hpp"

namespace heddle::adapters {
namespace {

constexpr const char* kWhatToDo =
    "bring `.heddle/state.db` back from a backup, and where that is an older one say so with "
    "`heddle audit restore`. Until then what was released is served, and nothing is decided. "
    "docs/formats/state.md says what is rebuilt of it and what is not";

void put(std::string& out, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(number >> shift & 0xff));
}

// 64 bits find what a disk changed; they stop nobody who computes them anew.
std::int64_t first_eight(const Digest& digest) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < 8; ++i) sum = sum << 8 | digest.bytes[i];
  return static_cast<std::int64_t>(sum);
}

std::string_view blob_of(sqlite3_value* value) {
  const auto* bytes = static_cast<const char*>(sqlite3_value_blob(value));
  return {bytes, static_cast<std::size_t>(sqlite3_value_bytes(value))};
}

std::string_view column(sqlite3_stmt* statement, int index) {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, index));
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement, index))};
}

void sum_function(sqlite3_context* context, int count, sqlite3_value** values) {
  // A row of the log has two values, one of `kv` three.
  sqlite3_result_int64(
      context, count == 2 ? sum_of(static_cast<std::uint64_t>(sqlite3_value_int64(values[0])),
                                   blob_of(values[1]))
                          : sum_of(blob_of(values[0]), blob_of(values[1]), blob_of(values[2])));
}

/// Each row of `sql`; `wrong` says what is not as it was written, empty: nothing.
template <class Wrong>
Result<void> each(sqlite3* db, const char* sql, Wrong wrong) {
  HEDDLE_ASSIGN_OR_RETURN(const auto statement, prepare(db, sql));
  for (;;) {
    const int code = sqlite3_step(statement.get());
    if (code == SQLITE_DONE) return {};
    if (code != SQLITE_ROW) return sqlite_error(db, "read the state");
    HEDDLE_TRY(wrong(statement.get()));
  }
}

}  // namespace

Result<void> keep_file_sum(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const auto sum, sha256_file(path));
  return write_file_atomic(path + ".sum", sum.str() + "\n", 0600);
}

Result<void> check_file_sum(const std::string& path) {
  struct stat log{};
  // Not closed: the sum is of an earlier close, and rows have sums of their own.
  if (::stat((path + "-wal").c_str(), &log) == 0 && log.st_size > 0) return {};
  struct stat file{};
  const auto kept = read_file(path + ".sum");
  if (!kept.ok() || (::stat(path.c_str(), &file) == 0 && file.st_size == 0)) return {};
  HEDDLE_ASSIGN_OR_RETURN(const auto sum, sha256_file(path));
  if (*kept == sum.str() + "\n") return {};
  Error error{
      ErrorKind::kCorrupt, "state-damaged",
      fmt::format("`{}` is not the file that was closed: the disk changed it, or a hand", path)};
  error.hint = fmt::format(
      "of what was put back from a backup remove `state.db.sum` beside it. Otherwise {}",
      kWhatToDo);
  return error;
}

std::int64_t sum_of(std::string_view collection, std::string_view key, std::string_view value) {
  std::string bytes;
  bytes.reserve(16 + collection.size() + key.size() + value.size());
  // With the lengths, so that bytes cannot move from one part to the next.
  put(bytes, collection.size());
  bytes.append(collection);
  put(bytes, key.size());
  bytes.append(key);
  bytes.append(value);
  return first_eight(sha256(bytes));
}

std::int64_t sum_of(std::uint64_t seq, std::string_view entry) {
  std::string bytes;
  bytes.reserve(8 + entry.size());
  put(bytes, seq);
  bytes.append(entry);
  return first_eight(sha256(bytes));
}

Error damaged(std::string_view collection, std::string_view row) {
  return {ErrorKind::kCorrupt, "state-damaged",
          fmt::format("row `{}` of `{}` is not what was written: the disk changed it, or a hand",
                      row.substr(0, 100), collection.substr(0, 100)),
          kWhatToDo};
}

Result<void> add_sum_function(sqlite3* db) {
  for (const int arguments : {2, 3}) {
    if (sqlite3_create_function_v2(db, "heddle_sum", arguments, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
                                   nullptr, sum_function, nullptr, nullptr, nullptr) != SQLITE_OK)
      return sqlite_error(db, "use the state");
  }
  return {};
}

Result<void> check_all(sqlite3* db) {
  HEDDLE_TRY(each(db, "PRAGMA quick_check(1)", [](sqlite3_stmt* row) -> Result<void> {
    const auto said = column(row, 0);
    if (said == "ok") return {};
    return Error{ErrorKind::kCorrupt, "state-damaged",
                 fmt::format("the state is damaged: {}", said.substr(0, 200)), kWhatToDo};
  }));
  HEDDLE_TRY(
      each(db, "SELECT collection, key, value, sum FROM kv", [](sqlite3_stmt* row) -> Result<void> {
        const auto collection = column(row, 0), key = column(row, 1);
        if (sum_of(collection, key, column(row, 2)) == sqlite3_column_int64(row, 3)) return {};
        return damaged(collection, key);
      }));
  std::uint64_t next = 0;
  return each(db, "SELECT seq, entry, sum FROM log ORDER BY seq",
              [&](sqlite3_stmt* row) -> Result<void> {
                const auto seq = static_cast<std::uint64_t>(sqlite3_column_int64(row, 0));
                // In order and without a gap: an entry that is gone changes no other row.
                if (seq == next++ && sum_of(seq, column(row, 1)) == sqlite3_column_int64(row, 2))
                  return {};
                return damaged("log", fmt::to_string(seq));
              });
}

}  // namespace heddle::adapters
