#pragma once

#include <string>
#include <vector>

namespace heddle::runtime {

/// What a worker may touch, as far as the kernel lets an ordinary process give it up: Landlock
/// (reads of system folders, the program's own and its files; writes only to its run folder; no
/// TCP, no signals to others), a network namespace without any interface, a mount namespace in
/// which `hidden` is empty but for the worker's own folder, no capabilities, no new privileges.
/// Made before the fork, entered after it.
class Sandbox {
 public:
  struct Options {
    std::vector<std::string> readable{};  ///< folders and files, beside those of the system
    std::string run{};                    ///< the one folder that can be written
    std::string instance{};               ///< holds the worker's files and `run`; below `hidden`
    std::string hidden{};                 ///< empty: nothing is hidden
  };
  explicit Sandbox(Options options);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  /// What `enter` could do; a failure is not the end: the parent says what is missing.
  struct Entered {
    bool network = false;
    bool hidden = false;
    bool files = false;    ///< Landlock
    int landlock_abi = 0;  ///< of the kernel; 4 and up: no TCP; 6 and up: no signals to others
  };
  /// In the child, between fork and exec: async-signal-safe calls only.
  [[nodiscard]] Entered enter() const noexcept;

 private:
  Options options_;
  int ruleset_ = -1;
  int abi_ = 0;
  std::vector<std::string>
      folders_;  ///< from `hidden` down to `instance`, to be made again over it
  std::string uid_map_, gid_map_;
};

}  // namespace heddle::runtime
