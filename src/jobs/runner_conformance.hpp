#pragma once

#include <signal.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "jobs/jobs.hpp"

namespace heddle::jobs {

using MakeRunner = std::function<std::unique_ptr<Runner>()>;

/// What every adapter of jobs::Runner must do. For tests only:
///
///   INSTANTIATE_TEST_SUITE_P(Processes, RunnerConformance, testing::Values(make_process_runner));
class RunnerConformance : public testing::TestWithParam<MakeRunner> {
 protected:
  void SetUp() override {
    runner_ = GetParam()();
    ASSERT_NE(runner_, nullptr);
  }
  static Job shell(const std::string& script) {
    return {.name = "test", .argv = {"/bin/sh", "-c", script}};
  }
  std::int64_t start(const Job& job) {
    const auto handle = runner_->start(job);
    EXPECT_TRUE(handle.ok()) << (handle.ok() ? "" : handle.error().str());
    return handle.ok() ? *handle : -1;
  }

  heddle::fixture::Folder folder_;
  std::unique_ptr<Runner> runner_;
};

TEST_P(RunnerConformance, AJobHasItsFolderItsOutputAndAnEnd) {
  Job job = shell("pwd; echo oops >&2; exit 7");
  job.directory = "/";
  job.output_path = folder_.path() + "/out";
  const auto outcome = runner_->wait(start(job));
  ASSERT_TRUE(outcome.ok()) << outcome.error().str();
  EXPECT_EQ(outcome->exit_code, 7);
  EXPECT_FALSE(outcome->timed_out);
  EXPECT_GT(outcome->peak_bytes, 100'000);
  EXPECT_GT(outcome->seconds, 0);
  EXPECT_EQ(*read_file(job.output_path), "/\noops\n");
  // The output of another run takes its place.
  (void)runner_->wait(start(job));
  EXPECT_EQ(*read_file(job.output_path), "/\noops\n");
}

TEST_P(RunnerConformance, ArgumentsGoThroughNoShell) {
  Job job{.name = "test", .argv = {"/bin/echo", "a b", "$HOME", "'\"\\", "*", ""}};
  job.output_path = folder_.path() + "/out";
  EXPECT_EQ(runner_->wait(start(job))->exit_code, 0);
  EXPECT_EQ(*read_file(job.output_path), "a b $HOME '\"\\ * \n");
}

TEST_P(RunnerConformance, StandardInputIsEmpty) {
  EXPECT_EQ(runner_->wait(start(shell("read line && exit 1; exit 0")))->exit_code, 0);
}

TEST_P(RunnerConformance, WhatCannotBeStartedIsAnErrorThatNamesIt) {
  const auto missing = runner_->start({.name = "gone", .argv = {"/no/such/program"}});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(missing.error().message.find("/no/such/program"), std::string::npos);
  EXPECT_NE(missing.error().message.find("gone"), std::string::npos);
  EXPECT_FALSE(missing.error().hint.empty());
  Job job = shell("exit 0");
  job.directory = folder_.path() + "/no-such-folder";
  EXPECT_EQ(runner_->start(job).error().kind, ErrorKind::kUnavailable);
  job.directory.clear();
  job.output_path = folder_.path() + "/no-such-folder/out";
  EXPECT_EQ(runner_->start(job).error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(runner_->start({.name = "nothing", .argv = {}}).error().kind, ErrorKind::kInvalid);
}

TEST_P(RunnerConformance, AJobIsWaitedForOnce) {
  const auto handle = start(shell("exit 0"));
  EXPECT_TRUE(runner_->wait(handle).ok());
  EXPECT_EQ(runner_->wait(handle).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(runner_->finished(handle).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(runner_->wait(-1).error().kind, ErrorKind::kNotFound);
  runner_->stop(handle);  // of one that is gone: nothing
}

TEST_P(RunnerConformance, ASignalIsHowItEnded) {
  EXPECT_EQ(runner_->wait(start(shell("kill -TERM $$")))->exit_code, 128 + SIGTERM);
}

TEST_P(RunnerConformance, TimeIsBoundedAndWhatAJobStartedGoesWithIt) {
  const std::string file = folder_.path() + "/pid";
  Job job = shell("sleep 1000 & echo $! > '" + file + "'; sleep 1000");
  job.timeout_ms = 200;
  const auto outcome = runner_->wait(start(job));
  ASSERT_TRUE(outcome.ok());
  EXPECT_TRUE(outcome->timed_out);
  EXPECT_EQ(outcome->exit_code, 128 + SIGKILL);
  const auto text = read_file(file);
  if (!text.ok() || text->empty()) return;  // a slow machine: it was ended before it said so
  const pid_t left = std::stoi(*text);
  const auto gone = [&] {
    const auto status = read_file(fmt::format("/proc/{}/stat", left));
    return !status.ok() || status->find(") Z") != std::string::npos;
  };
  while (!gone()) std::this_thread::yield();
}

TEST_P(RunnerConformance, StopEndsAJob) {
  const auto handle = start(shell("sleep 1000"));
  EXPECT_FALSE(*runner_->finished(handle));
  runner_->stop(handle);
  const auto outcome = runner_->wait(handle);
  EXPECT_EQ(outcome->exit_code, 128 + SIGKILL);
  EXPECT_FALSE(outcome->timed_out);
}

TEST_P(RunnerConformance, FinishedSaysWhenWithoutWaiting) {
  const std::string go = folder_.path() + "/go";
  const auto handle = start(shell("while [ ! -e '" + go + "' ]; do sleep 0.01; done; exit 3"));
  EXPECT_FALSE(*runner_->finished(handle));
  ASSERT_TRUE(write_file_atomic(go, "").ok());
  while (!*runner_->finished(handle)) std::this_thread::yield();
  EXPECT_TRUE(*runner_->finished(handle)) << "until somebody waits for it";
  EXPECT_EQ(runner_->wait(handle)->exit_code, 3);
}

TEST_P(RunnerConformance, ManyAtOnceFromManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<std::int64_t> handles;
      for (int i = 0; i < 4; ++i)
        handles.push_back(start(shell(fmt::format("exit {}", 4 * t + i))));
      for (int i = 0; i < 4; ++i)
        EXPECT_EQ(runner_->wait(handles[static_cast<std::size_t>(i)])->exit_code, 4 * t + i);
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_P(RunnerConformance, WhoGoesTakesItsJobsAlong) {
  const std::string file = folder_.path() + "/pid";
  (void)start(shell("echo $$ > '" + file + ".new' && mv '" + file + ".new' '" + file +
                    "' && exec sleep 1000"));
  while (!path_exists(file)) std::this_thread::yield();
  const pid_t job = std::stoi(*read_file(file));
  runner_.reset();
  EXPECT_NE(::kill(job, 0), 0) << "killed and reaped";
}

}  // namespace heddle::jobs
