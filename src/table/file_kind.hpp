#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace heddle::table {

enum class Format { kParquet, kCsv, kJson, kArrow };  ///< kJson: an object a line

[[nodiscard]] std::string_view name_of(Format format);
[[nodiscard]] constexpr bool is_text(Format format) noexcept {
  return format == Format::kCsv || format == Format::kJson;
}

/// What a file of text may be compressed with.
enum class Packing { kNone, kGzip, kZstd, kBzip2, kLz4 };

[[nodiscard]] Packing packing_of(std::string_view head) noexcept;
[[nodiscard]] std::string_view name_of(Packing packing);  ///< "gzip"; empty for none

/// The format that a name says, and the separator of cells where it says that too: `x.tsv.gz`.
struct Named {
  Format format = Format::kCsv;
  std::optional<char> delimiter{};
};
[[nodiscard]] std::optional<Named> format_named(std::string_view path);

/// The first bytes of a file.
[[nodiscard]] std::string head_of(const std::string& path);

/// What people pass for a table in `format` and is none: an archive, a workbook, a table in another
/// format, a Git LFS pointer, a web page. Told by the first bytes; the error says what the file is
/// and what to do. Nothing for what may be such a table, damaged or not. `inside`: the bytes were
/// packed so.
[[nodiscard]] std::optional<Error> not_a_table(const std::string& path, std::string_view head,
                                               Format format, Packing inside = Packing::kNone);

}  // namespace heddle::table
