#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/result.hpp"

namespace heddle::demo {

/// A program to start, as a person would from a shell, but without one.
struct Command {
  std::vector<std::string> argv;  ///< argv[0] is looked up in PATH
  std::string directory{};        ///< working directory; empty: the caller's
  std::vector<std::pair<std::string, std::string>> environment{};  ///< added to the caller's
  std::string input{};                                             ///< its stdin
};

struct Finished {
  int exit_code = 0;  ///< 128 + signal when a signal ended it
  std::string out;
  std::string err;
  double seconds = 0;
};

/// Runs it to its end. `on_message` gets each line of stderr as it comes. kUnavailable when it
/// cannot be started.
[[nodiscard]] Result<Finished> run_command(
    const Command& command, const std::function<void(std::string_view)>& on_message = {});

/// Like `run_command`; an exit code other than 0 is an error that holds the last lines it said.
[[nodiscard]] Result<Finished> must_run(
    const Command& command, const std::function<void(std::string_view)>& on_message = {});

/// A program in the background; it is asked to end, and then made to, on destruction, and dies with
/// this process.
class Background {
 public:
  /// stdout and stderr are appended to `log`.
  [[nodiscard]] static Result<Background> start(const Command& command, const std::string& log);
  Background(Background&& other) noexcept;
  Background& operator=(Background&& other) noexcept;
  ~Background();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] bool alive();
  /// SIGINT, then after `patience_ms` SIGKILL; returns the exit code.
  int stop(int patience_ms = 15'000);

 private:
  explicit Background(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
  int exit_code_ = 0;
};

/// Process ids whose parent is `parent`.
[[nodiscard]] std::vector<pid_t> children_of(pid_t parent);
/// The command line of a process, words separated by blanks; empty when it is gone.
[[nodiscard]] std::string command_line(pid_t pid);
/// Peak resident set so far, as the kernel counts it (VmHWM); 0 when it is gone.
[[nodiscard]] std::int64_t peak_bytes(pid_t pid);

}  // namespace heddle::demo
