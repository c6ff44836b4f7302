#include "table/files.hpp"

#include <dlfcn.h>

#include <fmt/format.h>

namespace heddle::table {
namespace {

// Beside the program's other libraries: where the program's own RPATH points to.
constexpr const char* kLibrary = "libheddle_files.so";

/// Opened at first use and never closed: readers, writers and their tables of functions are its.
Result<const Files*> files() {
  using Get = const Files*() noexcept;
  static const auto opened = []() -> Result<const Files*> {
    // Lazily: Arrow's functions are bound when they are called. Local: what Arrow brings of other
    // libraries (OpenSSL, for example) stands in for nobody's.
    void* handle = dlopen(kLibrary, RTLD_LAZY | RTLD_LOCAL);
    void* found = handle == nullptr ? nullptr : dlsym(handle, "heddle_table_files");
    if (found != nullptr) return reinterpret_cast<Get*>(found)();
    const char* why = dlerror();
    return Error{
        ErrorKind::kUnavailable, "table-library",
        fmt::format("cannot open `{}`: {}", kLibrary, why == nullptr ? "it is not whole" : why),
        "install Heddle again, whole: files of rows are read by a library beside the program"};
  }();
  return opened;
}

}  // namespace

Result<Table> read_table(const Input& input, const ReadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(const Files* by, files());
  return by->read(input, options);
}

Result<std::vector<ColumnInfo>> read_schema(const Input& input) {
  HEDDLE_ASSIGN_OR_RETURN(const Files* by, files());
  return by->schema(input);
}

Result<std::string> form_in_words(const Input& input,
                                  const std::map<std::string, Type, std::less<>>& types) {
  HEDDLE_ASSIGN_OR_RETURN(const Files* by, files());
  return by->words(input, types);
}

Result<std::unique_ptr<TableReader>> TableReader::open(const Input& input,
                                                       const ReadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(const Files* by, files());
  return by->reader(input, options);
}

Result<void> write_parquet(const Table& table, const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const Files* by, files());
  return by->write(table, path);
}

Result<std::unique_ptr<TableWriter>> TableWriter::open(const std::string& path,
                                                       std::vector<ColumnInfo> columns) {
  HEDDLE_ASSIGN_OR_RETURN(const Files* by, files());
  return by->writer(path, std::move(columns));
}

}  // namespace heddle::table
