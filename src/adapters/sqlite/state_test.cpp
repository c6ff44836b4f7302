#include "adapters/sqlite/state.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <random>

#include "adapters/sqlite/connection.hpp"
#include "adapters/sqlite/migrations.hpp"
#include "base/file.hpp"
#include "store/state_conformance.hpp"

namespace heddle::store {

INSTANTIATE_TEST_SUITE_P(Sqlite, StateConformance,
                         testing::Values([](const std::string& directory) {
                           return adapters::open_sqlite_state(directory + "/state.db").value();
                         }));

}  // namespace heddle::store

namespace heddle::adapters {
namespace {

std::string fresh_directory() {
  std::string name = testing::TempDir() + "/sqlite.XXXXXX";
  HEDDLE_CHECK(::mkdtemp(name.data()) != nullptr, "mkdtemp");
  return name;
}

Database raw(const std::string& path) {
  sqlite3* db = nullptr;
  HEDDLE_CHECK(sqlite3_open(path.c_str(), &db) == SQLITE_OK, "open");
  return Database(db);
}

TEST(SqliteState, IsForItsOwnerOnly) {
  const std::string path = fresh_directory() + "/state.db";
  const auto state = open_sqlite_state(path);
  ASSERT_TRUE(state.ok());
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST(SqliteState, ItsLogCannotBeChangedFromOutsideEither) {
  const std::string path = fresh_directory() + "/state.db";
  {
    auto state = open_sqlite_state(path);
    ASSERT_TRUE(state.ok());
    ASSERT_TRUE((*state)
                    ->write([](store::Txn& txn) -> Result<void> {
                      for (const char* entry : {"a", "b", "c"}) HEDDLE_TRY(txn.append(entry));
                      return {};
                    })
                    .ok());
  }
  const auto db = raw(path);
  for (const char* sql :
       {"UPDATE log SET entry = x'00' WHERE seq = 1", "DELETE FROM log WHERE seq = 2",
        "INSERT INTO log VALUES (7, x'00')", "INSERT INTO log VALUES (0, x'00')"}) {
    EXPECT_FALSE(execute(db.get(), sql).ok()) << sql;
  }
  EXPECT_TRUE(execute(db.get(), "INSERT INTO log VALUES (3, x'00')").ok());
}

TEST(SqliteState, ANewOneNeedsNoBackup) {
  const std::string path = fresh_directory() + "/state.db";
  ASSERT_TRUE(open_sqlite_state(path).ok());
  for (const int version : {0, 1, 2}) {
    EXPECT_FALSE(path_exists(fmt::format("{}.v{}.backup", path, version))) << version;
  }
}

TEST(SqliteState, ASecondOpenIsRefused) {
  const std::string path = fresh_directory() + "/state.db";
  const auto first = open_sqlite_state(path);
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE((*first)->write([](store::Txn& txn) { return txn.put("c", "k", "v"); }).ok());
  const auto second = open_sqlite_state(path);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().id, "state-locked");
}

TEST(SqliteState, AFileThatIsNoStateIsRefused) {
  const std::string path = fresh_directory() + "/state.db";
  ASSERT_TRUE(write_file_atomic(path, std::string(5000, 'x')).ok());
  const auto state = open_sqlite_state(path);
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().id, "state-corrupt");
}

TEST(Migration, EachIsMadeAfterABackupAndANewerSchemaIsRefused) {
  const std::string path = fresh_directory() + "/state.db";
  constexpr Migration kSteps[] = {{1, "CREATE TABLE a (x)"},
                                  {2, "CREATE TABLE b (x); INSERT INTO b SELECT x FROM a"},
                                  {3, "ALTER TABLE b ADD COLUMN y"}};
  const auto db = raw(path);
  ASSERT_TRUE(migrate(db.get(), path, std::span(kSteps, 1)).ok());
  EXPECT_FALSE(path_exists(path + ".v0.backup"));
  ASSERT_TRUE(execute(db.get(), "INSERT INTO a VALUES (42)").ok());
  ASSERT_TRUE(migrate(db.get(), path, kSteps).ok());
  EXPECT_TRUE(execute(db.get(), "SELECT x, y FROM b").ok());
  const auto before = raw(path + ".v1.backup");
  EXPECT_TRUE(execute(before.get(), "SELECT x FROM a").ok());
  EXPECT_FALSE(execute(before.get(), "SELECT x FROM b").ok());
  EXPECT_TRUE(path_exists(path + ".v2.backup"));
  const auto older = migrate(db.get(), path, std::span(kSteps, 2));
  ASSERT_FALSE(older.ok());
  EXPECT_EQ(older.error().id, "state-newer");
}

TEST(Migration, AFailedStepLeavesTheVersionBefore) {
  const std::string path = fresh_directory() + "/state.db";
  constexpr Migration kSteps[] = {{1, "CREATE TABLE a (x)"},
                                  {2, "CREATE TABLE b (x); this is no SQL"}};
  const auto db = raw(path);
  EXPECT_FALSE(migrate(db.get(), path, kSteps).ok());
  EXPECT_FALSE(execute(db.get(), "SELECT x FROM b").ok());
  EXPECT_TRUE(migrate(db.get(), path, std::span(kSteps, 1)).ok());  // it stands at 1
}

// As a project of the first schema has it: the snapshot held every incident, the watch was one
// value.
TEST(Migration, TheSnapshotOfTheControlPlaneComesInPieces) {
  const std::string path = fresh_directory() + "/state.db";
  {
    const auto db = raw(path);
    ASSERT_TRUE(migrate(db.get(), path, state_migrations().first(1)).ok());
    ASSERT_TRUE(execute(db.get(), R"sql(
      INSERT INTO kv VALUES ('control', CAST('delay/snapshot' AS BLOB), CAST('{"format":"heddle.control/1","segment":3,"offset":17,"tick":990000000000000,
        "ladder":{"format":"heddle.recovery/1","last_tick":-9223372036854775808,"incidents":[{"id":"incident-0001","step":"done","refused_share":0.5,
        "timeline":[{"at":1,"what":"it was \"late\", \u00fc","entry":9007199254740993}]},{"id":"incident-0002","step":"open"}],"deferred":[],"readmitted":["s1"]}}' AS BLOB)),
        ('control', CAST('other/snapshot' AS BLOB), CAST('{"format":"heddle.control/1","ladder":{"incidents":[]}}' AS BLOB)),
        ('control', CAST('delay/watch' AS BLOB), x'00ff'), ('control', CAST('applied' AS BLOB), CAST('abc' AS BLOB)))sql")
                    .ok());
  }
  const auto state = open_sqlite_state(path);
  ASSERT_TRUE(state.ok()) << state.error().str();
  std::map<std::string, std::string> rows;
  ASSERT_TRUE((*state)
                  ->read([&](store::Txn& txn) -> Result<void> {
                    for (const char* collection : {"control", "incidents"}) {
                      HEDDLE_TRY(txn.scan(collection, "",
                                          [&](std::string_view key, std::string_view value) {
                                            rows[fmt::format("{}:{}", collection, key)] = value;
                                            return true;
                                          }));
                    }
                    return {};
                  })
                  .ok());
  ASSERT_EQ(rows.size(), 5U);
  EXPECT_EQ(rows["control:applied"], "abc");
  EXPECT_EQ(
      rows["control:delay/snapshot"],
      R"({"format":"heddle.control/2","segment":3,"offset":17,"tick":990000000000000,"ladder":{"format":"heddle.recovery/1","last_tick":-9223372036854775808,"deferred":[],"readmitted":["s1"]}})");
  EXPECT_EQ(rows["control:other/snapshot"], R"({"format":"heddle.control/2","ladder":{}})");
  EXPECT_EQ(
      rows["incidents:delay/incident-0001"],
      R"({"id":"incident-0001","step":"done","refused_share":0.5,"timeline":[{"at":1,"what":"it was \"late\", \u00fc","entry":9007199254740993}]})");
  EXPECT_EQ(rows["incidents:delay/incident-0002"], R"({"id":"incident-0002","step":"open"})");
  EXPECT_TRUE(path_exists(path + ".v1.backup"));
}

// A child writes and says on a pipe what was acknowledged; it is killed at a random moment; all it
// had said must be there.
TEST(SqliteState, AKillLosesNothingThatWasAcknowledged) {
  constexpr int kKills = 40;
  const auto seed =
      static_cast<unsigned>(std::chrono::steady_clock::now().time_since_epoch().count());
  RecordProperty("seed", static_cast<int>(seed));
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string path = fresh_directory() + "/state.db";
  std::uint64_t acknowledged = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    int fds[2];
    ASSERT_EQ(::pipe(fds), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto state = open_sqlite_state(path);
      if (!state) ::_exit(1);
      for (;;) {
        std::uint64_t number = 0;
        const auto result = (*state)->write([&](store::Txn& txn) -> Result<void> {
          HEDDLE_ASSIGN_OR_RETURN(number, txn.log_size());
          HEDDLE_TRY(txn.append(std::to_string(number)));
          return txn.put("c", "last", std::to_string(number));
        });
        if (!result || ::write(fds[1], &number, sizeof number) != sizeof number) ::_exit(1);
      }
    }
    ::close(fds[1]);
    // Some number of acknowledgements, then a random moment inside what follows.
    std::uint64_t number = 0;
    for (unsigned n = 1 + random() % 20;
         n > 0 && ::read(fds[0], &number, sizeof number) == sizeof number; --n) {
      acknowledged = number + 1;
    }
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 3000);
    while (std::chrono::steady_clock::now() < until) {
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    while (::read(fds[0], &number, sizeof number) == sizeof number) acknowledged = number + 1;
    ::close(fds[0]);

    auto state = open_sqlite_state(path);
    ASSERT_TRUE(state.ok()) << state.error().str();
    ASSERT_TRUE((*state)
                    ->read([&](store::Txn& txn) -> Result<void> {
                      HEDDLE_ASSIGN_OR_RETURN(const auto size, txn.log_size());
                      EXPECT_GE(size, acknowledged);
                      EXPECT_LE(size, acknowledged + 1);  // committed, not yet said
                      std::uint64_t next = 0;
                      HEDDLE_TRY(
                          txn.read_log(0, size, [&](std::uint64_t seq, std::string_view entry) {
                            EXPECT_EQ(seq, next++);
                            EXPECT_EQ(entry, std::to_string(seq));
                            return true;
                          }));
                      HEDDLE_ASSIGN_OR_RETURN(const auto last, txn.get("c", "last"));
                      EXPECT_EQ(last, std::to_string(size - 1));
                      acknowledged = size;
                      return {};
                    })
                    .ok());
  }
  EXPECT_GE(acknowledged, static_cast<std::uint64_t>(kKills));
}

}  // namespace
}  // namespace heddle::adapters
