// The library that table/files.cpp opens: these functions are the ones of this library, not those
// of files.cpp, which have the same names in the program.
#include "table/files.hpp"

const heddle::table::Files* heddle_table_files() noexcept {
  using namespace heddle::table;
  static constexpr Files files{read_table,        read_schema,   form_in_words,
                               TableReader::open, write_parquet, TableWriter::open};
  return &files;
}
