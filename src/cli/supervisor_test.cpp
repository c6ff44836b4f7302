#include "cli/supervisor.hpp"

#include <gtest/gtest.h>

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/file.hpp"

namespace heddle::cli {
namespace {

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/supervisor.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override {
    if (supervisor_ > 0) (void)end();
  }

  /// A program of shell lines; its path.
  std::string program(const std::string& name, const std::string& lines) const {
    const std::string path = dir_ + "/" + name;
    EXPECT_TRUE(write_file_atomic(path, "#!/bin/sh\n" + lines + "\n", 0755).ok());
    return path;
  }
  /// In a process of its own, whose signals it takes.
  void supervise(std::vector<Supervisor::Plane> planes) {
    supervisor_ = ::fork();
    if (supervisor_ == 0) ::_exit(Supervisor(std::move(planes)).run().ok() ? 0 : 1);
  }
  static bool comes(const std::function<bool()>& condition) {
    for (int i = 0; i < 3000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  [[nodiscard]] bool is_there(const std::string& name) const {
    return path_exists(dir_ + "/" + name);
  }
  /// The exit code after a SIGTERM; -1: it was ended.
  int end() {
    ::kill(supervisor_, SIGTERM);
    int status = 0;
    EXPECT_EQ(::waitpid(std::exchange(supervisor_, 0), &status, 0) > 0, true);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::string dir_;
  pid_t supervisor_ = 0;
};

TEST_F(SupervisorTest, APlaneWhoseProgramIsReplacedIsStartedAgainAndEndsNoOther) {
  // The first start takes its own program away and is killed: it lived, and cannot be started.
  const std::string going =
      program("going", fmt::format("touch {0}/first; rm -- \"$0\"; kill -9 $$", dir_));
  const std::string other = program("other", fmt::format("touch {0}/other; exec sleep 600", dir_));
  supervise({{"control", {going}}, {"data", {other}}});
  ASSERT_TRUE(comes([&] { return is_there("first") && is_there("other"); }));
  ASSERT_TRUE(comes([&] { return !is_there("going"); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  ASSERT_EQ(::waitpid(supervisor_, nullptr, WNOHANG), 0) << "the other plane has to go on";
  program("going", fmt::format("touch {0}/again; exec sleep 600", dir_));
  EXPECT_TRUE(comes([&] { return is_there("again"); }));
  EXPECT_EQ(end(), 0);
}

TEST_F(SupervisorTest, APlaneThatCouldNeverBeStartedEndsAll) {
  const std::string other = program("other", fmt::format("touch {0}/other; exec sleep 600", dir_));
  supervise({{"data", {other}}, {"control", {dir_ + "/missing"}}});
  int status = 0;
  ASSERT_GT(::waitpid(supervisor_, &status, 0), 0);
  supervisor_ = 0;
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

}  // namespace
}  // namespace heddle::cli
