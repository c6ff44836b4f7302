#include "adapters/sqlite/migrations.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "adapters/sqlite/connection.hpp"
#include "adapters/sqlite/integrity.hpp"
#include "base/file.hpp"

namespace heddle::adapters {
namespace {

// A log row can only be added, and only as the next one: whatever opens this file, these triggers
// go with it. SQLite keeps these texts as they are, and `check_schema` compares them to the byte: a
// text that differs in one space refuses every file that exists.
constexpr Migration kMigrations[] = {
    {1, R"sql(
CREATE TABLE kv (collection TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, )sql"
        R"sql(PRIMARY KEY (collection, key)) WITHOUT ROWID;
CREATE TABLE log (seq INTEGER PRIMARY KEY, entry BLOB NOT NULL);
CREATE TRIGGER log_next BEFORE INSERT ON log )sql"
        R"sql(WHEN NEW.seq IS NOT (SELECT coalesce(max(seq) + 1, 0) FROM log)
  BEGIN SELECT RAISE(ABORT, 'the log takes only its next entry'); END;
CREATE TRIGGER log_no_update BEFORE UPDATE ON log )sql"
        R"sql(BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_no_delete BEFORE DELETE ON log )sql"
        R"sql(BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
)sql"},
    // The snapshot of the control plane in pieces: each incident a row of its own. The watch's
    // state was one value of a format that is not read any more: the watch begins anew at the
    // snapshot's place in the journal.
    {2, R"sql(
INSERT INTO kv
  SELECT
    'incidents',
    CAST(replace(CAST(s.key AS TEXT), '/snapshot', '/') || json_extract(i.value, '$.id') AS BLOB),
    CAST(i.value AS BLOB)
  FROM kv AS s, json_each(CAST(s.value AS TEXT), '$.ladder.incidents') AS i
  WHERE s.collection = 'control' AND CAST(s.key AS TEXT) LIKE '%/snapshot';
UPDATE kv
  SET value = CAST(
    json_set(json_remove(CAST(value AS TEXT), '$.ladder.incidents'), '$.format', 'heddle.control/2')
    AS BLOB)
  WHERE collection = 'control' AND CAST(key AS TEXT) LIKE '%/snapshot';
DELETE FROM kv WHERE collection = 'control' AND CAST(key AS TEXT) LIKE '%/watch';
)sql"},
    // A sum beside each row (integrity.hpp): what a disk changed is found where it is read.
    {3, R"sql(
ALTER TABLE kv ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
UPDATE kv SET sum = heddle_sum(collection, key, value);
DROP TRIGGER log_no_update;
ALTER TABLE log ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
UPDATE log SET sum = heddle_sum(seq, entry);
CREATE TRIGGER log_no_update BEFORE UPDATE ON log )sql"
        R"sql(BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
)sql"},
};

Result<int> version_of(sqlite3* db) {
  HEDDLE_ASSIGN_OR_RETURN(const auto statement, prepare(db, "PRAGMA user_version"));
  if (sqlite3_step(statement.get()) != SQLITE_ROW)
    return sqlite_error(db, "read the schema version");
  return sqlite3_column_int(statement.get(), 0);
}

/// Every table and trigger with its text.
Result<std::string> schema_of(sqlite3* db) {
  HEDDLE_ASSIGN_OR_RETURN(
      const auto statement,
      prepare(db,
              "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY 1, 2"));
  std::string schema;
  for (;;) {
    const int code = sqlite3_step(statement.get());
    if (code == SQLITE_DONE) return schema;
    if (code != SQLITE_ROW) return sqlite_error(db, "read the schema");
    for (int i = 0; i < 4; ++i) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement.get(), i));
      schema += text == nullptr ? "" : text;
      schema += i == 3 ? "\n" : " ";
    }
  }
}

/// The tables are those that the migrations up to `version` make; a new file has none.
Result<void> check_schema(sqlite3* db, const std::string& path, int version,
                          std::span<const Migration> migrations) {
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open(":memory:", &raw);
  const Database expected(raw);
  if (opened != SQLITE_OK) return sqlite_error(raw, "compare the schema");
  // Migration 3 calls it.
  HEDDLE_TRY(add_sum_function(expected.get()));
  for (const auto& migration : migrations) {
    if (migration.to <= version) HEDDLE_TRY(execute(expected.get(), migration.sql));
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto want, schema_of(expected.get()));
  HEDDLE_ASSIGN_OR_RETURN(const auto have, schema_of(db));
  if (version >= 0 && want == have) return {};
  return Error{ErrorKind::kCorrupt, "state-damaged",
               fmt::format("`{}` says that it has schema {}, and its tables are not those of it",
                           path, version),
               "it is damaged, or no state of Heddle: bring it back from a backup. A file of an "
               "earlier build has its number too: `PRAGMA user_version`"};
}

Result<void> backup(sqlite3* db, const std::string& path, int version) {
  const std::string copy = fmt::format("{}.v{}.backup", path, version);
  const std::string temporary = copy + ".tmp";
  // `VACUUM INTO` takes no file that is there; one may be left of a try that was killed.
  ::unlink(temporary.c_str());
  HEDDLE_ASSIGN_OR_RETURN(const auto statement, prepare(db, "VACUUM INTO ?1"));
  sqlite3_bind_text(statement.get(), 1, temporary.c_str(), -1, SQLITE_TRANSIENT);
  if (sqlite3_step(statement.get()) != SQLITE_DONE)
    return sqlite_error(db, "back up before a migration");
  // It is on the disk before its name says that it is a backup.
  const int fd = ::open(temporary.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  if (fd >= 0) ::close(fd);
  if (!synced || ::rename(temporary.c_str(), copy.c_str()) != 0) {
    return Error{ErrorKind::kIo, "state-backup-failed",
                 fmt::format("cannot write the backup `{}`", copy),
                 "nothing was migrated; make room beside the state and start again"};
  }
  const auto slash = copy.find_last_of('/');
  return fsync_dir(slash == std::string::npos ? "." : copy.substr(0, slash));
}

}  // namespace

std::span<const Migration> state_migrations() { return kMigrations; }

Result<void> check_version(sqlite3* db, const std::string& path,
                           std::span<const Migration> migrations) {
  HEDDLE_ASSIGN_OR_RETURN(const int version, version_of(db));
  const int latest = migrations.empty() ? 0 : migrations.back().to;
  // Before the schema: what a newer program made is not damaged.
  if (version > latest) {
    return Error{
        ErrorKind::kConflict, "state-newer",
        fmt::format("`{}` has schema {}, this program knows up to {}", path, version, latest),
        "run the newer heddle that wrote it, or restore the backup made before its migration"};
  }
  return check_schema(db, path, version, migrations);
}

Result<void> migrate(sqlite3* db, const std::string& path, std::span<const Migration> migrations) {
  HEDDLE_TRY(check_version(db, path, migrations));
  HEDDLE_ASSIGN_OR_RETURN(int version, version_of(db));
  const int found = version;
  for (const auto& migration : migrations) {
    if (migration.to <= version) continue;
    if (found > 0) HEDDLE_TRY(backup(db, path, version));  // a new file has nothing to lose
    HEDDLE_TRY(execute(db, "BEGIN IMMEDIATE"));
    // The number in the same transaction: a file is either of before or of after.
    auto done = execute(db, migration.sql);
    if (done) done = execute(db, fmt::format("PRAGMA user_version = {}", migration.to).c_str());
    if (done) done = execute(db, "COMMIT");
    if (!done) {
      (void)execute(db, "ROLLBACK");
      return done;
    }
    version = migration.to;
  }
  return {};
}

}  // namespace heddle::adapters
