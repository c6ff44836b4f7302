#pragma once

#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "flow/cache.hpp"
#include "flow/flow.hpp"
#include "spec/contract.hpp"
#include "table/input.hpp"

namespace heddle::flow {

struct Definitions;
struct Recorded;

/// Where the rows of a run come from, known before they are read: files, or recorded traffic. The
/// steps are the same over both.
struct Source {
  std::string name{};    ///< of a file: in `sources` of heddle.yaml
  std::string what{};    ///< for people: file `data/rows.parquet`; how text is written, if unusual
  table::Input input{};  ///< of files
  std::string stamp{};   ///< of the files, as they were when `content` was known
  Digest content{};      ///< of their bytes, or of the recorded rows and what is known of them
  Digest form{};         ///< of how they are written, as declared and as found; empty: as usual
  std::vector<spec::Field> joined{};   ///< `upstream` fields that the files lack: computed
  std::vector<Source> upstream{};      ///< what they are computed from, this source itself left out
  std::vector<Source> tables{};        ///< what features look up, by name
  const Recorded* recorded = nullptr;  ///< borrowed; null: a file
  const Recipe* recipe = nullptr;      ///< borrowed; null: a search finds one
};

/// The files of the model's source. Their bytes are read unless the cache knows the digest of files
/// of this stamp (sizes, inodes, times of the last write): a project that was moved or copied has
/// the same content under another path. Of rows without their `upstream` fields also the sources of
/// these, and the tables that features look up. kNotFound, kInvalid.
[[nodiscard]] Result<Source> source_of(const Definitions& definitions, const Cache& cache);

[[nodiscard]] Source source_of(const Recorded& recorded);

/// Lets the next run know the files by their stamp alone. A file that was written to a moment ago
/// may be written to again under the same stamp, and is not remembered.
[[nodiscard]] Result<void> remember(const Source& source, const Cache& cache);

/// kConflict when a file is not the one any more that `source`, or an upstream of it, is of. What
/// is recorded stays.
[[nodiscard]] Result<void> check_unchanged(const Source& source);

}  // namespace heddle::flow
