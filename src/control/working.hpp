#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/process.hpp"
#include "base/result.hpp"
#include "control/home.hpp"
#include "control/replies.hpp"

namespace heddle::control {

/// Commands that take long and that somebody asks a running control plane for (`run`, `score`):
/// each in a process of its own (docs/adr/0010), one of a name at a time. They are commands on this
/// project, as a person gives them, and no jobs for any machine. Who asks is told to ask again
/// until it has ended. Confined to the control thread.
class Working {
 public:
  Working(const Home& home, std::string executable)
      : home_(home), executable_(std::move(executable)) {}
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

  /// What the command `name` with these words has come to; the first call starts it, and one that
  /// has ended is told once. kConflict `work-in-progress` while it runs with other words; the
  /// command's own error when it failed. `waits`: returns when it has ended.
  [[nodiscard]] Result<WorkReply> ask(const std::string& name,
                                      const std::vector<std::string>& words, bool waits);

 private:
  struct Running {
    std::vector<std::string> words;
    ChildProcess process;
  };

  [[nodiscard]] std::string folder(const std::string& name) const;
  [[nodiscard]] Result<Running> start(const std::string& name,
                                      const std::vector<std::string>& words) const;
  [[nodiscard]] Result<WorkReply> ended(const std::string& name, const ExitStatus& exit) const;

  const Home& home_;
  std::string executable_;
  std::map<std::string, Running> running_;
};

}  // namespace heddle::control
