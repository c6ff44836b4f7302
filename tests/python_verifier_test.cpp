// Two verifiers that share no code agree, on a good ledger and on each way of changing it.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "adapters/git/repository.hpp"
#include "adapters/sqlite/state.hpp"
#include "base/file.hpp"
#include "ledger/anchor.hpp"
#include "ledger/ledger.hpp"
#include "ledger/tiles.hpp"
#include "ledger/verify.hpp"
#include "policy/ssh_key_fixture.hpp"

namespace heddle::ledger {
namespace {

namespace fs = std::filesystem;

class PythonVerifier : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(path_exists(kScript)) << "run in the source folder";
    std::string name = testing::TempDir() + "/verify.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    ASSERT_EQ(std::system(("git init -q " + root_).c_str()), 0);
    git_ = adapters::open_git(root_).value();
    ASSERT_TRUE(make_dirs(root_ + "/.heddle").ok());
    state_ = adapters::open_sqlite_state(root_ + "/.heddle/state.db").value();
    Ledger::Options options{tiles(), "flights",
                            Ed25519Key::from_seed(std::string(32, '\5')).value(), nullptr};
    ledger_ = Ledger::open(*state_, options).value();
    add(300);
    early_ = read_file(tiles() + "/checkpoint").value();
    add(1);
    ASSERT_TRUE(ledger_->anchor(*git_).ok());
    add(298);  // with the one that says that it is anchored
  }
  void TearDown() override { fs::remove_all(root_); }
  void add(int n) {
    ASSERT_TRUE(state_
                    ->write([&](store::Txn& txn) -> Result<void> {
                      for (int i = 0; i < n; ++i) {
                        Entry entry;
                        entry.actor = "system:test";
                        entry.action = "run.start";
                        entry.reason = "\xc3\xbc \"quoted\"";
                        HEDDLE_TRY(ledger_->append(txn, entry));
                      }
                      return {};
                    })
                    .ok());
    ASSERT_TRUE(ledger_->publish().ok());
  }
  [[nodiscard]] std::string tiles() const { return root_ + "/.heddle/tiles"; }
  [[nodiscard]] int python(const std::string& arguments) const {
    return WEXITSTATUS(
        std::system(fmt::format("python3 {} {} > {}/out 2>&1", kScript, arguments, root_).c_str()));
  }
  [[nodiscard]] std::string said() const { return read_file(root_ + "/out").value(); }
  void expect_both(bool good) {
    VerifyOptions options{tiles(), ledger_->verifier_key(), nullptr, git_.get()};
    const auto audit = verify(options).value();
    EXPECT_EQ(audit.ok(), good) << audit.str();
    EXPECT_EQ(python(fmt::format("{} --vkey '{}'", root_, ledger_->verifier_key().str())),
              good ? 0 : 1)
        << said();
    EXPECT_EQ(said().starts_with("ok: "), good) << said();
  }
  struct Judged {
    Audit ours;
    bool python = false;  ///< what the other verifier says
  };
  /// A ledger of these entries alone.
  Judged judge(const std::vector<Entry>& entries) {
    const auto dir = fmt::format("{}/small-{}", root_, ++judged_);
    EXPECT_TRUE(make_dirs(dir).ok());
    const auto state = adapters::open_sqlite_state(dir + "/state.db").value();
    const auto ledger =
        Ledger::open(*state, {dir + "/tiles", "flights",
                              Ed25519Key::from_seed(std::string(32, '\5')).value(), nullptr})
            .value();
    EXPECT_TRUE(state
                    ->write([&](store::Txn& txn) -> Result<void> {
                      for (auto entry : entries) HEDDLE_TRY(ledger->append(txn, std::move(entry)));
                      return {};
                    })
                    .ok());
    EXPECT_TRUE(ledger->publish().ok());
    const auto key = ledger->verifier_key();
    return {verify({dir + "/tiles", key, nullptr, nullptr}).value(),
            python(fmt::format("--tiles {}/tiles --vkey '{}'", dir, key.str())) == 0};
  }
  void edit(const std::function<void(std::vector<std::string>&)>& change) {
    const auto bytes = read_file(tiles() + "/tile/entries/001").value();
    const auto views = parse_entries(bytes).value();
    std::vector<std::string> entries(views.begin(), views.end());
    change(entries);
    std::string changed;
    for (const auto& entry : entries) append_entry(changed, entry);
    ASSERT_TRUE(write_file_atomic(tiles() + "/tile/entries/001", changed).ok());
  }

  static constexpr const char* kScript = "python/heddle/verify.py";
  std::string root_;
  int judged_ = 0;
  std::string early_;
  std::unique_ptr<store::Git> git_;
  std::unique_ptr<store::State> state_;
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(PythonVerifier, AgreesOnAGoodLedger) {
  expect_both(true);
  EXPECT_TRUE(said().starts_with("ok: 600 entries")) << said();
  EXPECT_EQ(python(root_), 0) << said();  // the key from git
  EXPECT_NE(said().find("not pinned"), std::string::npos);
  EXPECT_EQ(python(fmt::format("--tiles {} --vkey {}/vkey", tiles(), tiles())), 0) << said();
}

TEST_F(PythonVerifier, AgreesOnAnActWithoutTheApprovalItNeeded) {
  Entry asked;
  asked.op_id = "promote-1";
  asked.actor_type = "person";
  asked.actor = "ben";
  asked.attributes = doc::Value::object({{"claimed", "cyd"}});
  asked.evidence = {{"statement", sha256("statement")}};
  asked.action = "release.promote";
  asked.target = "service/delay";
  asked.subjects = {{"bundle", sha256("new")}};
  asked.policy = sha256("rules");
  asked.decision = "require_approval";
  asked.approval = "approval-0001";
  asked.result = "requested";
  Entry yes;
  yes.op_id = "approval-0001/approval.approve/ada";
  yes.actor_type = "person";
  yes.actor = "ada";
  yes.action = "approval.approve";
  yes.target = "approval/approval-0001";
  yes.approval = "approval-0001";
  yes.evidence = asked.evidence;
  yes.result = "approved";
  const auto yes_of = [&](const char* who, const char* type = "person") {
    Entry entry = yes;
    entry.actor = who;
    entry.actor_type = type;
    return entry;
  };
  Entry to_else = yes;
  to_else.evidence = {{"statement", sha256("another")}};
  Entry applied = asked;
  applied.result = "applied";
  Entry other = applied;
  other.subjects = {{"bundle", sha256("another")}};
  Entry alone = applied;
  alone.approval.clear();
  Entry closed = yes;
  closed.action = "approval.void";
  closed.result = "void";
  const std::vector<std::pair<bool, std::vector<Entry>>> ledgers{
      {true, {asked, yes, applied}},
      {true, {asked, closed}},
      {false, {asked, applied}},
      {false, {asked, yes, other}},
      {false, {alone}},
      {false, {applied}},
      {false, {asked, applied, yes}},
      {false, {asked, yes, closed, applied}},
      {false, {asked, yes, applied, applied}},
      {false, {asked, yes_of("ben"), yes}},
      {false, {asked, yes_of("cyd"), yes}},
      {false, {asked, yes_of("agent:recover", "agent")}},
      {false, {asked, to_else}},
      {false, {asked, closed, yes}},
      {false, {yes}}};
  for (const auto& [good, entries] : ledgers) {
    SCOPED_TRACE(fmt::format("ledger {}", &entries - &ledgers.front().second));
    const auto judged = judge(entries);
    EXPECT_EQ(judged.ours.ok(), good) << judged.ours.str();
    if (!good) {
      EXPECT_EQ(judged.ours.findings.front().id, "ledger-approval-missing");
    }
    EXPECT_EQ(judged.python, good) << said();
  }
}

TEST_F(PythonVerifier, ChecksTheSignatureOfAYes) {
  const policy::SshKey ada("ada");
  const policy::SshKey rsa("ada", "-t rsa -b 2048");
  const std::string statement = R"({"approval":"approval-0001"})";
  const auto signed_by = [&](const std::string& text, const std::string& armored) {
    Entry asked;
    asked.actor_type = "agent";
    asked.actor = "agent:recover";
    asked.action = "release.promote";
    asked.approval = "approval-0001";
    asked.evidence = {{"statement", sha256(statement)}};
    asked.result = "requested";
    Entry yes = asked;
    yes.actor_type = "person";
    yes.actor = "ada";
    yes.action = "approval.approve";
    yes.attributes = doc::Value::object({{"statement", text}, {"signature", armored}});
    yes.result = "approved";
    return judge({asked, yes}).python;
  };
  EXPECT_TRUE(signed_by(statement, ada.sign(statement))) << said();
  EXPECT_TRUE(signed_by(statement, rsa.sign(statement))) << "of another kind of key: not checked";
  EXPECT_FALSE(signed_by(statement, ada.sign(statement + " ")));
  EXPECT_FALSE(signed_by(statement, ada.sign(statement, "heddle-request"))) << "for another use";
  EXPECT_FALSE(signed_by(statement + " ", ada.sign(statement + " "))) << "not what was asked";
  EXPECT_FALSE(signed_by(statement, ""));
  EXPECT_FALSE(signed_by(statement,
                         "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"));
}

TEST_F(PythonVerifier, AgreesOnAHistoryThatIsGone) {
  fs::remove(tiles() + "/history");
  expect_both(false);
}

TEST_F(PythonVerifier, AgreesThatWhatWasFoundMissingCountsUntilItIsRebuilt) {
  fs::remove(tiles() + "/checkpoint");
  ASSERT_TRUE(ledger_->publish().ok());
  expect_both(false);
  Entry entry;
  entry.actor = "system:test";
  ASSERT_TRUE(ledger_->rebuild(entry).ok());
  EXPECT_TRUE(verify({tiles(), ledger_->verifier_key(), nullptr, git_.get()}).value().ok());
  EXPECT_EQ(python(fmt::format("{} --vkey '{}'", root_, ledger_->verifier_key().str())), 0)
      << said();
}

TEST_F(PythonVerifier, AgreesOnAFlippedByte) {
  edit([](auto& entries) { entries[44][100] ^= 1; });
  expect_both(false);
}

TEST_F(PythonVerifier, AgreesOnARemovedEntry) {
  edit([](auto& entries) { entries.erase(entries.begin() + 44); });
  expect_both(false);
}

TEST_F(PythonVerifier, AgreesOnASwappedPair) {
  edit([](auto& entries) { std::swap(entries[44], entries[45]); });
  expect_both(false);
}

TEST_F(PythonVerifier, AgreesOnARolledBackCheckpoint) {
  ASSERT_TRUE(write_file_atomic(tiles() + "/checkpoint", early_).ok());
  expect_both(false);
  // The history cut too: now only the anchor in git knows.
  ASSERT_TRUE(write_file_atomic(tiles() + "/history", early_ + "\n").ok());
  expect_both(false);
}

TEST_F(PythonVerifier, AgreesOnAnyFlippedByteOfAnyFile) {
  int tried = 0;
  for (const auto& file : fs::recursive_directory_iterator(tiles())) {
    if (!file.is_regular_file() || file.path().filename() == "vkey") continue;
    const auto bytes = read_file(file.path()).value();
    for (const std::size_t i : {std::size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
      auto flipped = bytes;
      flipped[i] = static_cast<char>(flipped[i] ^ 1);
      ASSERT_TRUE(write_file_atomic(file.path(), flipped).ok());
      SCOPED_TRACE(fmt::format("{} byte {}", file.path().string(), i));
      expect_both(false);
      ++tried;
    }
    ASSERT_TRUE(write_file_atomic(file.path(), bytes).ok());
  }
  EXPECT_GE(tried, 24);
  expect_both(true);
}

TEST_F(PythonVerifier, AgreesOnBitsThatMeanNothing) {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  auto note = read_file(tiles() + "/checkpoint").value();
  const auto at = note.find_last_of('=') - 1;  // of 68 bytes: two bits of it stand for nothing
  note[at] = alphabet[alphabet.find(note[at]) ^ 1];
  ASSERT_TRUE(write_file_atomic(tiles() + "/checkpoint", note).ok());
  expect_both(false);
}

TEST_F(PythonVerifier, AgreesOnWhatGitHolds) {
  const auto ref = anchor_ref(ledger_->verifier_key());
  const auto git = [&](const std::string& words) {
    ASSERT_EQ(std::system(fmt::format("git -C {} {}", root_, words).c_str()), 0) << words;
    git_ = adapters::open_git(root_).value();
  };
  const auto first = git_->resolve(ref).value();
  const auto heddle = root_ + "/.heddle";
  ledger_.reset();
  state_.reset();
  fs::copy(heddle, root_ + "/kept", fs::copy_options::recursive);
  const auto open = [&](bool restores) {
    ledger_.reset();
    state_ = adapters::open_sqlite_state(heddle + "/state.db").value();
    Ledger::Options options{tiles(), "flights",
                            Ed25519Key::from_seed(std::string(32, '\5')).value(), nullptr};
    options.restores = restores;
    ledger_ = Ledger::open(*state_, options).value();
  };
  open(false);
  add(40);
  ASSERT_TRUE(ledger_->anchor(*git_).ok());
  const auto second = git_->resolve(ref).value();
  ASSERT_TRUE(ledger_->publish().ok());
  expect_both(true);
  git(fmt::format("update-ref {} {}", ref, first));
  expect_both(true);  // what git holds is contained, the earlier one as well
  git("update-ref -d " + ref);
  expect_both(false);
  git(fmt::format("update-ref --create-reflog {} {}", ref, second));
  expect_both(true);
  const auto file = root_ + "/.git/" + ref;
  ASSERT_TRUE(write_file_atomic(file, "nothing\n").ok());
  git_ = adapters::open_git(root_).value();
  expect_both(false);
  ASSERT_TRUE(write_file_atomic(file, second + "\n").ok());
  git("update-ref " + ref + " " + first);  // its log has the second one again
  git_ = adapters::open_git(root_).value();
  // All of `.heddle` put back, and the ref with it.
  ledger_.reset();
  state_.reset();
  fs::remove_all(heddle);
  fs::copy(root_ + "/kept", heddle, fs::copy_options::recursive);
  open(false);
  expect_both(false);
  EXPECT_NE(said().find("rolled back"), std::string::npos) << said();
  state_.reset();
  open(true);
  ASSERT_TRUE(ledger_->restore(*git_, {}).ok());
  ASSERT_TRUE(ledger_->publish().ok());
  expect_both(true);
}

TEST_F(PythonVerifier, BelievesNoOtherKey) {
  const VerifierKey other{"heddle/flights",
                          Ed25519Key::from_seed(std::string(32, '\6')).value().public_key};
  EXPECT_EQ(python(fmt::format("{} --vkey '{}'", root_, other.str())), 1) << said();
  EXPECT_EQ(python(fmt::format("{} --vkey nonsense", root_)), 2) << said();
}

}  // namespace
}  // namespace heddle::ledger
