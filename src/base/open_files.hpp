#pragma once

#include <cstdint>

namespace heddle {

/// Raises this process's limit of open files to what the system allows it, and returns the limit.
/// A server calls it before it listens: the usual limit of 1,024 is for programs that use `select`.
std::uint64_t raise_open_files() noexcept;

}  // namespace heddle
