#pragma once

#include <string_view>

namespace heddle {

/// A place where a test may end the process as `kill -9` would (CONTRIBUTING.md). Does nothing
/// unless the environment variable HEDDLE_FAILPOINTS named a folder when the process first came
/// here; when that folder then holds a file `name`, the file is removed and the process raises
/// SIGKILL. Any thread may call it; without the variable it costs one comparison.
void failpoint(std::string_view name) noexcept;

}  // namespace heddle
