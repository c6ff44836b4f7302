#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace heddle::runtime {

struct TarLimits {
  std::size_t files = 20'000;
  std::size_t bytes = std::size_t{4} << 30;  ///< of all contents
};

struct PackedFile {
  std::string path;  ///< relative to the folder
  bool executable = false;
};

/// What `pack_folder` packs, by path, with its errors.
[[nodiscard]] Result<std::vector<PackedFile>> packed_files(const std::string& folder,
                                                           const TarLimits& limits = {});

/// The files under `folder` as a POSIX ustar archive: sorted by path, mode 0644 or 0755, no times
/// and no owners, so that equal folders give equal bytes. Python's `__pycache__` folders are left
/// out. kInvalid (`runtime-files`) for a link, a device, a path past what ustar holds, an empty
/// folder; kTooLarge past the limits.
[[nodiscard]] Result<std::string> pack_folder(const std::string& folder,
                                              const TarLimits& limits = {});

/// Writes an archive's files into `folder`, which must not exist yet. Only regular files and
/// folders: a link, a device, an absolute path,
/// `..`, an entry twice, a broken checksum, a length past the end is kCorrupt (`runtime-tar`), and
/// nothing is left behind.
[[nodiscard]] Result<void> unpack(std::string_view archive, const std::string& folder,
                                  const TarLimits& limits = {});

}  // namespace heddle::runtime
