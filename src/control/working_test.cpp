#include "control/working.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.hpp"
#include "doc/schema_conformance.hpp"

namespace heddle::control {
namespace {

/// A job that goes on until it is told what it left.
class HeldRunner final : public jobs::Runner {
 public:
  Result<std::int64_t> start(const jobs::Job& job) override {
    argv = job.argv;
    log = job.output_path;
    ++started;
    return std::int64_t{7};
  }
  Result<jobs::Outcome> wait(std::int64_t) override {
    jobs::Outcome outcome;
    outcome.exit_code = exit_code;
    return outcome;
  }
  Result<bool> finished(std::int64_t) override { return ended; }
  void stop(std::int64_t) override {}
  void end(int code, const std::string& document) {
    ended = true;
    exit_code = code;
    if (!document.empty()) (void)write_file_atomic(argv[5], document);
  }

  std::vector<std::string> argv;
  std::string log;
  int started = 0;
  int exit_code = 0;
  bool ended = false;
};

class WorkingTest : public testing::Test {
 protected:
  WorkingTest() { std::filesystem::remove_all(home_.dir()); }
  Result<WorkReply> ask(const std::vector<std::string>& words, bool waits = false) {
    return working_.ask(runner_, "run", words, waits);
  }

  Home home_{testing::TempDir() + "/working"};
  HeldRunner runner_;
  Working working_{home_, "/bin/heddle"};
};

TEST_F(WorkingTest, WhoAsksIsToldToAskAgainUntilItHasEnded) {
  auto reply = ask({"--model=m"});
  ASSERT_TRUE(reply.ok()) << reply.error().str();
  EXPECT_FALSE(reply->done);
  EXPECT_EQ(runner_.argv, (std::vector<std::string>{
                              "/bin/heddle", "--project", home_.root(), "--json", "--document",
                              home_.dir() + "/work/run/result.json", "run", "--model=m"}));
  ASSERT_TRUE(write_file_atomic(runner_.log, "  source  done\n  train  trial 3 of 20\n").ok());
  EXPECT_EQ(ask({"--model=m"})->progress, "  train  trial 3 of 20");
  EXPECT_EQ(ask({"--model=n"}).error().id, "work-in-progress");
  runner_.end(0, R"({"candidate": {"bundle": "sha256:ab"}})");
  reply = ask({"--model=m"});
  ASSERT_TRUE(reply.ok()) << reply.error().str();
  EXPECT_TRUE(reply->done);
  EXPECT_EQ(reply->exit_code, 0);
  EXPECT_EQ(reply->result.find("candidate")->string_or("bundle"), "sha256:ab");
  EXPECT_EQ(runner_.started, 1);
  // What it was is told once: to ask again is to run again.
  runner_.ended = false;
  EXPECT_TRUE(ask({"--model=m"}).ok());
  EXPECT_EQ(runner_.started, 2);
}

TEST_F(WorkingTest, TheCommandsOwnErrorIsTheAnswer) {
  ASSERT_TRUE(ask({}).ok());
  runner_.end(5, R"({"error": {"kind": "unprocessable", "id": "gates-failed", "message": "no",)"
                 R"( "where": "", "hint": "improve it"}})");
  const auto failed = ask({});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().kind, ErrorKind::kUnprocessable);
  EXPECT_EQ(failed.error().id, "gates-failed");
  EXPECT_EQ(failed.error().hint, "improve it");
}

TEST_F(WorkingTest, ACommandThatLeftNothingSaysWhereItsLogIs) {
  ASSERT_TRUE(ask({}).ok());
  runner_.end(137, "");
  const auto failed = ask({});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().id, "work-without-result");
  EXPECT_NE(failed.error().message.find("exit code 137"), std::string::npos);
  EXPECT_NE(failed.error().hint.find("/work/run/log"), std::string::npos);
}

TEST(WorkReply, SchemaConformance) {
  WorkReply reply;
  reply.done = true;
  reply.progress = "p";
  reply.exit_code = 20;
  reply.result = doc::Value::object({{"rows", 1}});
  doc::RecordConformance<WorkReply>(WorkReply::schema(), reply).run("");
  CheckReply check{"p", false, {{doc::Severity::kError, "unknown-key", "m", "f.yaml", {2, 3}}}};
  doc::RecordConformance<CheckReply>(CheckReply::schema(), check).run("");
}

}  // namespace
}  // namespace heddle::control
