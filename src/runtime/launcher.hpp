#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "runtime/sandbox.hpp"

namespace heddle::runtime {

/// A worker runs below two processes of ours. The *launcher* is this same program, started anew
/// under the name `kLauncher`: a small process without the data plane's memory, threads and
/// descriptors. It makes the namespaces, stays outside of them, adds up the memory of what runs
/// inside and ends with the data plane. Its child is the *init* of the process namespace: it makes
/// the root folder, gives up every right, starts the worker, reaps, and takes everything with it
/// when it ends.
inline constexpr const char* kLauncher = "heddle-sandbox";
/// Its one argument when it is in a mount namespace of its own already: a user namespace, which
/// that takes for who is not root, is for a process without threads, and a library of this program
/// may start one before `main`.
inline constexpr const char* kOwnMounts = "own-mounts";

// The descriptors of a launcher, beside its input and outputs, which the worker inherits.
inline constexpr int kChannelFd = 3;  ///< a socket of whole messages; a LaunchReport comes by it
inline constexpr int kLaunchFd = 4;   ///< a file with the bytes of the Launch

/// What a launcher says once, with its scratch folder's descriptor when it could start the program.
struct LaunchReport {
  Layers layers{};
  int failed = 0;  ///< errno
};

/// The bytes of a launch by the process `parent`.
[[nodiscard]] std::string encode(const Launch& launch, pid_t parent);
struct Launched {
  Launch launch{};
  pid_t parent = -1;
};
[[nodiscard]] std::optional<Launched> decode_launch(std::string_view bytes);

/// Sends `size` bytes as one message, with descriptors; false when the other end is gone.
bool send_message(int channel, const void* bytes, std::size_t size, const int* fds, int count);
/// Takes one message of exactly `size` bytes and up to `count` descriptors (-1: not sent).
bool receive_message(int channel, void* bytes, std::size_t size, int* fds, int count);

}  // namespace heddle::runtime
