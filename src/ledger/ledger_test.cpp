#include "ledger/ledger.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "adapters/git/repository.hpp"
#include "adapters/sqlite/state.hpp"
#include "base/file.hpp"
#include "doc/json.hpp"
#include "doc/schema_conformance.hpp"
#include "ledger/anchor.hpp"
#include "ledger/entry_schema.hpp"
#include "ledger/tiles.hpp"
#include "ledger/verify.hpp"

namespace heddle::ledger {
namespace {

namespace fs = std::filesystem;

class TestClock final : public Clock {
 public:
  [[nodiscard]] Micros wall() const override { return now; }
  [[nodiscard]] std::int64_t mono_ns() const override { return now * 1000; }
  Micros now = 1'000'000 * kSecond;
};

class LedgerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/ledger.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    ASSERT_EQ(std::system(("git init -q " + root_).c_str()), 0);
    git_ = adapters::open_git(root_, clock_).value();
    key_ = Ed25519Key::from_seed(std::string(32, '\5')).value();
    open();
  }
  [[nodiscard]] std::string tiles() const { return root_ + "/tiles"; }
  [[nodiscard]] Ledger::Options options() { return {tiles(), "flights", key_, &clock_}; }
  void open() {
    ledger_.reset();
    state_.reset();
    state_ = adapters::open_sqlite_state(root_ + "/state.db").value();
    auto opened = Ledger::open(*state_, options());
    ASSERT_TRUE(opened.ok()) << opened.error().str();
    ledger_ = std::move(opened).value();
  }
  [[nodiscard]] Error open_error() {
    ledger_.reset();
    state_.reset();
    state_ = adapters::open_sqlite_state(root_ + "/state.db").value();
    auto opened = Ledger::open(*state_, options());
    return opened ? Error{} : opened.error();
  }
  void add(int n, std::string_view what = "run.start") {
    ASSERT_TRUE(state_
                    ->write([&](store::Txn& txn) -> Result<void> {
                      for (int i = 0; i < n; ++i) {
                        clock_.now += 1234;
                        Entry entry;
                        entry.op_id = fmt::format("{}-{}", what, i);
                        entry.actor = "system:test";
                        entry.action = what;
                        entry.target = "service/flights-delay";
                        entry.result = "applied";
                        HEDDLE_TRY(ledger_->append(txn, entry));
                      }
                      return {};
                    })
                    .ok());
  }
  [[nodiscard]] Audit audit(bool with_state = true, bool with_git = true) {
    VerifyOptions verify_options{tiles(), ledger_key(), with_state ? state_.get() : nullptr,
                                 with_git ? git_.get() : nullptr};
    return verify(verify_options).value();
  }
  [[nodiscard]] VerifierKey ledger_key() const { return {"heddle/flights", key_.public_key}; }
  [[nodiscard]] static bool has(const Audit& audit, std::string_view id) {
    for (const auto& finding : audit.findings) {
      if (finding.id == id) return true;
    }
    return false;
  }

  TestClock clock_;
  std::string root_;
  Ed25519Key key_;
  std::unique_ptr<store::Git> git_;
  std::unique_ptr<store::State> state_;
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(LedgerTest, AnEntryReadsBackAsItWasWritten) {
  Entry entry;
  entry.op_id = "op";
  entry.actor_type = "agent";
  entry.actor = "agent:recover";
  entry.action = "slot.swap";
  entry.target = "service/flights-delay";
  entry.subjects = {{"bundle", sha256("bundle")}};
  entry.policy = sha256("policy");
  entry.decision = "allow";
  entry.rules = {"allow-swap", "record"};
  entry.attributes = doc::Value::object({{"auc", 0.75}, {"note", "\"quoted\"\n"}});
  entry.evidence = {{"window", sha256("w")}};
  entry.approval = "approval-0001";
  entry.result = "applied";
  entry.reason = "standby is better";
  entry.incident = "incident-0001";
  entry.event_time = *parse_time("2001-05-11T07:00:00Z");
  const auto json = to_json(entry).value();
  EXPECT_EQ(to_json(parse_entry(json).value()).value(), json);
  entry.reason = std::string(kMaxEntryBytes, 'x');
  EXPECT_EQ(to_json(entry).error().id, "ledger-entry-too-large");
}

Entry full_entry() {
  Entry entry;
  entry.seq = 12;
  entry.t = *parse_time("2026-05-11T07:00:00.000250Z");
  entry.op_id = "s/incident-0001/slot.swap/1";
  entry.actor_type = "agent";
  entry.actor = "agent:recover";
  entry.action = "slot.swap";
  entry.target = "service/delay";
  entry.subjects = {{"bundle", sha256("bundle")}, {"rollback", Digest{}}};
  entry.policy = sha256("policy");
  entry.decision = "allow";
  entry.rules = {"allow-swap"};
  entry.attributes = doc::Value::object({{"rows", 300}});
  entry.evidence = {{"window", sha256("w")}};
  entry.approval = "approval-0001";
  entry.result = "applied";
  entry.reason = "standby is better";
  entry.incident = "incident-0001";
  entry.event_time = *parse_time("2001-05-11T07:00:00Z");
  return entry;
}

TEST(LedgerEntry, SchemaConformance) {
  doc::RecordConformance<Entry>(entry_schema(), full_entry()).run("docs/formats/ledger.md");
}

/// As Heddle wrote them before there was a schema: the tree hashes these bytes.
TEST(LedgerEntry, BytesOfBeforeAreWrittenAgain) {
  const auto hex = [](std::string_view of) { return sha256(of).str(); };
  const std::string full = fmt::format(
      R"({{"v":1,"seq":12,"t":"2026-05-11T07:00:00.000250Z","op_id":"s/incident-0001/slot.swap/1",)"
      R"("actor":{{"type":"agent","id":"agent:recover"}},"action":"slot.swap",)"
      R"("target":"service/delay","subjects":[{{"name":"bundle","digest":"{}"}},)"
      R"({{"name":"rollback","digest":"{}"}}],"policy":{{"digest":"{}","decision":"allow",)"
      R"("rules":["allow-swap"]}},"attributes":{{"rows":300}},)"
      R"("evidence":[{{"name":"window","digest":"{}"}}],"approval":"approval-0001",)"
      R"("result":"applied","reason":"standby is better","incident":"incident-0001",)"
      R"("event_time":"2001-05-11T07:00:00Z"}})",
      hex("bundle"), "sha256:" + std::string(64, '0'), hex("policy"), hex("w"));
  EXPECT_EQ(to_json(full_entry()).value(), full);
  EXPECT_EQ(to_json(parse_entry(full).value()).value(), full);
  // Nothing that is empty is there, and a decision by no rules has the digest of none.
  Entry bare;
  bare.actor = "system:control";
  EXPECT_EQ(to_json(bare).value(), R"({"v":1,"seq":0,"t":"1970-01-01T00:00:00Z",)"
                                   R"("actor":{"type":"system","id":"system:control"}})");
  bare.decision = "deny";
  const std::string denied =
      R"({"v":1,"seq":0,"t":"1970-01-01T00:00:00Z",)"
      R"("actor":{"type":"system","id":"system:control"},"policy":{"digest":"sha256:)" +
      std::string(64, '0') + R"(","decision":"deny","rules":[]}})";
  EXPECT_EQ(to_json(bare).value(), denied);
  EXPECT_EQ(to_json(parse_entry(denied).value()).value(), denied);
}

TEST_F(LedgerTest, NumbersTimesAndRootSurviveAReopenAndAClockSetBack) {
  add(3);
  clock_.now -= kDay;
  add(2);
  ASSERT_TRUE(ledger_->publish().ok());
  const auto before = ledger_->last_checkpoint();
  open();
  EXPECT_EQ(ledger_->last_checkpoint(), before);
  Micros last = 0;
  std::uint64_t next = 0;
  ASSERT_TRUE(ledger_
                  ->read(0,
                         [&](const Entry& entry) {
                           EXPECT_EQ(entry.seq, next++);
                           EXPECT_GE(entry.t, last);
                           last = entry.t;
                           return true;
                         })
                  .ok());
  EXPECT_EQ(next, 5U);
  EXPECT_TRUE(audit().ok()) << audit().str();
}

TEST_F(LedgerTest, GrowsThroughTileBoundariesAndProvesEveryStep) {
  std::vector<Checkpoint> seen;
  for (const int n : {1, 254, 1, 1, 300, 0, 255, 700}) {
    add(n);
    const auto checkpoint = ledger_->publish();
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().str();
    seen.push_back(*checkpoint);
    if (n == 300) open();
  }
  const auto last = seen.back();
  EXPECT_EQ(last.size, 1512U);
  TileReader tiles_of_last(system_files(), tiles(), last.size);
  for (const auto& checkpoint : seen) {
    const auto proof =
        consistency_proof(checkpoint.size, last.size, tiles_of_last.reader()).value();
    EXPECT_TRUE(verify_consistency(checkpoint.size, last.size, checkpoint.root, last.root, proof));
  }
  for (const std::uint64_t i : {0U, 255U, 256U, 1023U, 1511U}) {
    const auto proof = ledger_->prove(i).value();
    EXPECT_TRUE(verify_inclusion(leaf_hash(proof.entry), i, last.size, proof.hashes, last.root))
        << i;
    EXPECT_TRUE(open_checkpoint(proof.checkpoint, ledger_key()).ok());
    EXPECT_TRUE(proof.str().starts_with(fmt::format("c2sp.org/tlog-proof@v1\nindex {}\n", i)));
  }
  const auto result = audit();
  EXPECT_TRUE(result.ok()) << result.str();
  EXPECT_EQ(result.entries, 1512U);
  EXPECT_EQ(result.checkpoints, 7U);
  // What is no longer needed is gone: one partial tile a level, one bundle.
  int partial = 0;
  for (const auto& file : fs::recursive_directory_iterator(tiles())) {
    partial += file.is_regular_file() && file.path().parent_path().extension() == ".p" ? 1 : 0;
  }
  EXPECT_EQ(partial, 3);
}

TEST_F(LedgerTest, TilesAreRebuiltByteForByte) {
  add(600);
  ASSERT_TRUE(ledger_->publish().ok());
  const auto before = read_file(tiles() + "/tile/1/000.p/2").value();
  fs::remove_all(tiles() + "/tile");
  open();
  EXPECT_EQ(read_file(tiles() + "/tile/1/000.p/2").value(), before);
  EXPECT_TRUE(ledger_->publish().ok());
  EXPECT_TRUE(has(audit(), "ledger-tiles-missing")) << audit().str();
}

TEST_F(LedgerTest, WhatCannotBeReadIsNeitherGoneNorWrittenOver) {
  add(3);
  ASSERT_TRUE(ledger_->publish().ok());
  const auto history = read_file(tiles() + "/history").value();
  for (const char* name : {"/tile/0/000.p/3", "/checkpoint", "/history"}) {
    // A folder is there and cannot be read, for root too.
    fs::rename(tiles() + name, root_ + "/kept");
    fs::create_directory(tiles() + name);
    EXPECT_EQ(open_error().kind, ErrorKind::kIo) << name;
    fs::remove(tiles() + name);
    fs::rename(root_ + "/kept", tiles() + name);
    open();
    EXPECT_EQ(ledger_->size().value(), 3U) << name << ": no entry says that it was gone";
    EXPECT_EQ(read_file(tiles() + "/history").value(), history) << name;
    EXPECT_TRUE(audit().ok()) << audit().str();
  }
}

TEST_F(LedgerTest, TheSecondTimeNothingIsSigned) {
  add(3);
  ASSERT_TRUE(ledger_->publish().ok());
  const auto history = read_file(tiles() + "/history").value();
  ASSERT_TRUE(ledger_->publish().ok());
  EXPECT_EQ(read_file(tiles() + "/history").value(), history);
}

TEST_F(LedgerTest, ATransactionThatFailsLeavesNoEntry) {
  add(2);
  EXPECT_FALSE(state_
                   ->write([&](store::Txn& txn) -> Result<void> {
                     HEDDLE_TRY(ledger_->append(txn, {}));
                     return Error{ErrorKind::kConflict, "test-refused", "no"};
                   })
                   .ok());
  add(1);
  EXPECT_EQ(ledger_->size().value(), 3U);
  ASSERT_TRUE(ledger_->publish().ok());
  EXPECT_TRUE(audit().ok()) << audit().str();
}

TEST_F(LedgerTest, AnAnchorHoldsTheCheckpointAndTheKey) {
  add(3);
  ASSERT_TRUE(ledger_->anchor(*git_).ok());
  const auto ref = anchor_ref(ledger_key());
  EXPECT_EQ(git_->read(ref, "checkpoint").value(), read_file(tiles() + "/checkpoint").value());
  EXPECT_EQ(git_->read(ref, "vkey").value(), ledger_->verifier_key().str() + "\n");
  add(2);
  ASSERT_TRUE(ledger_->anchor(*git_).ok());
  const auto result = audit();
  EXPECT_TRUE(result.ok()) << result.str();
  EXPECT_EQ(result.anchored, 6U) << "one says that it is anchored";
  EXPECT_TRUE(ledger_->check_anchor(*git_).value());
}

TEST_F(LedgerTest, TwoWorkTreesOfOneRepositoryHaveAnAnchorEach) {
  add(3);
  ASSERT_TRUE(ledger_->anchor(*git_).ok());
  const auto other_key = Ed25519Key::from_seed(std::string(32, '\6')).value();
  const auto other_state = adapters::open_sqlite_state(root_ + "/other.db").value();
  const auto other =
      Ledger::open(*other_state, {root_ + "/other", "flights", other_key, &clock_}).value();
  EXPECT_FALSE(other->check_anchor(*git_).value());
  ASSERT_TRUE(other->record({}).ok());
  ASSERT_TRUE(other->anchor(*git_).ok());
  EXPECT_TRUE(ledger_->check_anchor(*git_).value());
  EXPECT_TRUE(ledger_->anchor(*git_).ok());
  EXPECT_TRUE(audit().ok()) << audit().str();
}

TEST_F(LedgerTest, TheAnchorOfBeforeCounts) {
  add(3);
  ASSERT_TRUE(ledger_->publish().ok());
  const auto commit = [&](const std::string& note) {
    ASSERT_TRUE(git_->commit("refs/heddle/checkpoints", "", {{"checkpoint", note}}, "x").ok());
  };
  commit(read_file(tiles() + "/checkpoint").value());
  EXPECT_TRUE(ledger_->check_anchor(*git_).value());
  commit(sign_checkpoint({"heddle/flights", 9, sha256("x")}, key_, "heddle/flights"));
  EXPECT_EQ(ledger_->check_anchor(*git_).error().id, "ledger-rolled-back");
  // Two work trees had one ref: by another key it is not this ledger's.
  commit(sign_checkpoint({"heddle/flights", 9, sha256("x")},
                         Ed25519Key::from_seed(std::string(32, '\6')).value(), "heddle/flights"));
  EXPECT_FALSE(ledger_->check_anchor(*git_).value());
}

/// A ledger of 600 entries with several checkpoints and an anchor, then one thing done to it.
class TamperTest : public LedgerTest {
 protected:
  void SetUp() override {
    LedgerTest::SetUp();
    add(100);
    ASSERT_TRUE(ledger_->publish().ok());
    early_ = read_file(tiles() + "/checkpoint").value();
    add(400);
    ASSERT_TRUE(ledger_->anchor(*git_).ok());
    add(100);
    ASSERT_TRUE(ledger_->publish().ok());
    ASSERT_TRUE(audit().ok()) << audit().str();
  }
  /// The entries of bundle `path`, changed by `change`, written back.
  void edit(const std::string& path, const std::function<void(std::vector<std::string>&)>& change) {
    const auto bytes = read_file(tiles() + "/" + path).value();
    std::vector<std::string> entries;
    const auto views = parse_entries(bytes).value();
    entries.assign(views.begin(), views.end());
    change(entries);
    std::string changed;
    for (const auto& entry : entries) append_entry(changed, entry);
    ASSERT_TRUE(write_file_atomic(tiles() + "/" + path, changed).ok());
  }
  std::string early_;
};

TEST_F(TamperTest, AFlippedByteOfAnyFileIsFound) {
  std::size_t tried = 0;
  for (const auto& file : fs::recursive_directory_iterator(tiles())) {
    if (!file.is_regular_file() || file.path().filename() == "vkey") continue;
    const auto bytes = read_file(file.path()).value();
    const std::size_t step = std::max<std::size_t>(1, bytes.size() / 25);
    for (std::size_t i = 0; i < bytes.size(); i += step, ++tried) {
      auto flipped = bytes;
      flipped[i] = static_cast<char>(flipped[i] ^ 1);
      ASSERT_TRUE(write_file_atomic(file.path(), flipped).ok());
      EXPECT_FALSE(audit(false, false).ok()) << file.path() << " byte " << i;
    }
    ASSERT_TRUE(write_file_atomic(file.path(), bytes).ok());
  }
  EXPECT_GE(tried, 150U);
  EXPECT_TRUE(audit().ok());
}

/// Whatever is deleted, running or not: no later look at it is content before somebody said so.
TEST_F(TamperTest, WhatWasDeletedIsToldUntilItIsRebuilt) {
  const auto history = [&] { return read_file(tiles() + "/history").value(); };
  const auto write = [&](const std::string& text) {
    ASSERT_TRUE(write_file_atomic(tiles() + "/history", text).ok());
  };
  struct Deletion {
    std::string part;
    std::function<void()> act;
    bool running = true;  ///< whether a ledger that is open can see it without reading all of it
  };
  const std::vector<Deletion> deletions{
      {"tiles", [&] { fs::remove_all(tiles() + "/tile"); }},
      {"checkpoint", [&] { fs::remove(tiles() + "/checkpoint"); }},
      {"history", [&] { fs::remove(tiles() + "/history"); }},
      {"history", [&] { write(history().substr(0, early_.size() + 1)); }, false},
      {"history", [&] { write(early_ + "\n" + history().substr(2 * (early_.size() + 1))); }, false},
      {"history",
       [&] {
         fs::remove(tiles() + "/checkpoint");
         fs::remove(tiles() + "/history");
       }},
      {"checkpoint", [&] { fs::remove_all(tiles()); }},
  };
  for (const auto& [part, act, seen_running] : deletions) {
    for (const bool running : {false, true}) {
      if (running && !seen_running) continue;
      SCOPED_TRACE(
          fmt::format("{} {} running: {}", &part - &deletions.front().part, part, running));
      add(1);
      ASSERT_TRUE(ledger_->publish().ok());
      act();
      EXPECT_FALSE(audit().ok());
      if (!running) open();
      add(1);
      if (const auto done = ledger_->publish(); !done.ok()) {
        // What is proven from the tiles is missing too; the next one has written them again.
        ASSERT_TRUE(running);
        ASSERT_TRUE(ledger_->publish().ok());
      }
      ASSERT_TRUE(ledger_->publish().ok());
      for (const bool with_state : {false, true})
        EXPECT_TRUE(has(audit(with_state), fmt::format("ledger-{}-missing", part)))
            << audit(with_state).str();
      Entry entry;
      entry.actor = "system:test";
      ASSERT_TRUE(ledger_->rebuild(entry).ok());
      EXPECT_TRUE(audit().ok()) << audit().str();
      open();
      EXPECT_TRUE(audit().ok()) << audit().str();
    }
  }
}

TEST_F(TamperTest, ARebuildBringsBackATileInTheMiddle) {
  fs::remove(tiles() + "/tile/0/000");
  fs::remove(tiles() + "/tile/entries/000");
  open();
  EXPECT_FALSE(audit().ok());
  Entry entry;
  entry.actor = "system:test";
  ASSERT_TRUE(ledger_->rebuild(entry).ok());
  EXPECT_TRUE(audit().ok()) << audit().str();
}

TEST_F(TamperTest, AFlippedByteIsNamed) {
  edit("tile/entries/001", [](auto& entries) { entries[44].back() ^= 1; });
  const auto result = audit(false, false);
  EXPECT_TRUE(has(result, "ledger-entry-changed")) << result.str();
  EXPECT_NE(result.str().find("entry 300 "), std::string::npos) << result.str();
}

TEST_F(TamperTest, ARemovedEntryIsFound) {
  edit("tile/entries/001", [](auto& entries) { entries.erase(entries.begin() + 44); });
  EXPECT_TRUE(has(audit(false, false), "ledger-entry-removed")) << audit(false, false).str();
}

TEST_F(TamperTest, ASwappedPairIsFound) {
  edit("tile/entries/001", [](auto& entries) { std::swap(entries[44], entries[45]); });
  const auto result = audit(false, false);
  EXPECT_TRUE(has(result, "ledger-entries-swapped")) << result.str();
  EXPECT_TRUE(has(result, "ledger-entry-order")) << result.str();
}

TEST_F(TamperTest, ARolledBackCheckpointIsFound) {
  ASSERT_TRUE(write_file_atomic(tiles() + "/checkpoint", early_).ok());
  EXPECT_TRUE(has(audit(false, false), "ledger-rolled-back")) << audit(false, false).str();
  // With the history cut as well, the anchor knows; and the state.
  ASSERT_TRUE(write_file_atomic(tiles() + "/history", early_ + "\n").ok());
  EXPECT_TRUE(has(audit(false, true), "ledger-rolled-back")) << audit(false, true).str();
}

TEST_F(TamperTest, AStateSetBackIsRefusedAtOpenAndByTheAnchor) {
  ledger_.reset();
  state_.reset();
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(root_ + "/state.db" + suffix);
  EXPECT_EQ(open_error().id, "ledger-rolled-back");
  // Everything local is gone or younger than what git holds.
  fs::remove_all(tiles());
  open();
  add(3);
  EXPECT_EQ(ledger_->anchor(*git_).error().id, "ledger-rolled-back");
  EXPECT_TRUE(has(audit(), "ledger-rolled-back"));
  // As long as what git holds, but something else.
  add(700, "other.action");
  EXPECT_EQ(ledger_->anchor(*git_).error().id, "ledger-inconsistent");
  EXPECT_TRUE(has(audit(), "ledger-anchor-inconsistent"));
}

/// The whole of `.heddle` as it was, put back later. Nothing of it can know: git does.
class PutBackTest : public LedgerTest {
 protected:
  void SetUp() override {
    LedgerTest::SetUp();
    add(3);
    ASSERT_TRUE(ledger_->anchor(*git_).ok());
    add(2);
    ASSERT_TRUE(ledger_->publish().ok());
    close();
    copy("", ".kept");
    old_anchor_ = git_->resolve(ref()).value();
    open();
    add(5, "release.promote");
    ASSERT_TRUE(ledger_->anchor(*git_).ok());
    close();
    for (const auto* name : {"/tiles", "/state.db", "/state.db.sum"}) fs::remove_all(root_ + name);
    copy(".kept", "");
  }
  void close() {
    ledger_.reset();
    state_.reset();
  }
  void copy(const std::string& from, const std::string& to) {
    for (const auto* name : {"/tiles", "/state.db", "/state.db.sum"})
      fs::copy(root_ + name + from, root_ + name + to, fs::copy_options::recursive);
  }
  [[nodiscard]] std::string ref() const { return anchor_ref(ledger_key()); }
  void git(const std::string& words) {
    ASSERT_EQ(std::system(fmt::format("git -C {} {}", root_, words).c_str()), 0) << words;
  }
  /// What an opening says, and an audit.
  void expect_found(const std::string& id) {
    open();
    EXPECT_EQ(ledger_->check_anchor(*git_).error().id, id);
    EXPECT_EQ(ledger_->anchor(*git_).error().id, id) << "never written over";
    EXPECT_TRUE(has(audit(), id)) << audit().str();
  }
  /// A person says that this one counts.
  void restore() {
    close();
    state_ = adapters::open_sqlite_state(root_ + "/state.db").value();
    auto with = options();
    with.restores = true;
    ledger_ = Ledger::open(*state_, with).value();
    Entry entry;
    entry.actor_type = "person";
    entry.actor = "ada";
    const auto done = ledger_->restore(*git_, entry);
    ASSERT_TRUE(done.ok()) << done.error().str();
    ASSERT_TRUE(ledger_->publish().ok());
    EXPECT_TRUE(audit().ok()) << audit().str();
    open();
    EXPECT_TRUE(ledger_->check_anchor(*git_).value());
    add(9);
    EXPECT_TRUE(ledger_->anchor(*git_).ok()) << "what was abandoned is looked for no more";
    EXPECT_TRUE(audit().ok()) << audit().str();
  }
  std::string old_anchor_;
};

TEST_F(PutBackTest, IsFoundByTheAnchor) {
  expect_found("ledger-rolled-back");
  restore();
}

TEST_F(PutBackTest, IsFoundAlsoWithItsAnchorPutBack) {
  git(fmt::format("update-ref {} {}", ref(), old_anchor_));
  git_ = adapters::open_git(root_, clock_).value();
  expect_found("ledger-rolled-back");
  restore();
}

TEST_F(PutBackTest, IsFoundAlsoWithoutAnAnchor) {
  git("update-ref -d " + ref());
  git_ = adapters::open_git(root_, clock_).value();
  expect_found("ledger-anchor-missing");
  restore();
}

TEST_F(PutBackTest, AnUnreadableAnchorIsNoMissingOne) {
  const auto file = root_ + "/.git/" + ref();
  const auto commit = read_file(file).value().substr(0, 40);
  const auto object = root_ + "/.git/objects/" + commit.substr(0, 2) + "/" + commit.substr(2);
  const auto kept = read_file(object).value();
  fs::permissions(object, fs::perms::owner_all);
  const std::vector<std::function<void()>> damages{
      [&] { fs::remove(object); },
      [&] { ASSERT_TRUE(write_file_atomic(object, kept.substr(0, 20)).ok()); },
      [&] { ASSERT_TRUE(write_file_atomic(file, "no commit\n").ok()); },
      [&] {
        git_ = adapters::open_git(root_, clock_).value();
        ASSERT_TRUE(git_->commit(ref(), "", {{"checkpoint", "none\n"}}, "x").ok());
      }};
  for (const auto& damage : damages) {
    SCOPED_TRACE(&damage - damages.data());
    ASSERT_TRUE(write_file_atomic(object, kept).ok());
    ASSERT_TRUE(write_file_atomic(file, commit + "\n").ok());
    damage();
    git_ = adapters::open_git(root_, clock_).value();
    expect_found("ledger-anchor-unreadable");
  }
  // As the hint says.
  const auto said = ledger_->check_anchor(*git_).error();
  EXPECT_NE(said.hint.find("git update-ref -d " + ref()), std::string::npos) << said.hint;
  git("update-ref -d " + ref());
  git_ = adapters::open_git(root_, clock_).value();
  expect_found("ledger-anchor-missing");
  restore();
}

TEST_F(PutBackTest, AStateAloneThatWasPutBackIsRestoredTooAndItsTilesAreKeptAside) {
  close();
  // The published files of a newer state.
  for (const auto* name : {"/state.db", "/state.db.sum"}) {
    fs::remove_all(root_ + name);
    fs::copy(root_ + name + ".kept", root_ + name);
  }
  open();
  add(20);
  ASSERT_TRUE(ledger_->publish().ok());
  close();
  for (const auto* name : {"/state.db", "/state.db.sum"}) {
    fs::remove_all(root_ + name);
    fs::copy(root_ + name + ".kept", root_ + name);
  }
  EXPECT_EQ(open_error().id, "ledger-rolled-back");
  restore();
  int aside = 0;
  for (const auto& each : fs::directory_iterator(root_))
    aside += each.path().filename().string().starts_with("tiles.abandoned-") ? 1 : 0;
  EXPECT_EQ(aside, 1);
}

TEST_F(PutBackTest, WhatIsNotPutBackIsNotRestored) {
  fs::remove_all(root_ + "/tiles");
  fs::remove_all(root_ + "/state.db");
  git("update-ref -d " + ref());
  git_ = adapters::open_git(root_, clock_).value();
  open();
  add(1);
  EXPECT_EQ(ledger_->restore(*git_, {}).error().id, "restore-not-needed");
}

TEST_F(TamperTest, ARewrittenTreeDoesNotHaveTheSignedRoot) {
  edit("tile/entries/001", [](auto& entries) { entries[44].back() ^= 1; });
  auto tile = parse_tile(read_file(tiles() + "/tile/0/001").value()).value();
  const auto bundle = read_file(tiles() + "/tile/entries/001").value();
  tile[44] = leaf_hash(parse_entries(bundle).value()[44]);
  std::string bytes;
  for (const auto& hash : tile) bytes.append(hash.bytes.begin(), hash.bytes.end());
  ASSERT_TRUE(write_file_atomic(tiles() + "/tile/0/001", bytes).ok());
  EXPECT_TRUE(has(audit(false, false), "ledger-root-mismatch"));
}

TEST_F(TamperTest, ADamagedTileIsTheTilesFault) {
  auto bytes = read_file(tiles() + "/tile/0/000").value();
  bytes[100] = static_cast<char>(bytes[100] ^ 1);
  ASSERT_TRUE(write_file_atomic(tiles() + "/tile/0/000", bytes).ok());
  const auto result = audit();
  ASSERT_EQ(result.findings.size(), 1U) << result.str();
  EXPECT_EQ(result.findings[0].id, "ledger-tile-changed");
}

TEST_F(TamperTest, AnotherKeyIsNotBelieved) {
  const auto other = Ed25519Key::from_seed(std::string(32, '\6')).value();
  VerifyOptions verify_options{tiles(), {"heddle/flights", other.public_key}, nullptr, nullptr};
  EXPECT_TRUE(has(verify(verify_options).value(), "checkpoint-unsigned"));
}

}  // namespace
}  // namespace heddle::ledger
