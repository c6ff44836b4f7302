#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "doc/schema.hpp"

namespace heddle::batch {

struct FieldCount {
  std::string name{};
  std::int64_t missing = 0;
};
/// How the scores fall, in bins of equal width over [0, 1].
struct ScoreCounts {
  std::int64_t bins = 0;
  std::vector<std::int64_t> counts{};
};
/// A metric of the bundle's baseline over the served rows.
struct MetricCounts {
  std::string id{};
  std::string column{};
  double statistic = 0;
  double threshold = 0;
  bool past = false;
  std::vector<std::int64_t> counts{};
};

/// `heddle.batch/1` (docs/score.md): what came of a scored file. Counts, and no value of a row.
struct FileProfile {
  Digest bundle{};
  std::string slot{};
  Digest input{};
  Digest output{};
  Digest refused_output{};
  /// The sources that `upstream` fields were computed from, those that the file did not have.
  std::map<std::string, Digest> joined{};
  std::int64_t rows = 0;
  std::int64_t served = 0;
  std::int64_t refused = 0;
  std::int64_t warned = 0;
  std::map<std::string, std::int64_t> rules{};  ///< rows that broke each
  /// Values that each repair changed, those that changed any. Profiles of before there were repairs
  /// have none.
  std::map<std::string, std::int64_t> repaired{};
  std::vector<FieldCount> fields{};
  std::optional<ScoreCounts> scores{};  ///< a regression has none
  std::vector<MetricCounts> metrics{};
};

/// kInvalid `batch-malformed`.
[[nodiscard]] const doc::Schema<FileProfile>& profile_schema();

}  // namespace heddle::batch
