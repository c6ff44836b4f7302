#pragma once

#include <span>
#include <string>

#include "base/result.hpp"

struct sqlite3;

namespace heddle::adapters {

/// One step of the schema: brings version `to - 1` to `to`. Written once, never changed afterwards.
struct Migration {
  int to = 0;
  const char* sql = "";
};

/// All of them, ascending from 1.
[[nodiscard]] std::span<const Migration> state_migrations();

/// The errors of `migrate` about what is there; changes nothing.
[[nodiscard]] Result<void> check_version(sqlite3* db, const std::string& path,
                                         std::span<const Migration> migrations);

/// Brings `db` (file `path`) to the last of `migrations`, one transaction a step, each after a
/// backup of what was there to
/// `<path>.v<N>.backup`. kConflict `state-newer` when the file is past the last one; kCorrupt
/// `state-damaged` when its tables are not those of the version that it says it is.
[[nodiscard]] Result<void> migrate(sqlite3* db, const std::string& path,
                                   std::span<const Migration> migrations);

}  // namespace heddle::adapters
