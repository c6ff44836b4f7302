#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "draft/draft.hpp"

namespace heddle::cli {

/// A path as a shell's command takes it, which never reads it as an option.
[[nodiscard]] std::string in_shell(const std::string& path);

/// Puts the files, which stand in the folder `drafted`, into `directory`; all of them or none.
/// A `.gitignore` that is there stays. kIo `init-write`: nothing is left of them, nor of the
/// folders that were made for them.
[[nodiscard]] Result<void> put_in_place(const std::string& drafted,
                                        const std::vector<draft::File>& files,
                                        const std::string& directory);

}  // namespace heddle::cli
