#include "adapters/sqlite/state.hpp"

#include <signal.h>
#include <sys/resource.h>
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

TEST(SqliteState, ACommitThatTheDiskDidNotTakeEndsItsUse) {
  const std::string path = fresh_directory() + "/state.db";
  auto state = open_sqlite_state(path).value();
  const auto put = [&] {
    return state->write([](store::Txn& txn) -> Result<void> {
      HEDDLE_TRY(txn.append(std::string(9000, 'x')));
      return {};
    });
  };
  ASSERT_TRUE(put().ok());
  EXPECT_TRUE(state->usable().ok());
  struct rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit none{4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  const auto failed = put();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().id, "state-failed");
  ASSERT_FALSE(state->usable().ok());
  EXPECT_EQ(state->usable().error().id, "state-failed");
  EXPECT_EQ(put().error().id, "state-failed");  // though the disk takes it again
  state.reset();
  state = open_sqlite_state(path).value();
  EXPECT_TRUE(state->usable().ok());
  EXPECT_TRUE(put().ok());
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
        "INSERT INTO log VALUES (7, x'00', 0)", "INSERT INTO log VALUES (0, x'00', 0)"}) {
    EXPECT_FALSE(execute(db.get(), sql).ok()) << sql;
  }
  EXPECT_TRUE(execute(db.get(), "INSERT INTO log VALUES (3, x'00', 0)").ok());
}

TEST(SqliteState, ANewOneNeedsNoBackup) {
  const std::string path = fresh_directory() + "/state.db";
  ASSERT_TRUE(open_sqlite_state(path).ok());
  for (const int version : {0, 1, 2, 3}) {
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

/// A state of some rows, closed; its bytes.
std::string some_state(const std::string& path) {
  auto state = open_sqlite_state(path).value();
  for (int i = 0; i < 60; ++i) {
    EXPECT_TRUE(state
                    ->write([&](store::Txn& txn) -> Result<void> {
                      HEDDLE_TRY(txn.append(fmt::format("entry {} {}", i, std::string(99, 'e'))));
                      return txn.put(i % 2 == 0 ? "control" : "releases", fmt::format("key-{}", i),
                                     std::string(static_cast<std::size_t>(40 * i), 'v'));
                    })
                    .ok());
  }
  state.reset();  // all of it is in the file now
  return read_file(path).value();
}

/// Everything that a reader can get.
Result<std::string> all_of(store::State& state) {
  std::string all;
  const auto read = state.read([&](store::Txn& txn) -> Result<void> {
    for (const char* collection : {"control", "releases"}) {
      HEDDLE_TRY(txn.scan(collection, "", [&](std::string_view key, std::string_view value) {
        all.append(key).append("=").append(value).append("\n");
        return true;
      }));
    }
    HEDDLE_ASSIGN_OR_RETURN(const auto size, txn.log_size());
    return txn.read_log(0, size, [&](std::uint64_t seq, std::string_view entry) {
      all.append(fmt::to_string(seq)).append(entry);
      return true;
    });
  });
  if (!read.ok()) return read.error();
  return all;
}

/// `bytes` as the state that was closed, and nothing else beside it.
void put_back(const std::string& path, const std::string& bytes, const std::string& sum) {
  for (const char* suffix : {"-wal", "-shm", ".sum"}) ::unlink((path + suffix).c_str());
  ASSERT_TRUE(write_file_atomic(path, bytes).ok());
  const auto kept = sum.empty() ? Result<void>() : write_file_atomic(path + ".sum", sum);
  ASSERT_TRUE(kept.ok());
}

TEST(SqliteState, EveryBitThatFlipsWhileNothingRunsIsFound) {
  const std::string path = fresh_directory() + "/state.db";
  const auto bytes = some_state(path);
  const auto sum = read_file(path + ".sum").value();
  std::mt19937 random(7);
  for (int i = 0; i < 40; ++i) {
    auto flipped = bytes;
    const std::size_t bit = random() % (bytes.size() * 8);
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    put_back(path, flipped, sum);
    const auto opened = open_sqlite_state(path);
    ASSERT_FALSE(opened.ok()) << "bit " << bit % 8 << " of byte " << bit / 8;
    EXPECT_EQ(opened.error().kind, ErrorKind::kCorrupt) << opened.error().str();
    EXPECT_FALSE(opened.error().hint.empty());
  }
  put_back(path, bytes, sum);
  EXPECT_TRUE(open_sqlite_state(path).ok());
}

TEST(SqliteState, ALostOneIsMadeAnewAndGivesWayToTheRealOne) {
  const std::string path = fresh_directory() + "/state.db";
  const auto bytes = some_state(path);
  ::unlink(path.c_str());
  EXPECT_TRUE(open_sqlite_state(path).ok()) << "the ledger says that it is too young";
  ASSERT_TRUE(write_file_atomic(path, bytes).ok());
  EXPECT_TRUE(open_sqlite_state(path).ok());
}

/// After a crash there is no sum of the whole file: then what a reader could see is found.
TEST(SqliteState, WithoutTheFilesSumAFlippedBitIsFoundOrChangesNothing) {
  const std::string path = fresh_directory() + "/state.db";
  const auto bytes = some_state(path);
  const auto whole = all_of(*open_sqlite_state(path).value()).value();
  std::mt19937 random(8);
  int found = 0;
  for (int i = 0; i < 60; ++i) {
    auto flipped = bytes;
    const std::size_t bit = random() % (bytes.size() * 8);
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    put_back(path, flipped, "");
    SCOPED_TRACE(fmt::format("bit {} of byte {}", bit % 8, bit / 8));
    const auto opened = open_sqlite_state(path);
    if (!opened.ok()) {
      ++found;
      EXPECT_FALSE(opened.error().hint.empty());
      continue;
    }
    const auto now = all_of(**opened);
    EXPECT_TRUE(now.ok() && *now == whole) << "in silence";
  }
  EXPECT_GT(found, 10);
}

TEST(SqliteState, AChangedRowIsNamed) {
  const std::string path = fresh_directory() + "/state.db";
  (void)some_state(path);
  ::unlink((path + ".sum").c_str());
  ASSERT_TRUE(
      execute(raw(path).get(), "UPDATE kv SET value = x'31' WHERE key = CAST('key-3' AS BLOB)")
          .ok());
  const auto opened = open_sqlite_state(path);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().id, "state-damaged");
  EXPECT_NE(opened.error().message.find("`key-3` of `releases`"), std::string::npos);
}

TEST(SqliteState, ASchemaThatIsNotOfItsNumberIsRefused) {
  const std::string path = fresh_directory() + "/state.db";
  const auto bytes = some_state(path);
  for (const char* sql :
       {"PRAGMA user_version = 0", "PRAGMA user_version = 1", "PRAGMA user_version = 2",
        "PRAGMA user_version = -3", "DROP TRIGGER log_no_delete", "DROP TABLE kv",
        "CREATE TABLE other (x)"}) {
    put_back(path, bytes, "");
    ASSERT_TRUE(execute(raw(path).get(), sql).ok());
    const auto opened = open_sqlite_state(path);
    ASSERT_FALSE(opened.ok()) << sql;
    EXPECT_EQ(opened.error().id, "state-damaged") << sql;
  }
  put_back(path, bytes, "");
  ASSERT_TRUE(execute(raw(path).get(), "PRAGMA user_version = 4").ok());
  EXPECT_EQ(open_sqlite_state(path).error().id, "state-newer");
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

TEST(Migration, RowsOfBeforeGetTheirSums) {
  const std::string path = fresh_directory() + "/state.db";
  {
    const auto db = raw(path);
    ASSERT_TRUE(migrate(db.get(), path, state_migrations().first(2)).ok());
    ASSERT_TRUE(execute(db.get(),
                        "INSERT INTO kv VALUES ('control', CAST('k' AS BLOB), CAST('v' AS BLOB)),"
                        " ('control', x'', x''); INSERT INTO log VALUES (0, CAST('e' AS BLOB))")
                    .ok());
  }
  const auto state = open_sqlite_state(path);
  ASSERT_TRUE(state.ok()) << state.error().str();
  EXPECT_EQ(all_of(**state).value(), "=\nk=v\n0e");
  EXPECT_FALSE(execute(raw(path).get(), "UPDATE log SET entry = x'00'").ok());
  EXPECT_TRUE(path_exists(path + ".v2.backup"));
}

// As a project of the first schema has it: the snapshot held every incident, the watch was one
// value.
TEST(Migration, TheSnapshotOfTheControlPlaneComesInPieces) {
  const std::string path = fresh_directory() + "/state.db";
  {
    const auto db = raw(path);
    ASSERT_TRUE(migrate(db.get(), path, state_migrations().first(1)).ok());
    ASSERT_TRUE(execute(db.get(), R"sql(
      INSERT INTO kv VALUES
        ('control', CAST('delay/snapshot' AS BLOB), CAST('{
          "format":"heddle.control/1","segment":3,"offset":17,"tick":990000000000000,
          "ladder":{"format":"heddle.recovery/1","last_tick":-9223372036854775808,"incidents":[
            {"id":"incident-0001","step":"done","refused_share":0.5,
             "timeline":[{"at":1,"what":"it was \"late\", \u00fc","entry":9007199254740993}]},
            {"id":"incident-0002","step":"open"}],
           "deferred":[],"readmitted":["s1"]}}' AS BLOB)),
        ('control', CAST('other/snapshot' AS BLOB),
         CAST('{"format":"heddle.control/1","ladder":{"incidents":[]}}' AS BLOB)),
        ('control', CAST('delay/watch' AS BLOB), x'00ff'),
        ('control', CAST('applied' AS BLOB), CAST('abc' AS BLOB)))sql")
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
  EXPECT_EQ(rows["control:delay/snapshot"],
            R"({"format":"heddle.control/2","segment":3,"offset":17,"tick":990000000000000,)"
            R"("ladder":{"format":"heddle.recovery/1","last_tick":-9223372036854775808,)"
            R"("deferred":[],"readmitted":["s1"]}})");
  EXPECT_EQ(rows["control:other/snapshot"], R"({"format":"heddle.control/2","ladder":{}})");
  EXPECT_EQ(rows["incidents:delay/incident-0001"],
            R"({"id":"incident-0001","step":"done","refused_share":0.5,)"
            R"("timeline":[{"at":1,"what":"it was \"late\", \u00fc","entry":9007199254740993}]})");
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
