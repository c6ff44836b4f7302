// The ledger on a disk that fails at any call: what was signed stays signed, also after a power
// loss, a disk that fails is never taken for somebody who removed evidence, and all goes on once it
// is well again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/file.hpp"
#include "base/file_fixture.hpp"
#include "base/folder_fixture.hpp"
#include "ledger/ledger.hpp"
#include "ledger/verify.hpp"
#include "store/memory_fixture.hpp"

namespace heddle::ledger {
namespace {

using fixture::Fault;
using fixture::FaultyFiles;
using store::fixture::MemoryState;

class LedgerFaults : public testing::Test {
 protected:
  void SetUp() override {
    key_ = Ed25519Key::from_seed(std::string(32, '\5')).value();
    begin(0);
  }
  /// A new ledger of `n` signed entries.
  void begin(int n) {
    ledger_.reset();
    std::filesystem::remove_all(root_ + "/disk");
    ASSERT_TRUE(make_dirs(root_ + "/disk").ok());
    state_ = std::make_unique<MemoryState>();
    files_.emplace(root_ + "/disk");
    entries_ = 0;
    ASSERT_TRUE(open().ok());
    if (n == 0) return;
    add(n);
    ASSERT_TRUE(ledger_->publish().ok());
  }
  void TearDown() override {
    ledger_.reset();
    state_.reset();
  }
  [[nodiscard]] std::string tiles() const { return root_ + "/disk/tiles"; }
  Result<void> open() {
    ledger_.reset();
    Ledger::Options options;
    options.directory = tiles();
    options.project = "flights";
    options.key = key_;
    options.files = &*files_;
    options.restores = restores_;
    HEDDLE_ASSIGN_OR_RETURN(ledger_, Ledger::open(*state_, options));
    return {};
  }
  void add(int n) {
    ASSERT_TRUE(state_
                    ->write([&](store::Txn& txn) -> Result<void> {
                      for (int i = 0; i < n; ++i) {
                        Entry entry;
                        entry.op_id = fmt::format("op-{}", ++entries_);
                        entry.actor = "system:test";
                        entry.action = "run.start";
                        entry.target = "service/flights-delay";
                        entry.result = "applied";
                        HEDDLE_TRY(ledger_->append(txn, entry));
                      }
                      return {};
                    })
                    .ok());
  }
  [[nodiscard]] Result<Audit> audit() {
    VerifyOptions options;
    options.directory = tiles();
    options.key = {"heddle/flights", key_.public_key};
    options.state = state_.get();
    options.files = &*files_;
    return verify(options);
  }
  void is_whole(const std::string& where) {
    const auto found = audit();
    ASSERT_TRUE(found.ok()) << where << ": " << found.error().str();
    EXPECT_TRUE(found->ok()) << where << ": " << found->str();
    EXPECT_EQ(found->entries, static_cast<std::uint64_t>(entries_)) << where;
  }
  static void is_clear(const Error& error, const std::string& where) {
    EXPECT_EQ(error.kind, ErrorKind::kIo) << where << ": " << error.str();
    EXPECT_FALSE(error.hint.empty()) << where << ": " << error.str();
    EXPECT_NE(error.message.find("/disk"), std::string::npos) << where << ": " << error.str();
  }

  const fixture::Folder folder_;
  const std::string& root_ = folder_.path();
  /// No disk of this test fails it, and each call has a run of its own.
  std::unique_ptr<MemoryState> state_;
  Ed25519Key key_;
  std::optional<FaultyFiles> files_;
  bool restores_ = false;
  std::unique_ptr<Ledger> ledger_;
  int entries_ = 0;
};

TEST_F(LedgerFaults, WhatWasSignedStaysAndTheRestIsSignedOnceTheDiskIsWell) {
  std::uint64_t is_signed = 0;
  const bool ended = fixture::with_each_fault([&](const Fault& fault, std::uint64_t call) {
    const std::string where = fmt::format("{} at call {}", to_string(fault), call);
    if (call == 1) {
      begin(200);  // so that tiles become full on the way
      is_signed = 200;
    }
    add(2);
    files_->arm(call, fault);
    const auto published = ledger_->publish();
    const bool struck = files_->struck();
    files_->disarm();
    if (published.ok()) {
      is_signed = published->size;
    } else {
      is_clear(published.error(), where);
    }
    files_->lose_power();
    const auto opened = open();
    EXPECT_TRUE(opened.ok()) << where << ": " << opened.error().str();
    if (!opened.ok()) return false;
    EXPECT_GE(ledger_->last_checkpoint()->size, is_signed) << where;
    const auto again = ledger_->publish();
    EXPECT_TRUE(again.ok()) << where << ": " << again.error().str();
    if (!again.ok()) return false;
    EXPECT_EQ(again->size, static_cast<std::uint64_t>(entries_)) << where << ": no damage is told";
    is_signed = again->size;
    is_whole(where);
    return struck && !HasFailure();
  });
  EXPECT_TRUE(ended);
  EXPECT_GT(entries_, 256) << "full tiles were written too";
}

TEST_F(LedgerFaults, OpeningOnADiskThatFailsIsAnErrorAndChangesNothing) {
  begin(300);
  const bool ended = fixture::with_each_fault([&](const Fault& fault, std::uint64_t call) {
    const std::string where = fmt::format("{} at call {}", to_string(fault), call);
    files_->arm(call, fault);
    const auto opened = open();
    const bool struck = files_->struck();
    files_->disarm();
    if (!opened.ok()) is_clear(opened.error(), where);
    const auto again = open();
    EXPECT_TRUE(again.ok()) << where << ": " << again.error().str();
    is_whole(where);
    return struck && !HasFailure();
  });
  EXPECT_TRUE(ended);
}

TEST_F(LedgerFaults, VerifyingOnADiskThatFailsAccusesNobody) {
  begin(300);
  const bool ended = fixture::with_each_fault([&](const Fault& fault, std::uint64_t call) {
    const std::string where = fmt::format("{} at call {}", to_string(fault), call);
    files_->arm(call, fault);
    const auto found = audit();
    const bool struck = files_->struck();
    files_->disarm();
    if (found.ok()) {
      EXPECT_TRUE(found->ok()) << where << ": " << found->str();
    } else {
      is_clear(found.error(), where);
    }
    return struck && !HasFailure();
  });
  EXPECT_TRUE(ended);
}

TEST_F(LedgerFaults, WritingAgainWhatWasDeletedIsFinishedOnceTheDiskIsWell) {
  const bool ended = fixture::with_each_fault([&](const Fault& fault, std::uint64_t call) {
    const std::string where = fmt::format("{} at call {}", to_string(fault), call);
    begin(3);
    std::filesystem::remove_all(tiles() + "/tile");
    Entry entry;
    entry.op_id = fmt::format("rebuild-{}-{}", to_string(fault), call);
    entry.actor = "person:ada";
    files_->arm(call, fault);
    const auto rebuilt = ledger_->rebuild(entry);
    const bool struck = files_->struck();
    files_->disarm();
    if (!rebuilt.ok()) is_clear(rebuilt.error(), where);
    files_->lose_power();
    const auto opened = open();
    EXPECT_TRUE(opened.ok()) << where << ": " << opened.error().str();
    if (!opened.ok()) return false;
    entry.op_id += "-again";
    const auto again = ledger_->rebuild(entry);
    EXPECT_TRUE(again.ok()) << where << ": " << again.error().str();
    entries_ = static_cast<int>(ledger_->size().value());
    is_whole(where);
    return struck && !HasFailure();
  });
  EXPECT_TRUE(ended);
}

TEST_F(LedgerFaults, FilesThatAreTooNewAreSetAsideUnderANameThatIsKnown) {
  begin(3);
  const MemoryState before = *state_;
  add(5);
  ASSERT_TRUE(ledger_->publish().ok());
  ledger_.reset();
  const std::string newer = root_ + "/newer";
  std::filesystem::copy(tiles(), newer, std::filesystem::copy_options::recursive);
  restores_ = true;
  const bool ended = fixture::with_each_fault([&](const Fault& fault, std::uint64_t call) {
    const std::string where = fmt::format("{} at call {}", to_string(fault), call);
    ledger_.reset();
    std::filesystem::remove_all(root_ + "/disk");
    std::filesystem::create_directory(root_ + "/disk");
    std::filesystem::copy(newer, tiles(), std::filesystem::copy_options::recursive);
    *state_ = before;
    files_.emplace(root_ + "/disk");
    files_->arm(call, fault);
    const auto opened = open();
    const bool struck = files_->struck();
    files_->disarm();
    if (!opened.ok()) is_clear(opened.error(), where);
    const auto again = open();
    EXPECT_TRUE(again.ok()) << where << ": " << again.error().str();
    std::string aside;
    EXPECT_TRUE(state_
                    ->read([&](store::Txn& txn) -> Result<void> {
                      aside = txn.get("ledger", "set_aside").value().value_or("");
                      return {};
                    })
                    .ok());
    EXPECT_TRUE(!aside.empty() && path_exists(root_ + "/disk/" + aside + "/checkpoint"))
        << where << ": `" << aside << "`";
    return struck && !HasFailure();
  });
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace heddle::ledger
