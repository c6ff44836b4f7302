#include "cli/data_plane_lock.hpp"

#include <gtest/gtest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include <fmt/format.h>

namespace heddle::cli {
namespace {

using std::chrono::milliseconds;

class DataPlaneLockTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/lock.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name + "/data-plane.lock";
  }
  void TearDown() override { end(); }

  /// A process that holds the lock until it is killed.
  void hold() {
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    holder_ = ::fork();
    if (holder_ == 0) {
      const auto held = take({});
      (void)!::write(ready[1], held.ok() ? "y" : "n", 1);
      for (;;) ::pause();
    }
    char answer = 0;
    ASSERT_EQ(::read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
  }
  void end() {
    if (holder_ <= 0) return;
    ::kill(holder_, SIGKILL);
    ::waitpid(holder_, nullptr, 0);
    holder_ = -1;
  }
  Result<DataPlaneLock> take(milliseconds patience, bool answers = false) const {
    return DataPlaneLock::take({.path = path_,
                                .answers = [answers] { return answers; },
                                .patience = patience,
                                .grace = milliseconds(0)});
  }

  std::string path_;
  pid_t holder_ = -1;
};

TEST_F(DataPlaneLockTest, OneThatDoesNotEndIsNamed) {
  hold();
  const auto taken = take({});
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().id, "data-plane-ends");
  EXPECT_NE(taken.error().message.find(fmt::format("process {},", holder_)), std::string::npos)
      << taken.error().message;
}

TEST_F(DataPlaneLockTest, OneThatAnswersIsNotWaitedFor) {
  hold();
  const auto taken = take(milliseconds(600'000), true);
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().id, "data-plane-runs");
}

TEST_F(DataPlaneLockTest, OneThatEndsIsWaitedFor) {
  hold();
  std::thread ending([this] { end(); });
  EXPECT_TRUE(take(milliseconds(60'000)).ok());
  ending.join();
}

TEST_F(DataPlaneLockTest, WhoeverEndedHoldsNothing) {
  {
    EXPECT_TRUE(take({}).ok());
  }
  hold();
  end();
  EXPECT_TRUE(take({}).ok());
}

TEST_F(DataPlaneLockTest, ADiskThatTakesNoLockKeepsNobodyFromServing) {
  path_ = "/proc/no-such-folder/data-plane.lock";
  EXPECT_TRUE(take({}).ok());
}

}  // namespace
}  // namespace heddle::cli
