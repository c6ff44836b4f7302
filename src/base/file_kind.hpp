#pragma once

#include <optional>
#include <string_view>

namespace heddle {

/// What a file is that holds something else than its reader wants, told by its first bytes. The one
/// list of what people give for a model and for a table alike; each reader adds its own and says
/// what to do.
struct FileKind {
  enum class Family { kCompressed, kArchive, kZip, kLfsPointer, kWebPage, kUtf16, kArrow, kHdf5 };
  Family family;
  std::string_view is;  ///< for a message: "compressed with gzip"
};

/// `head`: the first 512 bytes or more. Nothing for what is none of the list.
[[nodiscard]] std::optional<FileKind> file_kind(std::string_view head) noexcept;

}  // namespace heddle
