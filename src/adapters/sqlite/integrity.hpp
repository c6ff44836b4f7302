#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

struct sqlite3;

namespace heddle::adapters {

/// What each row carries beside its value: the first eight bytes of a SHA-256 over where it stands
/// and what it holds. It finds what a disk changed, not what somebody did who can write the file.
[[nodiscard]] std::int64_t sum_of(std::string_view collection, std::string_view key,
                                  std::string_view value);
[[nodiscard]] std::int64_t sum_of(std::uint64_t seq, std::string_view entry);

/// kCorrupt `state-damaged`: `row` is not what was written.
[[nodiscard]] Error damaged(std::string_view collection, std::string_view row);

/// Makes `heddle_sum(collection, key, value)` and `heddle_sum(seq, entry)` known to SQL, for
/// migrations.
[[nodiscard]] Result<void> add_sum_function(sqlite3* db);

/// The SHA-256 of the whole file of a state that was closed in order, kept beside it
/// (`<path>.sum`) until it is opened again: what a disk changes while nothing runs is found even
/// where no row lies.
[[nodiscard]] Result<void> keep_file_sum(const std::string& path);
/// kCorrupt `state-damaged` when the file is not the one that was closed. Nothing to hold it
/// against, or work that a crash left in the write-ahead log: ok.
[[nodiscard]] Result<void> check_file_sum(const std::string& path);

/// Reads all of it: the structure (SQLite's quick_check), the sum of every row, and that the log
/// has no hole. kCorrupt `state-damaged` with what is wrong and what can be done.
[[nodiscard]] Result<void> check_all(sqlite3* db);

}  // namespace heddle::adapters
