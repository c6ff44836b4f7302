#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/result.hpp"
#include "control/home.hpp"

namespace heddle::cli {

/// Held by the one data plane of a project for as long as its process has anything open: its ports,
/// its journal. A killed process has them until the last of its threads is back from the disk, long
/// after its parent is gone. Movable; one of a file in a process.
class DataPlaneLock {
 public:
  struct Options {
    std::string path;
    std::function<bool()> answers;               ///< whether the data plane that holds it answers
    std::chrono::milliseconds patience{30'000};  ///< with one that ends
    std::chrono::milliseconds grace{3'000};      ///< with one that answers: it does not end
  };
  /// Waits for a data plane that is ending, and says so. kConflict (`data-plane-runs`,
  /// `data-plane-ends`) when another one holds it after that. A disk that takes no lock keeps
  /// nobody from serving: it is said, and nothing is held.
  [[nodiscard]] static Result<DataPlaneLock> take(const Options& options);
  [[nodiscard]] static Result<DataPlaneLock> take(const control::Home& home);

  DataPlaneLock(DataPlaneLock&& other) noexcept;
  DataPlaneLock& operator=(DataPlaneLock&&) = delete;
  ~DataPlaneLock();

 private:
  explicit DataPlaneLock(int fd) : fd_(fd) {}
  int fd_;  ///< -1: nothing is held
};

}  // namespace heddle::cli
