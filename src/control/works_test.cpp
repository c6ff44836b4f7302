// Work that a decision needs: kept, started again after a crash, used from its time on and not
// before, forgotten with the snapshot that has what it found.
#include "control/works.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "bundle/bundle.hpp"
#include "control/work_files.hpp"
#include "control/worker_fixture.hpp"
#include "doc/json.hpp"
#include "score/bundle_fixture.hpp"
#include "store/memory_fixture.hpp"

namespace heddle::control {
namespace {

/// Processes that end when the test says so, with what it says.
class Runner final : public jobs::Runner {
 public:
  Result<std::int64_t> start(const jobs::Job& job, store::Objects& objects) override {
    jobs.push_back(job);
    objects_ = &objects;
    request = *objects.get(job.inputs.at("request.json"));
    return static_cast<std::int64_t>(jobs.size()) - 1;
  }
  Result<jobs::Outcome> wait(std::int64_t) override {
    outcome.outputs.clear();
    for (const auto& [path, bytes] : left) outcome.outputs[path] = *objects_->put(bytes);
    return outcome;
  }
  Result<bool> finished(std::int64_t) override { return ended; }
  Result<std::string> peek(std::int64_t, std::string_view) override { return std::string(); }
  void stop(std::int64_t) override { ++stopped; }
  std::vector<jobs::Job> jobs{};
  std::string request{};
  std::map<std::string, std::string> left{{"log", "said"}};  ///< by the job that ends next
  jobs::Outcome outcome{};
  bool ended = false;
  int stopped = 0;

 private:
  store::Objects* objects_ = nullptr;
};

class WorksTest : public testing::Test {
 protected:
  static constexpr Micros kDue = 1'000;
  void SetUp() override { open(); }
  /// As a process that starts finds it.
  void open() {
    reopen();
    ASSERT_TRUE(state_.read([&](store::Txn& txn) { return works_->restore(txn); }).ok());
  }
  void reopen() {
    works_.emplace(WorkParts{&home_, &objects_, nullptr, &runner_, fixture::kProgram,
                             fixture::open_exchange, "s"});
  }
  static std::string request_of(const std::string& command) {
    if (command == "retrain")
      return doc::to_json(retrain_request_schema().print({"s", "c0ffee", sha256("base")}));
    return doc::to_json(ComparisonRequest::schema().print({"s", sha256("base"), sha256("new")}));
  }
  void keep(const std::string& name = "page", const std::string& command = "compare") {
    const Works::Work work{command, name, kDue, request_of(command)};
    ASSERT_TRUE(state_.write([&](store::Txn& txn) { return works_->keep(txn, work); }).ok());
    ASSERT_TRUE(works_->begin(work).ok());
  }
  void leave(std::string_view result, const std::string& name = "page") {
    ASSERT_TRUE(write_file_atomic(home_.runs() + "/" + name + "/result.json", result).ok());
  }
  std::string failure(const std::string& name = "page") {
    const auto result = works_->result(name, kDue);
    return result ? result->string_or("failed") : "none";
  }

  heddle::fixture::Folder folder_;
  const Home home_{folder_.path()};
  Runner runner_;
  store::fixture::MemoryState state_;
  store::fixture::MemoryObjects objects_;
  std::optional<Works> works_;
};

TEST_F(WorksTest, ItIsAProcessWithItsRequestAndCountsFromItsTimeOn) {
  keep();
  ASSERT_EQ(runner_.jobs.size(), 1U);
  const std::string folder = home_.runs() + "/page";
  EXPECT_EQ(runner_.jobs[0].program, fixture::kProgram);
  EXPECT_EQ(runner_.jobs[0].arguments, (std::vector<std::string>{"worker", "compare", "."}));
  EXPECT_GT(runner_.jobs[0].timeout_ms, 0) << "what hangs must not hold ticks for ever";
  EXPECT_EQ(runner_.request, request_of("compare"));
  // Ticks before its time go on, one at it waits.
  EXPECT_TRUE(works_->ended_by(kDue - 1).value());
  EXPECT_FALSE(works_->ended_by(kDue).value());
  runner_.left["result.json"] = R"({"b": 2})";
  runner_.ended = true;
  EXPECT_TRUE(works_->ended_by(kDue).value());
  EXPECT_EQ(*read_file(folder + "/log"), "said");
  EXPECT_FALSE(path_exists(folder + "/exchange")) << "what it was given goes with it";
  EXPECT_FALSE(works_->result("page", kDue - 1).has_value()) << "however fast it was";
  EXPECT_EQ(works_->result("page", kDue)->int_or("b"), 2);
  EXPECT_FALSE(works_->result("another", kDue).has_value());
}

TEST_F(WorksTest, ACrashStartsItAgainAndAnEndedOneIsNotDoneTwice) {
  keep();
  open();
  EXPECT_EQ(runner_.jobs.size(), 1U) << "the next tick starts it";
  EXPECT_FALSE(works_->ended_by(kDue).value());
  EXPECT_EQ(runner_.jobs.size(), 2U);
  leave("{}");
  open();
  EXPECT_TRUE(works_->ended_by(kDue).value());
  EXPECT_EQ(runner_.jobs.size(), 2U);
  EXPECT_TRUE(works_->result("page", kDue).has_value());
}

TEST_F(WorksTest, WhatEndedWithoutAResultOrLeftADamagedOneSaysSo) {
  keep();
  runner_.ended = true;
  runner_.outcome.exit_code = 9;
  runner_.outcome.timed_out = true;
  EXPECT_TRUE(works_->ended_by(kDue).value());
  EXPECT_NE(failure().find("exit code 9 after its time was over"), std::string::npos) << failure();
  for (const char* damaged : {"", "[]", "{"}) {
    leave(damaged);
    EXPECT_NE(failure().find("is damaged"), std::string::npos) << damaged;
  }
}

/// A job of the control plane is given the journal and the bundles that it needs, and nothing else.
TEST_F(WorksTest, ItIsGivenWhatItsRequestNames) {
  const Digest base = *score::fixture::pack(objects_, 1),
               candidate = *score::fixture::pack(objects_, 2);
  (void)*score::fixture::pack(objects_, 3);
  const std::string spool = home_.spool("s");
  ASSERT_TRUE(make_dirs(spool).ok());
  for (const char* name : {"00000001", "00000002", "00000003", "00000004"})
    ASSERT_TRUE(write_file_atomic(spool + "/" + name + ".seg", name).ok());
  ASSERT_TRUE(write_file_atomic(spool + "/consumed", "1").ok());
  const Works::Work work{
      "compare", "c", kDue,
      doc::to_json(ComparisonRequest::schema().print({"s", base, candidate, 0, 3, 8}))};
  ASSERT_TRUE(works_->begin(work).ok());
  ASSERT_EQ(runner_.jobs.size(), 1U);
  std::set<std::string> blobs, others;
  for (const auto& [path, digest] : runner_.jobs[0].inputs) {
    if (path.starts_with("objects/blobs/sha256/")) {
      EXPECT_EQ(path.substr(21), digest.hex());
      blobs.insert(path.substr(21));
    } else {
      others.insert(path);
    }
  }
  EXPECT_EQ(others, (std::set<std::string>{"journal/00000001.seg", "journal/00000002.seg",
                                           "journal/00000003.seg", "request.json"}));
  EXPECT_EQ(runner_.jobs[0].inputs.at("journal/00000003.seg"), sha256("00000003"));
  std::set<std::string> wanted;
  for (const Digest& bundle : {base, candidate}) {
    const auto parts = *bundle::parts(objects_, bundle);
    for (const Digest& part : parts) wanted.insert(part.hex());
  }
  EXPECT_EQ(blobs, wanted);
}

TEST_F(WorksTest, WhatWasTakenIsForgottenWithTheNextSnapshot) {
  keep();
  keep("retrained", "retrain");
  leave("{}");
  leave("{}", "retrained");
  works_->taken("page");
  works_->taken("retrained");
  open();
  ASSERT_NE(works_->find("page"), nullptr) << "a crash before the snapshot decides again";
  works_->taken("page");
  works_->taken("retrained");
  ASSERT_TRUE(state_.write([&](store::Txn& txn) { return works_->drop_taken(txn); }).ok());
  works_->forget_taken();
  EXPECT_EQ(works_->find("page"), nullptr);
  EXPECT_FALSE(path_exists(home_.runs() + "/page"));
  EXPECT_TRUE(path_exists(home_.runs() + "/retrained")) << "its log is for people";
  open();
  EXPECT_EQ(works_->find("page"), nullptr);
  // Kept anew under its name, it is not the one of before.
  keep("retrained", "retrain");
  EXPECT_FALSE(works_->ended_by(kDue).value());
}

TEST_F(WorksTest, RetrainsOfTheVersionBeforeAreDoneAndDamageIsSaid) {
  const auto put = [&](const char* collection, const char* row) {
    ASSERT_TRUE(
        state_.write([&](store::Txn& txn) { return txn.put(collection, "s/old", row); }).ok());
  };
  put("retrains", R"({"dir": "/elsewhere", "name": "old", "due": 5, "request": "{}"})");
  open();
  ASSERT_NE(works_->find("old"), nullptr);
  EXPECT_EQ(works_->find("old")->command, "retrain");
  EXPECT_EQ(works_->find("old")->due, 5);
  works_->taken("old");
  ASSERT_TRUE(state_.write([&](store::Txn& txn) { return works_->drop_taken(txn); }).ok());
  open();
  EXPECT_EQ(works_->find("old"), nullptr);
  for (const char* damaged :
       {"", "{}", R"({"command": "compare", "name": "a", "due": "now", "request": "{}"})",
        R"({"command": "compare", "due": 5, "request": "{}"})",
        R"({"command": "compare", "name": "", "due": 5, "request": "{}"})",
        R"({"command": "compare", "name": "../a", "due": 5, "request": "{}"})",
        R"({"command": "compare", "name": "..", "due": 5, "request": "{}"})",
        R"({"command": "compare", "name": "a", "due": 5, "request": 7})",
        R"({"name": "a", "due": 5, "request": "{}"})"}) {
    put("works", damaged);
    reopen();
    const auto restored = state_.read([&](store::Txn& txn) { return works_->restore(txn); });
    ASSERT_FALSE(restored.ok()) << damaged;
    EXPECT_EQ(restored.error().id, "control-state");
    EXPECT_NE(restored.error().message.find("row `s/old` of `works`"), std::string::npos)
        << restored.error().message;
  }
  ASSERT_TRUE(state_.write([&](store::Txn& txn) { return txn.erase("works", "s/old"); }).ok());
  put("retrains", R"({"dir": "/elsewhere", "name": "../old", "due": 5, "request": "{}"})");
  reopen();
  EXPECT_FALSE(state_.read([&](store::Txn& txn) { return works_->restore(txn); }).ok());
}

TEST_F(WorksTest, TimeThatIsSetBackIsWaitedForAndStopEndsWhatRuns) {
  keep();
  works_->due_by(10);
  EXPECT_FALSE(works_->ended_by(10).value());
  works_->stop();
  EXPECT_EQ(runner_.stopped, 1);
}

}  // namespace
}  // namespace heddle::control
