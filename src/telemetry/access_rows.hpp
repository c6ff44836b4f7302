#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "plane/journal.hpp"

namespace heddle::telemetry {

/// A request as a segment of the access log has it.
struct AccessRequest {
  std::uint64_t segment = 0;
  /// Its rows have fields only where the service asked for them; what was answered is the slot's
  /// prediction alone.
  plane::RequestRecord request{};
  std::string bundle{};               ///< digest; empty: it was not known
  std::vector<std::string> fields{};  ///< names of the rows' fields, in their order; empty: none
  /// Ids of repairs, one list a row; none: not known.
  std::vector<std::optional<std::vector<std::string>>> repairs{};
};

/// The request of that id in the newest segment that has it; of several there the last one. Reads
/// the segments of `folder` from the newest back, one chunk at a time. kConflict `access-version`,
/// kCorrupt `access-format`: a segment is of another version, or no access log.
[[nodiscard]] Result<std::optional<AccessRequest>> find_access_request(const std::string& folder,
                                                                       std::string_view request_id);

}  // namespace heddle::telemetry
