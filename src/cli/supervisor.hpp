#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace heddle::cli {

/// Starts the planes as child processes and starts one again when it dies (`heddle up`). Holds no
/// state: kill it and the planes end with it; start it again and they go on from their own files.
/// Confined to the calling thread.
class Supervisor {
 public:
  struct Plane {
    std::string name;               ///< for people
    std::vector<std::string> argv;  ///< argv[0] is a path
    bool may_fail_at_start =
        false;  ///< when it ends by itself at once, it is tried again and the others go on
  };
  explicit Supervisor(std::vector<Plane> planes) : planes_(std::move(planes)) {}

  /// Returns when SIGINT or SIGTERM asked for an end and every plane has ended (SIGKILL after 10
  /// s), or with the error of a plane that says by its exit code that starting it again cannot help
  /// (a bad definition, a port in use).
  [[nodiscard]] Result<void> run();

 private:
  std::vector<Plane> planes_;
};

}  // namespace heddle::cli
