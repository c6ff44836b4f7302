#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/result.hpp"

namespace heddle {

/// Where one of a process's three standard streams goes, or comes from.
struct StandardStream {
  enum class Kind : std::uint8_t {
    kInherit,   ///< the caller's own
    kNull,      ///< /dev/null
    kRead,      ///< the file `path`
    kTruncate,  ///< the file `path`, made anew
    kAppend,    ///< the file `path`, after what is there
    kOutput,    ///< of stderr: wherever stdout goes
    kCapture    ///< of stdout and stderr in `run_process`: kept for the caller
  };
  Kind kind = Kind::kInherit;
  std::string path{};  ///< relative to the caller's folder

  [[nodiscard]] static StandardStream null() { return {Kind::kNull}; }
  [[nodiscard]] static StandardStream read(std::string path) {
    return {Kind::kRead, std::move(path)};
  }
  [[nodiscard]] static StandardStream write(std::string path) {
    return {Kind::kTruncate, std::move(path)};
  }
  [[nodiscard]] static StandardStream append(std::string path) {
    return {Kind::kAppend, std::move(path)};
  }
  [[nodiscard]] static StandardStream output() { return {Kind::kOutput}; }
  [[nodiscard]] static StandardStream capture() { return {Kind::kCapture}; }
};

/// A program to start. Nothing goes through a shell.
struct ProcessOptions {
  std::vector<std::string> argv;  ///< argv[0] is a path, or without a `/` a name on PATH
  std::string directory{};        ///< working folder; empty: the caller's
  std::vector<std::pair<std::string, std::string>> environment{};  ///< beside the caller's
  StandardStream in{};
  StandardStream out{};
  StandardStream err{};
  /// It leads a process group of its own, and what is left of the group goes with it. Else it is of
  /// the caller's: a key at the terminal reaches it too, and it may read from the terminal.
  bool leads_group = false;
  /// The signal it gets when the *thread* that started it ends (PR_SET_PDEATHSIG). It alone gets
  /// it: what it started itself goes on, for example the last command of `sh -c`.
  int signal_at_orphaning = SIGKILL;
  std::vector<int> ignored_signals{};  ///< until it says otherwise
  /// Those that have their ordinary effect in it although the caller ignores them. The signal mask
  /// is empty in any case.
  std::vector<int> default_signals{SIGPIPE, SIGCHLD};
};

/// How a process ended.
struct ExitStatus {
  int code = 0;
  int signal = 0;               ///< the one that ended it; 0: it ended by itself
  std::int64_t peak_bytes = 0;  ///< resident set, as the kernel counted it

  [[nodiscard]] bool ok() const noexcept { return code == 0 && signal == 0; }
  /// As a shell gives it: 128 + signal when a signal ended it.
  [[nodiscard]] int status() const noexcept { return signal != 0 ? 128 + signal : code; }
  [[nodiscard]] std::string str() const;  ///< `exit code 3` or `signal 9`
};

/// A child of this process. It is killed, with the group that it leads, when this object goes. Not
/// thread-safe, but `wait` and `kill` may run beside each other.
class ChildProcess {
 public:
  /// Returns once the program runs. kUnavailable (`process-start`): there is no such program, or
  /// folder, or file for a stream.
  [[nodiscard]] static Result<ChildProcess> start(const ProcessOptions& options);
  /// Takes charge of a child that was forked elsewhere.
  [[nodiscard]] static ChildProcess adopt(pid_t pid, bool leads_group);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  /// Its id; another process may have it once `ended` said how it ended.
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Readable once it has ended; -1 where the kernel has no such thing.
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  /// Waits until it has ended, at most `timeout_ms` (negative: for ever); whether it has.
  bool wait(std::int64_t timeout_ms = -1) const;
  /// How it ended, without waiting; what is left of its group is killed then. Empty while it runs.
  std::optional<ExitStatus> ended();
  /// To the group that it leads, else to it alone; nothing once it was found ended.
  void signal(int number) const;
  void kill() const { signal(SIGKILL); }
  /// Sends `number`, kills it after `grace_ms`, and waits.
  ExitStatus stop(int number, std::int64_t grace_ms);

 private:
  ChildProcess(pid_t pid, bool leads_group);
  pid_t pid_ = -1;
  bool leads_group_ = false;
  int descriptor_ = -1;
  std::optional<ExitStatus> exit_{};
};

/// What `run_process` keeps.
struct ProcessCapture {
  std::string input{};               ///< the program's stdin, in place of `in`; empty: `in`
  std::size_t most_bytes = 1 << 20;  ///< of each stream; more is read and dropped
  std::function<void(std::string_view)> on_error_line{};  ///< each line of a captured stderr
};
struct FinishedProcess {
  ExitStatus exit{};
  std::string out{};
  std::string err{};
  bool is_cut = false;  ///< there was more than `most_bytes`
  double seconds = 0;
};

/// Runs a program to its end. Errors as `ChildProcess::start`; how it ended is a value.
[[nodiscard]] Result<FinishedProcess> run_process(ProcessOptions options,
                                                  const ProcessCapture& capture = {});

}  // namespace heddle
