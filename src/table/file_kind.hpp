#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"

namespace heddle::table {

enum class Format { kParquet, kCsv, kJson };  ///< kJson: an object a line

/// What people pass for a table in `format` and is none: an archive, a workbook, a table in another
/// format, a Git LFS pointer, a web page. Told by the first bytes; the error says what the file is
/// and what to do. Nothing for what may be such a table, damaged or not.
[[nodiscard]] std::optional<Error> not_a_table(const std::string& path, Format format);

}  // namespace heddle::table
