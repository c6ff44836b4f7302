#include "adapters/jobs/processes.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "jobs/runner_conformance.hpp"

namespace heddle::jobs {

INSTANTIATE_TEST_SUITE_P(Processes, RunnerConformance,
                         testing::Values(adapters::make_process_runner));

}  // namespace heddle::jobs

namespace heddle::adapters {
namespace {

jobs::Job shell(const std::string& script) {
  return {.name = "test", .argv = {"/bin/sh", "-c", script}};
}

TEST(Processes, AJobDiesWithTheProcessThatStartedIt) {
  const fixture::Folder folder;
  const std::string pid_file = folder.path() + "/pid";
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
  while (!gone()) std::this_thread::yield();
}

}  // namespace
}  // namespace heddle::adapters
