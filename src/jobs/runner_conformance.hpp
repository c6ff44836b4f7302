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
#include "store/memory_fixture.hpp"

namespace heddle::jobs {

/// A runner that keeps what it needs in `state`, a folder of its own.
using MakeRunner = std::function<std::unique_ptr<Runner>(const std::string& state)>;

/// What every adapter of jobs::Runner must do. For tests only:
///
///   INSTANTIATE_TEST_SUITE_P(Processes, RunnerConformance, testing::Values(make_process_runner));
///
/// The objects are in this process's memory: a job that ran has had nothing but digests.
class RunnerConformance : public testing::TestWithParam<MakeRunner> {
 protected:
  void SetUp() override {
    runner_ = GetParam()(state_.path());
    ASSERT_NE(runner_, nullptr);
  }
  /// A job whose program is a script, as an object.
  Job shell(const std::string& script) {
    return {.name = "test", .program = *objects_.put("#!/bin/sh\n" + script + "\n")};
  }
  std::int64_t start(const Job& job) {
    const auto handle = runner_->start(job, objects_);
    EXPECT_TRUE(handle.ok()) << (handle.ok() ? "" : handle.error().str());
    return handle.ok() ? *handle : -1;
  }
  Outcome run(const Job& job) {
    auto outcome = runner_->wait(start(job));
    EXPECT_TRUE(outcome.ok()) << (outcome.ok() ? "" : outcome.error().str());
    return outcome.ok() ? *outcome : Outcome{};
  }
  std::string text(const Outcome& outcome, const std::string& output = std::string(kLog)) {
    const auto found = outcome.outputs.find(output);
    return found == outcome.outputs.end() ? "(none)" : *objects_.get(found->second);
  }
  /// Files that the runner keeps, of jobs and of its own.
  std::vector<std::string> kept() {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(state_.path())) {
      if (entry.is_regular_file() && entry.path().filename() != "lock")
        out.push_back(entry.path().string());
    }
    return out;
  }
  /// Waits until somebody sees `wanted` in an output.
  void await(std::int64_t handle, std::string_view output, const std::string& wanted) {
    for (;;) {
      const auto seen = runner_->peek(handle, output);
      if (seen.ok() && seen->find(wanted) != std::string::npos) return;
      std::this_thread::yield();
    }
  }

  heddle::fixture::Folder folder_;
  heddle::fixture::Folder state_;
  store::fixture::MemoryObjects objects_;
  std::unique_ptr<Runner> runner_;
};

TEST_P(RunnerConformance, AJobGetsItsInputsAndItsOutputsAreObjects) {
  Job job = shell(
      "cat a b/c > sum && mkdir -p more/deep && echo 1 > more/one && "
      "echo 2 > more/deep/two && echo no > other && echo said && exit 7");
  job.inputs = {{"a", *objects_.put("first\n")}, {"b/c", *objects_.put("second\n")}};
  job.outputs = {"sum", "more/", "absent"};
  const auto outcome = run(job);
  EXPECT_EQ(outcome.exit_code, 7) << "outputs are taken whatever came of it";
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_GT(outcome.peak_bytes, 100'000);
  EXPECT_GT(outcome.seconds, 0);
  EXPECT_EQ(outcome.outputs.size(), 4U) << "and what was not declared is not";
  EXPECT_EQ(text(outcome, "sum"), "first\nsecond\n");
  EXPECT_EQ(outcome.outputs.at("sum"), sha256("first\nsecond\n"));
  EXPECT_EQ(text(outcome, "more/one"), "1\n");
  EXPECT_EQ(text(outcome, "more/deep/two"), "2\n");
  EXPECT_EQ(text(outcome), "said\n");
  EXPECT_EQ(kept(), std::vector<std::string>()) << "its folder goes with it";
}

TEST_P(RunnerConformance, JobsHaveNothingOfEachOther) {
  Job job = shell("ls; echo x > left; pwd > place");
  job.outputs = {"place"};
  const auto first = start(job), second = start(job);
  const auto one = *runner_->wait(first), other = *runner_->wait(second);
  EXPECT_NE(text(one, "place"), text(other, "place"));
  EXPECT_EQ(text(one), "");
  EXPECT_EQ(text(run(job)), "") << "nor of those before";
}

TEST_P(RunnerConformance, InADeclaredFolderInputsAreNoOutputs) {
  Job job = shell("cat all/given; echo new > all/made");
  job.inputs = {{"all/given", *objects_.put("given\n")}};
  job.outputs = {"all/"};
  const auto outcome = run(job);
  EXPECT_EQ(text(outcome), "given\n");
  EXPECT_EQ(outcome.outputs.size(), 2U);
  EXPECT_EQ(text(outcome, "all/made"), "new\n");
}

TEST_P(RunnerConformance, NoLinkLeadsToAFileOfTheMachine) {
  ASSERT_TRUE(write_file_atomic(folder_.path() + "/secret", "secret").ok());
  ASSERT_TRUE(make_dirs(folder_.path() + "/d").ok());
  ASSERT_TRUE(write_file_atomic(folder_.path() + "/d/secret", "secret").ok());
  const std::string& at = folder_.path();
  Job job = shell("ln -s '" + at + "/secret' a; ln -s '" + at + "/d' b; mkdir c; ln -s '" + at +
                  "/secret' c/x; ln -s '" + at + "/d' c/y; echo ok > c/z");
  job.outputs = {"a", "b/secret", "b/", "c/", "c/y/secret"};
  const auto outcome = run(job);
  EXPECT_EQ(outcome.outputs.size(), 2U);
  EXPECT_EQ(text(outcome, "c/z"), "ok\n");
}

TEST_P(RunnerConformance, ArgumentsGoThroughNoShell) {
  Job job = shell("for a in \"$@\"; do echo \"<$a>\"; done");
  job.arguments = {"a b", "$HOME", "'\"\\", "*", ""};
  EXPECT_EQ(text(run(job)), "<a b>\n<$HOME>\n<'\"\\>\n<*>\n<>\n");
}

TEST_P(RunnerConformance, StandardInputIsEmptyAndBothOutputsAreTheLog) {
  const auto outcome = run(shell("read line && exit 1; echo out; echo err >&2; exit 0"));
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(text(outcome), "out\nerr\n");
}

TEST_P(RunnerConformance, WhatCannotBeStartedIsAnErrorThatNamesIt) {
  const auto missing = runner_->start({.name = "gone", .program = sha256("nowhere")}, objects_);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(missing.error().message.find("gone"), std::string::npos);
  EXPECT_NE(missing.error().message.find(sha256("nowhere").short_str()), std::string::npos);
  EXPECT_FALSE(missing.error().hint.empty());
  Job job = shell("exit 0");
  job.inputs = {{"a", sha256("never put")}};
  EXPECT_EQ(runner_->start(job, objects_).error().kind, ErrorKind::kNotFound);
  job = {.name = "text", .program = *objects_.put("no program")};
  const auto text = runner_->start(job, objects_);
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(text.error().message.find("text"), std::string::npos);
  job = shell("exit 0");
  job.outputs = {"../out"};
  EXPECT_EQ(runner_->start(job, objects_).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(runner_->start({.name = "nothing"}, objects_).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(kept(), std::vector<std::string>());
}

TEST_P(RunnerConformance, AJobIsWaitedForOnce) {
  const auto handle = start(shell("exit 0"));
  EXPECT_TRUE(runner_->wait(handle).ok());
  EXPECT_EQ(runner_->wait(handle).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(runner_->finished(handle).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(runner_->peek(handle, kLog).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(runner_->wait(-1).error().kind, ErrorKind::kNotFound);
  runner_->stop(handle);  // of one that is gone: nothing
}

TEST_P(RunnerConformance, ASignalIsHowItEnded) {
  EXPECT_EQ(run(shell("kill -TERM $$")).exit_code, 128 + SIGTERM);
}

TEST_P(RunnerConformance, TimeIsBoundedAndWhatAJobStartedGoesWithIt) {
  Job job = shell("sleep 1000 & echo $! > pid; sleep 1000");
  job.outputs = {"pid"};
  job.timeout_ms = 200;
  const auto outcome = run(job);
  EXPECT_TRUE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 128 + SIGKILL);
  const std::string pid = text(outcome, "pid");
  if (pid.empty() || pid == "(none)") return;  // a slow machine: it was ended before it said so
  const pid_t left = std::stoi(pid);
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

TEST_P(RunnerConformance, WhoLooksOnSeesHowFarItIs) {
  const std::string go = folder_.path() + "/go";
  Job job = shell("echo begun; echo half > progress; while [ ! -e '" + go +
                  "' ]; do sleep 0.01; done; exit 3");
  job.outputs = {"progress"};
  const auto handle = start(job);
  await(handle, kLog, "begun\n");
  await(handle, "progress", "half\n");
  EXPECT_EQ(runner_->peek(handle, "nothing").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(runner_->peek(handle, "../log").error().kind, ErrorKind::kNotFound);
  EXPECT_FALSE(*runner_->finished(handle));
  ASSERT_TRUE(write_file_atomic(go, "").ok());
  while (!*runner_->finished(handle)) std::this_thread::yield();
  EXPECT_TRUE(*runner_->finished(handle)) << "until somebody waits for it";
  EXPECT_EQ(runner_->wait(handle)->exit_code, 3);
}

TEST_P(RunnerConformance, ManyAtOnceFromManyThreads) {
  std::vector<std::thread> threads;
  const Job job = shell("exit $1");
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<std::int64_t> handles;
      for (int i = 0; i < 4; ++i) {
        Job each = job;
        each.arguments = {fmt::format("{}", 4 * t + i)};
        handles.push_back(start(each));
      }
      for (int i = 0; i < 4; ++i)
        EXPECT_EQ(runner_->wait(handles[static_cast<std::size_t>(i)])->exit_code, 4 * t + i);
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_P(RunnerConformance, WhoGoesTakesItsJobsAlong) {
  const auto handle = start(shell("echo pid $$ .; exec sleep 1000"));
  await(handle, kLog, " .");
  const pid_t job = std::stoi(runner_->peek(handle, kLog)->substr(4));
  ASSERT_EQ(::kill(job, 0), 0);
  runner_.reset();
  EXPECT_NE(::kill(job, 0), 0) << "killed and reaped";
  EXPECT_EQ(kept(), std::vector<std::string>());
}

}  // namespace heddle::jobs
