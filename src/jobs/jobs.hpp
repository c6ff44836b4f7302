#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "store/store.hpp"

namespace heddle::jobs {

/// The name under which a runner gives back what a job printed, to stdout and to stderr.
inline constexpr std::string_view kLog = "log";

/// Environment variable that a runner sets for a job: the folder `.heddle` of the machine it runs
/// on. What the job starts in a sandbox must not see it, and the project's own environment
/// (`.venv`) lies beside it.
inline constexpr const char* kStateVariable = "HEDDLE_JOB_STATE";

/// A program to run on files that are named by their content, so that it does not matter which
/// machine runs it. It gets a folder of its own, which is its working folder: inputs stand there,
/// for reading only, and outputs are taken from there. Nothing goes through a shell.
struct Job {
  std::string name{};  ///< for people and logs
  /// What runs: a program that the runner's machine has installed (`program_digest`), or an object
  /// that can be executed.
  Digest program{};
  std::vector<std::string> arguments{};
  /// Path in the job's folder -> the object whose bytes stand there.
  std::map<std::string, Digest> inputs{};
  /// Paths in the job's folder that become objects when it has ended, whatever its exit code is.
  /// `NAME/` is a folder: every file below it that is not an input. One that is not there is left
  /// out.
  std::vector<std::string> outputs{};
  std::int64_t timeout_ms = 0;  ///< 0: none
};

/// How a job ended.
struct Outcome {
  int exit_code = 0;  ///< 128 + signal when a signal ended it
  bool timed_out = false;
  double seconds = 0;
  std::int64_t peak_bytes = 0;              ///< resident set, as the kernel counted it
  std::map<std::string, Digest> outputs{};  ///< by path, `kLog` among them
};

/// Where steps and trials run. Thread-safe.
class Runner {
 public:
  virtual ~Runner() = default;
  /// Starts it and returns a handle for the other calls. `objects` has the inputs and gets the
  /// outputs; it must outlive the job. kInvalid (`job-invalid`): a path that leaves the job's
  /// folder, or that two things have. kNotFound: an input is not there. kUnavailable: it cannot be
  /// started, for example because this machine does not have the program.
  [[nodiscard]] virtual Result<std::int64_t> start(const Job& job, store::Objects& objects) = 0;
  /// Waits for its end, once; its folder is gone then. kIo when its outputs could not be kept.
  [[nodiscard]] virtual Result<Outcome> wait(std::int64_t handle) = 0;
  [[nodiscard]] virtual Result<bool> finished(std::int64_t handle) = 0;
  /// What stands in an output now, `kLog` or a path, for who looks on while it runs. kNotFound when
  /// nothing does.
  [[nodiscard]] virtual Result<std::string> peek(std::int64_t handle, std::string_view output) = 0;
  virtual void stop(std::int64_t handle) = 0;
};

/// Names a program file by what it is: the identity that the linker wrote into it (GNU build-id),
/// else the digest of its bytes. A job that names it runs on each machine that has the same one.
[[nodiscard]] Result<Digest> program_digest(const std::string& path);

/// What `kStateVariable` says, in a job. kInvalid `job-outside` where no runner set it.
[[nodiscard]] Result<std::string> state_here();

/// kInvalid `job-invalid` for what no runner may start.
[[nodiscard]] Result<void> check(const Job& job);

}  // namespace heddle::jobs
