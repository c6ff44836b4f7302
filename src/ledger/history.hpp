#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace heddle::ledger {

/// Every checkpoint that was ever signed, in `<directory>/history`: the notes one after the other,
/// an empty line after each. The last one may be torn by a crash and then does not count.
struct History {
  std::vector<std::string> notes;
  std::string torn{};           ///< what stands after the last whole one
  std::size_t whole_bytes = 0;  ///< of the file, up to the end of the last whole note
};
[[nodiscard]] Result<History> read_history(const std::string& directory);
/// Appends and syncs; first cuts off what a crash left half-written after `whole_bytes`.
[[nodiscard]] Result<void> append_history(const std::string& directory, std::size_t whole_bytes,
                                          std::string_view note);

}  // namespace heddle::ledger
