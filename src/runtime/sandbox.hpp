#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::runtime {

/// What keeps a worker apart from the machine, each as far as this machine gives it. A worker runs
/// behind those that are there; what is missing is said, or refused where the model demands all.
struct Layers {
  bool user = false;     ///< an unprivileged user without capabilities, whose processes are counted
  bool mount = false;    ///< a root folder of its own with what it may read, and one scratch folder
  bool pid = false;      ///< sees and reaches no process of others; what it started ends with it
  bool proc = false;     ///< /proc of its own processes alone, by which their memory is added up
  bool network = false;  ///< a network without an interface; no abstract sockets of others
  bool ipc = false;      ///< System V objects, host name and control groups of its own
  bool seccomp = false;  ///< calls of the kernel that a model needs, no others
  int landlock = 0;      ///< ABI of the kernel; 0: none. From 4 no TCP, from 6 no signals to others

  [[nodiscard]] bool whole() const noexcept;
};
/// The layers in force: `user, mount, ..., landlock 7`; `none`.
[[nodiscard]] std::string text_of(const Layers& layers);
/// Names of those that are missing; empty when none is.
[[nodiscard]] std::string missing_of(const Layers& layers);

/// A program and the sandbox around it. Paths are absolute and without links.
struct Launch {
  std::string program{};
  std::vector<std::string> arguments{};  ///< with the program's name
  std::vector<std::string> environment{};
  std::string directory{};              ///< where it is started; readable
  std::string scratch{};                ///< the one folder that it may write
  std::string base{};                   ///< an empty folder, over which its root is made
  std::vector<std::string> readable{};  ///< folders and files, beside those of the system
  std::string hidden{};                 ///< a folder never seen, `directory` and `scratch` below it
                                        ///< excepted; empty: none
  std::int64_t memory_bytes = 0;        ///< of all its processes; its scratch folder may hold a
                                        ///< quarter as much again
};

/// The folders that every worker may read.
inline constexpr std::string_view kSystemFolders[] = {
    "/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin",
    // How many cores there are, and how they hang together.
    "/sys/devices/system/cpu", "/sys/devices/system/node", "/etc/ld.so.cache", "/etc/ld.so.conf",
    "/etc/ld.so.conf.d", "/etc/localtime", "/etc/alternatives", "/etc/ssl/openssl.cnf",
    "/etc/ssl/certs", "/etc/nsswitch.conf", "/etc/mime.types"};

// What a launcher does to itself, step by step (launcher.cpp). Each says whether it is in force.

/// Replaces the root folder by an empty one with what `launch` names, everything read-only but the
/// scratch folder, which becomes the property of `owner`. Needs a mount namespace of its own.
[[nodiscard]] bool enter_root(const Launch& launch, std::uint32_t owner, bool own_processes);
/// Its Landlock rules. `own_root`: the root folder is one that `enter_root` made.
[[nodiscard]] int restrict_files(const Launch& launch, bool own_root);
/// The filter of calls. Without a root of its own it may not connect to sockets either: those of
/// others are in its sight.
[[nodiscard]] bool restrict_calls(bool own_root);

}  // namespace heddle::runtime
