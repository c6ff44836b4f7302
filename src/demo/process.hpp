#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.hpp"

namespace heddle::demo {

/// Runs a program to its end and keeps what it said; `on_message` gets each line of stderr as it
/// comes. The input is its stdin.
[[nodiscard]] Result<FinishedProcess> run_command(
    ProcessOptions command, const std::string& input = {},
    const std::function<void(std::string_view)>& on_message = {});

/// The same; an end other than exit code 0 is an error that holds the last lines it said.
[[nodiscard]] Result<FinishedProcess> must_run(
    ProcessOptions command, const std::function<void(std::string_view)>& on_message = {});

/// A program in the background. On destruction it is asked to end, and then made to.
class Background {
 public:
  /// stdout and stderr are appended to `log`.
  [[nodiscard]] static Result<Background> start(ProcessOptions command, const std::string& log);
  Background(Background&&) noexcept = default;
  ~Background() { stop(); }

  [[nodiscard]] pid_t pid() const noexcept { return process_.pid(); }
  [[nodiscard]] bool alive() { return !process_.ended(); }
  /// SIGINT, and after 15 s SIGKILL; what a shell would call its exit code.
  int stop();

 private:
  explicit Background(ChildProcess process) : process_(std::move(process)) {}
  ChildProcess process_;
};

/// Process ids whose parent is `parent`.
[[nodiscard]] std::vector<pid_t> children_of(pid_t parent);
/// The command line of a process, words separated by blanks; empty when it is gone.
[[nodiscard]] std::string command_line(pid_t pid);
/// Peak resident set so far, as the kernel counts it (VmHWM); 0 when it is gone.
[[nodiscard]] std::int64_t peak_bytes(pid_t pid);

}  // namespace heddle::demo
