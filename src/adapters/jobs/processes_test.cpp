#include "adapters/jobs/processes.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"

namespace heddle::adapters {
namespace {

jobs::Job shell(const std::string& script) {
  return {.name = "test", .argv = {"/bin/sh", "-c", script}};
}

TEST(Processes, ExitCodeOutputAndMemory) {
  const auto runner = make_process_runner();
  jobs::Job job = shell("pwd; echo oops >&2; exit 7");
  job.directory = "/";
  job.output_path = testing::TempDir() + "heddle-processes-out";
  const auto handle = runner->start(job);
  ASSERT_TRUE(handle.ok()) << handle.error().str();
  const auto outcome = runner->wait(*handle);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->exit_code, 7);
  EXPECT_FALSE(outcome->timed_out);
  EXPECT_GT(outcome->peak_bytes, 100'000);
  EXPECT_EQ(*read_file(job.output_path), "/\noops\n");
  EXPECT_EQ(runner->wait(*handle).error().kind, ErrorKind::kNotFound);
}

TEST(Processes, AMissingProgramIsAnErrorNotAnExit) {
  const auto runner = make_process_runner();
  const auto handle = runner->start({.name = "gone", .argv = {"/no/such/program"}});
  ASSERT_FALSE(handle.ok());
  EXPECT_EQ(handle.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(handle.error().message.find("/no/such/program"), std::string::npos);
}

TEST(Processes, TimeIsBounded) {
  const auto runner = make_process_runner();
  jobs::Job job = shell("sleep 100 & sleep 100");
  job.timeout_ms = 50;
  const auto outcome = runner->wait(*runner->start(job));
  ASSERT_TRUE(outcome.ok());
  EXPECT_TRUE(outcome->timed_out);
  EXPECT_EQ(outcome->exit_code, 128 + SIGKILL);
  EXPECT_LT(outcome->seconds, 50);
}

TEST(Processes, StopEndsAJob) {
  const auto runner = make_process_runner();
  const auto handle = runner->start(shell("sleep 100"));
  ASSERT_TRUE(handle.ok());
  EXPECT_FALSE(*runner->finished(*handle));
  runner->stop(*handle);
  EXPECT_EQ(runner->wait(*handle)->exit_code, 128 + SIGKILL);
}

TEST(Processes, ManyAtOnce) {
  const auto runner = make_process_runner();
  std::vector<std::int64_t> handles;
  for (int i = 0; i < 8; ++i) handles.push_back(*runner->start(shell(fmt::format("exit {}", i))));
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(runner->wait(handles[static_cast<std::size_t>(i)])->exit_code, i);
}

TEST(Processes, AJobDiesWithTheProcessThatStartedIt) {
  const std::string pid_file = testing::TempDir() + "heddle-processes-pid";
  std::filesystem::remove(pid_file);
  const pid_t child = fork();
  if (child == 0) {
    const auto runner = make_process_runner();
    const auto handle = runner->start(shell("echo $$ > " + pid_file + ".new && mv " + pid_file +
                                            ".new " + pid_file + " && exec sleep 100"));
    if (handle.ok()) (void)runner->wait(*handle);
    _exit(0);
  }
  while (!path_exists(pid_file)) std::this_thread::yield();
  const pid_t job = std::stoi(*read_file(pid_file));
  ASSERT_EQ(kill(job, 0), 0);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  // The orphan is killed by the kernel; it is reaped by init, or stays a zombie here when there is
  // none.
  const auto gone = [&] {
    if (kill(job, 0) != 0) return true;
    const auto status = read_file(fmt::format("/proc/{}/stat", job));
    return !status.ok() || status->find(") Z") != std::string::npos;
  };
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!gone() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_TRUE(gone());
}

}  // namespace
}  // namespace heddle::adapters
