#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "table/input.hpp"
#include "table/stream.hpp"
#include "table/table.hpp"

namespace heddle::table {

/// What reads and writes files, in a library of its own: Arrow and Parquet bring 30,000 symbols
/// that the dynamic loader binds at start, half of the time of a command that reads no rows. The
/// library has its own copy of the modules below this one, which keep no state that both would have
/// to see. Private to this module.
struct Files {
  Result<Table> (*read)(const Input& input, const ReadOptions& options);
  Result<std::vector<ColumnInfo>> (*schema)(const Input& input);
  Result<std::string> (*words)(const Input& input,
                               const std::map<std::string, Type, std::less<>>& types);
  Result<std::unique_ptr<TableReader>> (*reader)(const Input& input, const ReadOptions& options);
  Result<void> (*write)(const Table& table, const std::string& path);
  Result<std::unique_ptr<TableWriter>> (*writer)(const std::string& path,
                                                 std::vector<ColumnInfo> columns);
};

}  // namespace heddle::table

/// The one symbol that the library has for others. Never null; lives as long as the program.
extern "C" const heddle::table::Files* heddle_table_files() noexcept;
