#pragma once

#include <string>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "flow/cache.hpp"

namespace heddle::flow {

struct Definitions;
struct Recorded;

/// Where the rows of a run come from, known before they are read: a file, or recorded traffic. The
/// steps are the same over both.
struct Source {
  std::string name{};   ///< of a file: in `sources` of heddle.yaml
  std::string what{};   ///< for people: file `data/rows.parquet`
  std::string path{};   ///< of the file
  std::string stamp{};  ///< of the file, as it was when `content` was known
  Digest content{};     ///< of its bytes, or of the recorded rows and what is known of them
  const Recorded* recorded = nullptr;  ///< borrowed; null: a file
};

/// The file of the model's source. Its bytes are read unless the cache knows the digest of a file
/// of this stamp (size, inode, time of the last write): a project that was moved or copied has the
/// same content under another path. kNotFound, kInvalid.
[[nodiscard]] Result<Source> source_of(const Definitions& definitions, const Cache& cache);

[[nodiscard]] Source source_of(const Recorded& recorded);

/// Lets the next run know the file by its stamp alone. A file that was written to a moment ago may
/// be written to again under the same stamp, and is not remembered.
[[nodiscard]] Result<void> remember(const Source& source, const Cache& cache);

/// kConflict when the file is not the one any more that `source` is of. What is recorded stays.
[[nodiscard]] Result<void> check_unchanged(const Source& source);

}  // namespace heddle::flow
