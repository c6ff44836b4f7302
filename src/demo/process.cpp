#include "demo/process.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace heddle::demo {
namespace {

constexpr std::int64_t kGraceMs = 15'000;
constexpr std::size_t kMostOutput = 256u << 20;  ///< of one command: `--json` of a whole ledger

/// As a person would have started it: a program behind this one in a shell script ignores SIGINT,
/// and what it starts would too.
ProcessOptions by_hand(ProcessOptions command) {
  command.signal_at_orphaning = SIGTERM;
  command.default_signals.push_back(SIGINT);
  return command;
}

}  // namespace

Result<FinishedProcess> run_command(ProcessOptions command, const std::string& input,
                                    const std::function<void(std::string_view)>& on_message) {
  command.in = StandardStream::null();
  command.out = command.err = StandardStream::capture();
  return run_process(by_hand(std::move(command)), {input, kMostOutput, on_message});
}

Result<FinishedProcess> must_run(ProcessOptions command,
                                 const std::function<void(std::string_view)>& on_message) {
  const std::string shown = fmt::format("{}", fmt::join(command.argv, " "));
  HEDDLE_ASSIGN_OR_RETURN(FinishedProcess finished,
                          run_command(std::move(command), {}, on_message));
  // Output that was cut would be read as if it were whole, so it counts as a failure.
  if (finished.exit.ok() && !finished.is_cut) return finished;
  const std::string& said = finished.err.empty() ? finished.out : finished.err;
  // The last 2,000 bytes: an error comes at the end of what a command says.
  return Error{ErrorKind::kInternal, "demo-step-failed",
               fmt::format("`{}` ended with {}: {}", shown, finished.exit.str(),
                           said.substr(said.size() > 2000 ? said.size() - 2000 : 0)),
               "the line above says why; `--fresh` forgets what earlier runs left"};
}

Result<Background> Background::start(ProcessOptions command, const std::string& log) {
  command.in = StandardStream::null();
  command.out = StandardStream::append(log);
  command.err = StandardStream::output();
  HEDDLE_ASSIGN_OR_RETURN(ChildProcess process, ChildProcess::start(by_hand(std::move(command))));
  return Background(std::move(process));
}

int Background::stop() { return process_.stop(SIGINT, kGraceMs).status(); }

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> out;
  std::error_code failed;
  // Not by a range, whose steps throw: processes end while their list is read.
  for (std::filesystem::directory_iterator at("/proc", failed), end; !failed && at != end;
       at.increment(failed)) {
    const auto& entry = *at;
    const std::string name = entry.path().filename();
    if (name.empty() || name[0] < '0' || name[0] > '9') continue;
    // A process can end after it was listed: its line is then empty, and is passed over below.
    std::ifstream stat(entry.path() / "stat");
    std::string line;
    std::getline(stat, line);
    // `pid (name) state ppid ...`; the name may hold anything, its last parenthesis ends it.
    const std::size_t close = line.rfind(')');
    if (close == std::string::npos || close + 4 > line.size()) continue;
    if (std::atoi(line.c_str() + close + 4) == parent) out.push_back(std::atoi(name.c_str()));
  }
  return out;
}

std::string command_line(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/cmdline", pid));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  for (char& c : text) {
    // `cmdline` ends each argument with a NUL byte (proc(5)).
    if (c == '\0') c = ' ';
  }
  return text;
}

std::int64_t peak_bytes(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  std::string line;
  while (std::getline(file, line)) {
    // The largest resident set so far, in kB (proc(5)).
    if (line.starts_with("VmHWM:")) return std::atoll(line.c_str() + 6) * 1024;
  }
  return 0;
}

}  // namespace heddle::demo
