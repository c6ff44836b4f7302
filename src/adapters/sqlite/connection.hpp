#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>

#include "base/result.hpp"

namespace heddle::adapters {

struct CloseStatement {
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, CloseStatement>;

struct CloseDatabase {
  void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

/// What SQLite last said, as our error: `disk-full`, `state-corrupt`, `state-locked` or
/// `state-failed`.
[[nodiscard]] Error sqlite_error(sqlite3* db, std::string_view what);
[[nodiscard]] Result<void> execute(sqlite3* db, const char* sql);
[[nodiscard]] Result<Statement> prepare(sqlite3* db, const char* sql);

}  // namespace heddle::adapters
