#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace heddle::table {

/// What the names of a file's columns are held to, whatever the file's format. Private to this
/// module.

/// A name means one column, for every reader and in every file that is written from this one.
[[nodiscard]] Result<void> check_names(const std::string& path,
                                       const std::vector<std::string>& names);
/// kUnprocessable, with the names there are, nearest first.
[[nodiscard]] Error no_such_column(const std::string& path, const std::string& name,
                                   const std::vector<std::string>& names);

}  // namespace heddle::table
