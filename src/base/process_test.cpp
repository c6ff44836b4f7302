#include "base/process.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"

namespace heddle {
namespace {

ProcessOptions shell(const std::string& script) { return {.argv = {"sh", "-c", script}}; }

Result<FinishedProcess> captured(ProcessOptions options, const ProcessCapture& capture = {}) {
  options.out = options.err = StandardStream::capture();
  return run_process(std::move(options), capture);
}

bool is_gone(pid_t pid) {
  if (::kill(pid, 0) != 0) return true;
  const auto status = read_file(fmt::format("/proc/{}/stat", pid));
  // A zombie that init did not take yet, or that nobody takes, is gone as well.
  return !status.ok() || status->find(") Z") != std::string::npos;
}
void wait_until_gone(pid_t pid) {
  while (!is_gone(pid)) std::this_thread::yield();
}

TEST(ChildProcess, AProgramGetsItsArgumentsFolderEnvironmentAndInput) {
  const fixture::Folder folder;
  std::filesystem::create_directory(folder.path() + "/within");
  auto options = shell("cat; basename $(pwd); echo \"$COLOUR|$HOME|$1\" >&2");
  options.argv.insert(options.argv.end(), {"sh", "a b\"c"});
  options.directory = folder.path() + "/within";
  options.environment = {{"COLOUR", "red"}, {"HOME", "nowhere"}};
  std::vector<std::string> lines;
  const auto finished = captured(
      options, {.input = "given\n",
                .on_error_line = [&](std::string_view line) { lines.emplace_back(line); }});
  ASSERT_TRUE(finished.ok()) << finished.error().str();
  EXPECT_TRUE(finished->exit.ok());
  EXPECT_EQ(finished->out, "given\nwithin\n");
  EXPECT_EQ(finished->err, "red|nowhere|a b\"c\n");
  EXPECT_EQ(lines, std::vector<std::string>{"red|nowhere|a b\"c"});
  EXPECT_GT(finished->exit.peak_bytes, 100'000);
}

TEST(ChildProcess, HowItEndedIsAValue) {
  const auto code = captured(shell("exit 7"));
  EXPECT_EQ(code->exit.code, 7);
  EXPECT_EQ(code->exit.status(), 7);
  EXPECT_EQ(code->exit.str(), "exit code 7");
  const auto signal = captured(shell("kill -TERM $$"));
  EXPECT_EQ(signal->exit.signal, SIGTERM);
  EXPECT_EQ(signal->exit.status(), 128 + SIGTERM);
  EXPECT_EQ(signal->exit.str(), "signal 15");
  EXPECT_FALSE(signal->exit.ok());
}

TEST(ChildProcess, WhatCannotBeStartedIsAnErrorThatSaysWhy) {
  const auto error_of = [](ProcessOptions options) {
    const auto started = ChildProcess::start(options);
    EXPECT_FALSE(started.ok());
    EXPECT_EQ(started.error().kind, ErrorKind::kUnavailable);
    EXPECT_EQ(started.error().id, "process-start");
    EXPECT_FALSE(started.error().hint.empty());
    return started.ok() ? "" : started.error().message;
  };
  EXPECT_EQ(error_of({.argv = {"/no/such/program"}}),
            "cannot start `/no/such/program`: No such file or directory");
  EXPECT_EQ(error_of({.argv = {"no-such-program"}}),
            "cannot start `no-such-program`: No such file or directory");
  EXPECT_EQ(error_of({.argv = {"/"}}), "cannot start `/`: Permission denied");
  EXPECT_EQ(error_of({.argv = {"true"}, .directory = "/no/such/folder"}),
            "cannot start `true`: `/no/such/folder`: No such file or directory");
  EXPECT_EQ(error_of({.argv = {"true"}, .out = StandardStream::write("/no/such/folder/file")}),
            "cannot start `true`: `/no/such/folder/file`: No such file or directory");
}

TEST(ChildProcess, AProgramThatIsStillHeldOpenForWritingIsWaitedFor) {
  const fixture::Folder folder;
  const std::string program = folder.path() + "/program";
  ASSERT_TRUE(write_file_atomic(program, "#!/bin/sh\nexit 3\n", 0700).ok());
  // As a child of another thread holds it that was forked while it was written.
  const int held = ::open(program.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(held, 0);
  std::thread letting_go([held] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ::close(held);
  });
  const auto done = captured({.argv = {program}});
  letting_go.join();
  ASSERT_TRUE(done.ok()) << done.error().str();
  EXPECT_EQ(done->exit.code, 3);
}

TEST(ChildProcess, AFileThatIsNoProgramIsNotGivenToAShell) {
  const fixture::Folder folder;
  ASSERT_TRUE(write_file_atomic(folder.path() + "/text", "exit 3\n", 0700).ok());
  const auto text = captured({.argv = {folder.path() + "/text"}});
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().kind, ErrorKind::kUnavailable);
}

TEST(ChildProcess, OutputIsKeptUpToItsBoundAndTheProgramIsNotHeldUp) {
  // More than a pipe holds, on both streams at once.
  const auto finished = captured(shell("head -c 3000000 /dev/zero | tr '\\0' x; "
                                       "head -c 3000000 /dev/zero | tr '\\0' y >&2; exit 4"),
                                 {.most_bytes = 1000});
  ASSERT_TRUE(finished.ok());
  EXPECT_TRUE(finished->is_cut);
  EXPECT_EQ(finished->out, std::string(1000, 'x'));
  EXPECT_EQ(finished->err, std::string(1000, 'y'));
  EXPECT_EQ(finished->exit.code, 4);
  const auto whole = captured(shell("printf 12345"), {.most_bytes = 5});
  EXPECT_FALSE(whole->is_cut);
  EXPECT_EQ(whole->out, "12345");
}

TEST(ChildProcess, InputThatNobodyReadsIsNoSignalToTheCaller) {
  const auto finished = captured(shell("exit 0"), {.input = std::string(1 << 20, 'x')});
  ASSERT_TRUE(finished.ok());
  EXPECT_TRUE(finished->exit.ok());
}

TEST(ChildProcess, StreamsGoToFiles) {
  const fixture::Folder folder;
  const std::string path = folder.path() + "/log";
  for (int i = 0; i < 2; ++i) {
    auto options = shell("echo out; echo err >&2");
    options.out = i == 0 ? StandardStream::write(path) : StandardStream::append(path);
    options.err = StandardStream::output();
    ASSERT_TRUE(run_process(options)->exit.ok());
  }
  EXPECT_EQ(*read_file(path), "out\nerr\nout\nerr\n");
  auto reads = shell("wc -l");
  reads.in = StandardStream::read(path);
  EXPECT_EQ(captured(reads)->out, "4\n");
}

TEST(ChildProcess, ADescriptorOfTheCallerStaysItsOwn) {
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(captured(shell(fmt::format("test -e /proc/self/fd/{} && echo open", fd)))->out, "");
  ::close(fd);
}

TEST(ChildProcess, StopAsksAndThenMakesIt) {
  const auto ready = [](const std::string& script, const auto& use) {
    const fixture::Folder folder;
    auto options = shell(script + "echo > up; while :; do sleep 0.01; done");
    options.directory = folder.path();
    auto child = ChildProcess::start(options);
    ASSERT_TRUE(child.ok());
    while (!path_exists(folder.path() + "/up")) std::this_thread::yield();
    EXPECT_FALSE(child->ended().has_value());
    EXPECT_FALSE(child->wait(0));
    use(*child);
    EXPECT_TRUE(child->wait());
    EXPECT_TRUE(is_gone(child->pid()));
  };
  ready("trap 'exit 5' TERM; ",
        [](ChildProcess& child) { EXPECT_EQ(child.stop(SIGTERM, 60'000).code, 5); });
  ready("trap '' TERM; ",
        [](ChildProcess& child) { EXPECT_EQ(child.stop(SIGTERM, 1).signal, SIGKILL); });
}

TEST(ChildProcess, ItsGroupGoesWithIt) {
  const fixture::Folder folder;
  const auto left_behind = [&](const std::string& script, const auto& use) {
    const std::string file = folder.path() + "/pid";
    std::filesystem::remove(file);
    auto options = shell("sleep 1000 & echo $! > new; mv new pid; " + script);
    options.directory = folder.path();
    options.leads_group = true;
    auto child = ChildProcess::start(options);
    ASSERT_TRUE(child.ok());
    while (!path_exists(file)) std::this_thread::yield();
    const pid_t other = std::stoi(*read_file(file));
    use(std::move(*child));
    wait_until_gone(other);
  };
  left_behind("exit 3", [](ChildProcess child) {
    EXPECT_TRUE(child.wait());
    EXPECT_EQ(child.ended()->code, 3);
  });
  left_behind("sleep 1000", [](ChildProcess child) { child.kill(); });
  left_behind("sleep 1000", [](ChildProcess) {});  // destruction
}

TEST(ChildProcess, SignalsThatTheCallerIgnoresOrBlocksHaveTheirEffect) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const auto pipe_handler = ::signal(SIGPIPE, SIG_IGN);
  // The signal mask, and those that are ignored.
  auto options = shell("grep -E 'SigBlk|SigIgn' /proc/self/status");
  options.ignored_signals = {SIGUSR2};
  const auto finished = captured(options);
  ::signal(SIGPIPE, pipe_handler);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(finished.ok());
  EXPECT_NE(finished->out.find("SigBlk:\t0000000000000000"), std::string::npos) << finished->out;
  const auto ignored =
      std::stoull(finished->out.substr(finished->out.find("SigIgn:") + 8), nullptr, 16);
  EXPECT_EQ(ignored >> (SIGPIPE - 1) & 1, 0u);
  EXPECT_EQ(ignored >> (SIGUSR2 - 1) & 1, 1u);
}

TEST(ChildProcess, ItGetsItsSignalWhenTheThreadThatStartedItEnds) {
  for (const int signal : {SIGKILL, SIGTERM}) {
    std::optional<ChildProcess> child;
    std::thread([&] {
      // Not through a shell: it starts `sleep` as a process of its own, which gets no signal and
      // would hold the output of the tests open for as long as it sleeps.
      auto started = ChildProcess::start({.argv = {"sleep", "1000"},
                                          .out = StandardStream::null(),
                                          .signal_at_orphaning = signal});
      if (started.ok()) child.emplace(std::move(*started));
    }).join();
    ASSERT_TRUE(child.has_value());
    EXPECT_TRUE(child->wait());
    EXPECT_EQ(child->ended()->signal, signal);
  }
}

}  // namespace
}  // namespace heddle
