#include "control/working.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "doc/schema_conformance.hpp"

namespace heddle::control {
namespace {

/// Commands of a program that says what it was given, and goes on until it is told what to leave.
class WorkingTest : public testing::Test {
 protected:
  WorkingTest() {
    EXPECT_TRUE(write_file_atomic(program_,
                                  "#!/bin/sh\necho x >> started\nfor a in \"$@\"; do echo \"$a\"; "
                                  "done > given.new && mv given.new given\n"
                                  "while [ ! -e end ]; do sleep 0.01; done\n"
                                  "[ ! -s document ] || cp document \"$5\"\nexit \"$(cat end)\"\n",
                                  0700)
                    .ok());
  }
  Result<WorkReply> ask(const std::vector<std::string>& words, bool waits = false) {
    return working_.ask("run", words, waits);
  }
  void await_given() const {
    while (!path_exists(folder_.path() + "/given")) std::this_thread::yield();
  }
  void end(int code, const std::string& document) {
    ASSERT_TRUE(write_file_atomic(folder_.path() + "/document", document).ok());
    ASSERT_TRUE(write_file_atomic(folder_.path() + "/end", fmt::format("{}", code)).ok());
  }
  std::string text(const std::string& name) { return *read_file(folder_.path() + "/" + name); }

  heddle::fixture::Folder folder_;
  std::string program_ = folder_.path() + "/heddle";
  Home home_{folder_.path()};
  Working working_{home_, program_};
};

TEST_F(WorkingTest, WhoAsksIsToldToAskAgainUntilItHasEnded) {
  auto reply = ask({"--model=m"});
  ASSERT_TRUE(reply.ok()) << reply.error().str();
  EXPECT_FALSE(reply->done);
  await_given();
  EXPECT_EQ(text("given"),
            fmt::format("--project\n{}\n--json\n--document\n{}/work/run/result.json\n"
                        "run\n--model=m\n",
                        home_.root(), home_.dir()));
  ASSERT_TRUE(
      write_file_atomic(home_.dir() + "/work/run/log", "  source  done\n  trial 3 of 20\n").ok());
  EXPECT_EQ(ask({"--model=m"})->progress, "  trial 3 of 20");
  EXPECT_EQ(ask({"--model=n"}).error().id, "work-in-progress");
  end(0, R"({"candidate": {"bundle": "sha256:ab"}})");
  reply = ask({"--model=m"}, true);
  ASSERT_TRUE(reply.ok()) << reply.error().str();
  EXPECT_TRUE(reply->done);
  EXPECT_EQ(reply->exit_code, 0);
  EXPECT_EQ(reply->result.find("candidate")->string_or("bundle"), "sha256:ab");
  EXPECT_EQ(text("started"), "x\n");
  // What it was is told once: to ask is to run again.
  EXPECT_TRUE(ask({"--model=m"}, true)->done);
  EXPECT_EQ(text("started"), "x\nx\n");
}

TEST_F(WorkingTest, TheCommandsOwnErrorIsTheAnswer) {
  end(5, R"({"error": {"kind": "unprocessable", "id": "gates-failed", "message": "no",)"
         R"( "where": "", "hint": "improve it"}})");
  const auto failed = ask({}, true);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().kind, ErrorKind::kUnprocessable);
  EXPECT_EQ(failed.error().id, "gates-failed");
  EXPECT_EQ(failed.error().hint, "improve it");
}

TEST_F(WorkingTest, ACommandThatLeftNothingSaysWhereItsLogIs) {
  end(137, "");
  const auto failed = ask({}, true);
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
