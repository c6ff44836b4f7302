#include "adapters/jobs/processes.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/objects/layout.hpp"
#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "jobs/runner_conformance.hpp"

namespace heddle::jobs {

INSTANTIATE_TEST_SUITE_P(Processes, RunnerConformance,
                         testing::Values([](const std::string& state) {
                           return adapters::make_process_runner({state, {}});
                         }));

}  // namespace heddle::jobs

namespace heddle::adapters {
namespace {

namespace fs = std::filesystem;

class Processes : public testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<jobs::Runner> runner() const {
    return make_process_runner({folder_.path() + "/state", {}});
  }
  [[nodiscard]] std::string state() const { return folder_.path() + "/state"; }
  jobs::Job shell(const std::string& script) {
    return {.name = "test", .program = *objects_->put("#!/bin/sh\n" + script + "\n")};
  }

  fixture::Folder folder_;
  std::unique_ptr<store::Objects> objects_ = open_layout(folder_.path() + "/objects").value();
};

TEST_F(Processes, AJobDiesWithTheProcessThatStartedIt) {
  const std::string pid_file = folder_.path() + "/pid";
  const pid_t child = fork();
  if (child == 0) {
    const auto mine = runner();
    const auto handle = mine->start(shell("echo $$ > " + pid_file + ".new && mv " + pid_file +
                                          ".new " + pid_file + " && exec sleep 100"),
                                    *objects_);
    if (handle.ok()) (void)mine->wait(*handle);
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
  // What the killed one has left is removed by the next one, and not what a living one has.
  EXPECT_EQ(list_dir(state() + "/jobs").size(), 1U);
  const auto mine = runner();
  const auto first = mine->start(shell("exit 0"), *objects_);
  ASSERT_TRUE(first.ok()) << first.error().str();
  EXPECT_EQ(list_dir(state() + "/jobs").size(), 1U);
  const auto other = runner();
  EXPECT_TRUE(other->wait(*other->start(shell("exit 0"), *objects_)).ok());
  EXPECT_EQ(list_dir(state() + "/jobs").size(), 2U);
  EXPECT_TRUE(mine->wait(*first).ok());
}

TEST_F(Processes, InputsOfAStoreOnTheSameDiskAreLinks) {
  const Digest input = *objects_->put(std::string(1 << 20, 'x'));
  jobs::Job job = shell("stat -c %i rows; touch ready; while [ ! -e done ]; do sleep 0.01; done");
  job.inputs = {{"rows", input}};
  job.outputs = {"ready"};
  const auto mine = runner();
  const auto handle = *mine->start(job, *objects_);
  while (!mine->peek(handle, "ready").ok()) std::this_thread::yield();
  struct stat blob{};
  ASSERT_EQ(
      ::stat(fmt::format("{}/objects/blobs/sha256/{}", folder_.path(), input.hex()).c_str(), &blob),
      0);
  EXPECT_EQ(*mine->peek(handle, jobs::kLog), fmt::format("{}\n", blob.st_ino));
  mine->stop(handle);
  EXPECT_TRUE(mine->wait(handle).ok());
  EXPECT_EQ(objects_->get(input)->size(), 1U << 20);
}

TEST_F(Processes, AProgramThatIsInstalledIsNotCopied) {
  const auto mine = make_process_runner({state(), {"/bin/sh"}});
  jobs::Job job{.name = "test",
                .program = *jobs::program_digest("/bin/sh"),
                .arguments = {"-c", "readlink /proc/$$/exe; echo $HEDDLE_JOB_STATE"}};
  const auto outcome = mine->wait(*mine->start(job, *objects_));
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(*objects_->get(outcome->outputs.at("log")),
            fs::canonical("/bin/sh").string() + "\n" + state() + "\n");
  // A machine that has another program in its place does not run the job.
  EXPECT_EQ(runner()->start(job, *objects_).error().kind, ErrorKind::kUnavailable);
}

/// Everything of the side that asked is out of sight while the job runs: its store as well.
TEST_F(Processes, NothingButDigestsIsShared) {
  const fixture::Folder elsewhere;
  const auto mine = make_process_runner({elsewhere.path(), {}});
  const std::string there = folder_.path() + "/objects", hidden = folder_.path() + "/hidden";
  jobs::Job job =
      shell("touch ready; while [ ! -e '" + hidden + "' ]; do sleep 0.01; done; [ ! -e '" + there +
            "' ] || exit 9; cat rows deep/rows > out");
  job.inputs = {{"rows", *objects_->put("one\n")}, {"deep/rows", *objects_->put("two\n")}};
  job.outputs = {"ready", "out"};
  const auto handle = mine->start(job, *objects_);
  ASSERT_TRUE(handle.ok()) << handle.error().str();
  while (!mine->peek(*handle, "ready").ok()) std::this_thread::yield();
  fs::rename(there, hidden);
  while (!*mine->finished(*handle)) std::this_thread::yield();
  fs::rename(hidden, there);
  const auto outcome = mine->wait(*handle);
  ASSERT_TRUE(outcome.ok()) << outcome.error().str();
  EXPECT_EQ(outcome->exit_code, 0) << *objects_->get(outcome->outputs.at("log"));
  EXPECT_EQ(*objects_->get(outcome->outputs.at("out")), "one\ntwo\n");
}

}  // namespace
}  // namespace heddle::adapters
