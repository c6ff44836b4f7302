#include "base/file.hpp"
#include "store/store.hpp"

namespace heddle::store {

Result<Digest> Objects::add_file(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  return put(bytes);
}

Result<void> Objects::place(const Digest& digest, const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string bytes, get(digest));
  return write_file_atomic(path, bytes, 0444);
}

}  // namespace heddle::store
