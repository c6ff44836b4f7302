#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "table/file_kind.hpp"
#include "table/input.hpp"
#include "table/stream.hpp"
#include "table/table.hpp"

namespace heddle::table {

/// One file of an input, of whichever format. Private to this module.

/// As a source declares it: `csv`.
[[nodiscard]] std::string_view word_of(Format format) noexcept;

/// By declaration or by name; what the first bytes contradict is an error.
[[nodiscard]] Result<Format> format_of(const std::string& path, const Form& form);

[[nodiscard]] Result<std::unique_ptr<TableReader>> open_one(const std::string& path,
                                                            const Form& form,
                                                            const ReadOptions& options);
[[nodiscard]] Result<Table> read_one(const std::string& path, const Form& form,
                                     const ReadOptions& options);

struct PartColumn {
  std::string name;
  Type type = Type::kDyn;  ///< kDyn: not read
  bool is_empty = false;   ///< it has no value and no type of its own
};
[[nodiscard]] Result<std::vector<PartColumn>> columns_of_one(const std::string& path,
                                                             const Form& form);

}  // namespace heddle::table
