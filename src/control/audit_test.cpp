// What the ledger's bytes alone do not show: whose key signed, and what runs.
#include "control/audit.hpp"

#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/git/repository.hpp"
#include "adapters/sqlite/state.hpp"
#include "base/file.hpp"
#include "base/ids.hpp"
#include "control/applied.hpp"
#include "doc/json.hpp"
#include "policy/request.hpp"
#include "policy/ssh_key_fixture.hpp"
#include "release/release.hpp"

namespace heddle::control {
namespace {

/// Two commits: ada approves by the first, eve in her place by the second.
class AuditTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + uuid7();
    ASSERT_TRUE(make_dirs(root_ + "/.heddle").ok());
    ASSERT_TRUE(write_file_atomic(root_ + "/heddle.yaml",
                                  "apiVersion: heddle/v1\nkind: Project\nname: tiny\n")
                    .ok());
    git("init -q");
    first_ = commit("ada", ada_);
    second_ = commit("eve", eve_);
    core_ = std::make_unique<Control::Core>(root_, Wiring{});
    core_->git = adapters::open_git(root_).value();
    core_->state = adapters::open_sqlite_state(core_->home.state()).value();
    core_->ledger =
        ledger::Ledger::open(*core_->state,
                             {core_->home.dir() + "/tiles", "tiny",
                              Ed25519Key::from_seed(std::string(32, '\3')).value(), nullptr})
            .value();
  }
  void TearDown() override {
    core_.reset();
    std::filesystem::remove_all(root_);
  }
  void git(const std::string& words) const {
    const auto command = fmt::format(
        "git -C '{}' -c user.name=t -c user.email=t@localhost -c commit.gpgsign=false {} "
        ">/dev/null 2>&1",
        root_, words);
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  std::string commit(const char* name, const policy::SshKey& key) {
    EXPECT_TRUE(write_file_atomic(root_ + "/people.yaml",
                                  fmt::format("apiVersion: heddle/v1\nkind: People\npeople:\n  - "
                                              "{{name: {}, roles: [approver], keys: [\"{}\"]}}\n",
                                              name, key.public_key()))
                    .ok());
    git("add heddle.yaml people.yaml");
    git("commit -q -m change");
    return adapters::open_git(root_).value()->head().value();
  }
  std::uint64_t record(ledger::Entry entry) {
    return core_->ledger->record(std::move(entry)).value();
  }
  void apply(const std::string& commit) {
    const auto digest = sha256(commit);
    ledger::Entry entry;
    entry.actor = "system:test";
    entry.action = kApplyAction;
    entry.subjects = {{"definitions", digest}};
    entry.attributes = doc::Value::object({{"commit", commit}});
    entry.result = "applied";
    point_at({commit, digest, record(entry)});
  }
  void point_at(const Applied& applied) {
    ASSERT_TRUE(core_->state
                    ->write([&](store::Txn& txn) -> Result<void> {
                      HEDDLE_TRY(txn.put("control", "applied", applied.commit));
                      HEDDLE_TRY(txn.put("control", "applied-digest", applied.definitions.str()));
                      return txn.put("control", "applied-entry", fmt::to_string(applied.entry));
                    })
                    .ok());
  }
  void yes(const std::string& who, const policy::SshKey& key, const std::string& of = "promote") {
    const std::string statement =
        fmt::format(R"({{"binds":{{"commit":"{}"}},"of":"{}"}})", first_, of);
    ledger::Entry entry;
    entry.actor_type = "person";
    entry.actor = who;
    entry.action = "approval.approve";
    entry.evidence = {{"statement", sha256(statement)}};
    entry.attributes =
        doc::Value::object({{"statement", statement}, {"signature", key.sign(statement)}});
    record(entry);
  }
  void request(const std::string& who, const policy::SshKey& key) {
    ledger::Entry entry;
    entry.op_id = "resume-1";
    entry.actor_type = "person";
    entry.actor = who;
    entry.action = "service.resume";
    entry.attributes = doc::Value::object();
    policy::record_proof(entry.attributes,
                         {"signature", "", "asked", key.sign("asked", policy::kRequestNamespace)});
    record(entry);
  }
  std::vector<std::string> found() {
    std::vector<ledger::Finding> findings;
    const auto audited = audit_decisions(*core_, findings);
    EXPECT_TRUE(audited.ok()) << audited.error().str();
    std::vector<std::string> ids;
    for (const auto& each : findings) ids.push_back(each.id);
    return ids;
  }

  using Ids = std::vector<std::string>;
  const policy::SshKey ada_{"ada"}, eve_{"eve"};
  std::string root_, first_, second_;
  std::unique_ptr<Control::Core> core_;
};

TEST_F(AuditTest, AYesIsSignedByWhoCountedThen) {
  yes("ada", ada_);  // to the first apply: the commit speaks for itself
  apply(first_);
  yes("ada", ada_);
  apply(second_);
  yes("eve", eve_);
  EXPECT_EQ(found(), Ids{});
  yes("eve", ada_);
  EXPECT_EQ(found(), Ids{"approval-signature-invalid"});
  yes("ada", ada_);  // who is gone
  EXPECT_EQ(found(), (Ids{"approval-signature-invalid", "approval-signature-invalid"}));
}

TEST_F(AuditTest, AKeyThatWasNotAppliedSignsNothing) {
  yes("ada", eve_);
  EXPECT_EQ(found(), Ids{"approval-signature-invalid"});
  apply(first_);
  yes("eve", eve_);
  EXPECT_EQ(found(), (Ids{"approval-signature-invalid", "approval-signature-invalid"}));
}

TEST_F(AuditTest, ASignedRequestIsSigned) {
  apply(first_);
  request("ada", ada_);
  EXPECT_EQ(found(), Ids{});
  request("ada", eve_);
  EXPECT_EQ(found(), Ids{"request-signature-invalid"});
  ledger::Entry carried_out;  // asked for and signed before
  carried_out.op_id = "resume-1";
  carried_out.actor = "ada";
  carried_out.attributes = doc::Value::object({{"proof", "signature"}});
  record(carried_out);
  EXPECT_EQ(found(), Ids{"request-signature-invalid"});
  carried_out.op_id = "resume-2";
  record(carried_out);
  EXPECT_EQ(found(), (Ids{"request-signature-invalid", "request-signature-invalid"}));
}

TEST_F(AuditTest, AStopStandsUntilAnEntryEndsIt) {
  const auto entry = [&](const char* action) {
    ledger::Entry one;
    one.op_id = uuid7();
    one.actor = "ada";
    one.action = action;
    one.target = "service/s";
    one.result = "applied";
    return record(one);
  };
  const auto put = [&](const char* collection, const std::string& value) {
    ASSERT_TRUE(core_->state
                    ->write([&](store::Txn& txn) {
                      return value.empty() ? txn.erase(collection, "s")
                                           : txn.put(collection, "s", value);
                    })
                    .ok());
  };
  const auto flag = [&](bool stopped) { put("policy.stopped", stopped ? "{}" : ""); };
  const auto releases = [&](bool stopped) {
    auto value = release::Releases("s").to_value();
    value.set("stopped", stopped);
    put("releases", doc::to_json(value));
  };
  (void)entry("service.stop");
  flag(true);
  releases(true);
  EXPECT_EQ(found(), Ids{});
  releases(false);  // what the route table follows from
  EXPECT_EQ(found(), Ids{"stop-not-in-force"});
  releases(true);
  flag(false);  // what policy looks at
  EXPECT_EQ(found(), Ids{"stop-not-in-force"});
  releases(false);
  EXPECT_EQ(found(), Ids{"stop-not-in-force"});
  (void)entry("service.resume");
  EXPECT_EQ(found(), Ids{});
  flag(true);
  EXPECT_EQ(found(), Ids{"stop-not-decided"});
}

TEST_F(AuditTest, WhatRunsIsWhatTheNewestDecisionApplied) {
  EXPECT_EQ(found(), Ids{});
  const auto check = [&] {
    const auto checked = check_applied(*core_->state, applied_of(*core_->state).value());
    return checked.ok() ? std::string() : checked.error().id;
  };
  EXPECT_EQ(check(), "");
  point_at({first_, sha256(first_), 0});
  EXPECT_EQ(check(), "applied-not-decided") << "by no decision at all";
  apply(first_);
  EXPECT_EQ(check(), "");
  const auto older = applied_of(*core_->state).value().value();
  apply(second_);
  EXPECT_EQ(check(), "");
  const auto newest = applied_of(*core_->state).value().value();
  for (const auto& forged : {older, Applied{first_, newest.definitions, newest.entry},
                             Applied{second_, older.definitions, newest.entry},
                             Applied{second_, newest.definitions, newest.entry + 1}}) {
    point_at(forged);
    EXPECT_EQ(check(), "applied-not-decided") << forged.commit << " " << forged.entry;
    EXPECT_EQ(found(), Ids{"applied-not-decided"});
  }
  for (const auto& [row, id] : {std::pair{"applied-digest", "applied-not-decided"},
                                std::pair{"applied-entry", "state-row"}}) {
    std::string kept;
    const auto write = [&](std::string_view text) {
      return core_->state->write([&](store::Txn& txn) { return txn.put("control", row, text); });
    };
    ASSERT_TRUE(core_->state
                    ->read([&](store::Txn& txn) -> Result<void> {
                      kept = txn.get("control", row).value().value();
                      return {};
                    })
                    .ok());
    ASSERT_TRUE(write("7x").ok());
    const auto read = applied_of(*core_->state);
    ASSERT_FALSE(read.ok()) << row;
    EXPECT_EQ(read.error().id, id);
    EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt);
    ASSERT_TRUE(write(kept).ok());
  }
  ASSERT_TRUE(
      core_->state->write([](store::Txn& txn) { return txn.erase("control", "applied"); }).ok());
  EXPECT_EQ(check(), "applied-not-decided") << "nothing was applied, it says";
}

}  // namespace
}  // namespace heddle::control
