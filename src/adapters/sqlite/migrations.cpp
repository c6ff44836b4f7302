#include "adapters/sqlite/migrations.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "adapters/sqlite/connection.hpp"
#include "base/file.hpp"

namespace heddle::adapters {
namespace {

// A log row can only be added, and only as the next one: whatever opens this file, these triggers
// go with it.
constexpr Migration kMigrations[] = {
    {1, R"sql(
CREATE TABLE kv (collection TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (collection, key)) WITHOUT ROWID;
CREATE TABLE log (seq INTEGER PRIMARY KEY, entry BLOB NOT NULL);
CREATE TRIGGER log_next BEFORE INSERT ON log WHEN NEW.seq IS NOT (SELECT coalesce(max(seq) + 1, 0) FROM log)
  BEGIN SELECT RAISE(ABORT, 'the log takes only its next entry'); END;
CREATE TRIGGER log_no_update BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_no_delete BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
)sql"},
    // The snapshot of the control plane in pieces: each incident a row of its own. The watch's
    // state was one value of a format that is not read any more: the watch begins anew at the
    // snapshot's place in the journal.
    {2, R"sql(
INSERT INTO kv
  SELECT 'incidents', CAST(replace(CAST(s.key AS TEXT), '/snapshot', '/') || json_extract(i.value, '$.id') AS BLOB), CAST(i.value AS BLOB)
  FROM kv AS s, json_each(CAST(s.value AS TEXT), '$.ladder.incidents') AS i
  WHERE s.collection = 'control' AND CAST(s.key AS TEXT) LIKE '%/snapshot';
UPDATE kv
  SET value = CAST(json_set(json_remove(CAST(value AS TEXT), '$.ladder.incidents'), '$.format', 'heddle.control/2') AS BLOB)
  WHERE collection = 'control' AND CAST(key AS TEXT) LIKE '%/snapshot';
DELETE FROM kv WHERE collection = 'control' AND CAST(key AS TEXT) LIKE '%/watch';
)sql"},
};

Result<int> version_of(sqlite3* db) {
  HEDDLE_ASSIGN_OR_RETURN(const auto statement, prepare(db, "PRAGMA user_version"));
  if (sqlite3_step(statement.get()) != SQLITE_ROW)
    return sqlite_error(db, "read the schema version");
  return sqlite3_column_int(statement.get(), 0);
}

Result<void> backup(sqlite3* db, const std::string& path, int version) {
  const std::string copy = fmt::format("{}.v{}.backup", path, version);
  const std::string temporary = copy + ".tmp";
  ::unlink(temporary.c_str());
  HEDDLE_ASSIGN_OR_RETURN(const auto statement, prepare(db, "VACUUM INTO ?1"));
  sqlite3_bind_text(statement.get(), 1, temporary.c_str(), -1, SQLITE_TRANSIENT);
  if (sqlite3_step(statement.get()) != SQLITE_DONE)
    return sqlite_error(db, "back up before a migration");
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

Result<void> migrate(sqlite3* db, const std::string& path, std::span<const Migration> migrations) {
  HEDDLE_ASSIGN_OR_RETURN(int version, version_of(db));
  const int found = version;
  const int latest = migrations.empty() ? 0 : migrations.back().to;
  if (version > latest) {
    return Error{
        ErrorKind::kConflict, "state-newer",
        fmt::format("`{}` has schema {}, this program knows up to {}", path, version, latest),
        "run the newer heddle that wrote it, or restore the backup made before its migration"};
  }
  for (const auto& migration : migrations) {
    if (migration.to <= version) continue;
    if (found > 0) HEDDLE_TRY(backup(db, path, version));  // a new file has nothing to lose
    HEDDLE_TRY(execute(db, "BEGIN IMMEDIATE"));
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
