#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "table/one_file.hpp"
#include "table/stream.hpp"
#include "table/table.hpp"

namespace heddle::table {

/// A file of rows as JSON objects, one a line (NDJSON): its values have the types that they have in
/// a request, and are read like those. A column's names are those that any row has; a row without
/// one has no value there. A column that no contract speaks of has the type that all of its values
/// have, or is text: the JSON of each value where they differ. Private to this module.
[[nodiscard]] Result<std::unique_ptr<TableReader>> open_json_lines(const std::string& path,
                                                                   const Form& form,
                                                                   const ReadOptions& options);
[[nodiscard]] Result<Table> read_json_lines(const std::string& path, const Form& form,
                                            const ReadOptions& options);
[[nodiscard]] Result<std::vector<PartColumn>> columns_of_json_lines(const std::string& path,
                                                                    const Form& form);

}  // namespace heddle::table
