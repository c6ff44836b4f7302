#pragma once

#include <span>
#include <string_view>

namespace heddle::train {

/// A file of the package `heddle` (`python/heddle`), as this program was built with it.
struct PackagedFile {
  std::string_view path;  ///< `heddle/...`
  std::string_view bytes;
};

[[nodiscard]] std::span<const PackagedFile> python_package();

}  // namespace heddle::train
