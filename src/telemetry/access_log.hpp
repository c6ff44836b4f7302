#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "plane/journal.hpp"
#include "table/table.hpp"

namespace heddle::telemetry {

/// What one segment of the access log says of itself; its root is a ledger entry
/// (docs/formats/access-log.md).
struct AccessSegment {
  std::uint64_t segment = 0;  ///< the number of the journal segment it was made from
  std::int64_t requests = 0;
  std::int64_t rows = 0;
  std::int64_t served = 0;
  std::int64_t refused = 0;  ///< by the contract; quarantined and failed rows are neither
  Micros first_arrival = 0;  ///< wall clock; 0 without requests
  Micros last_arrival = 0;
  Digest root{};  ///< RFC 6962, over the rows in their order
};

struct AccessSource {
  std::string spool;          ///< of the service
  std::uint64_t segment = 0;  ///< finished: a later one exists
  bool fields = false;        ///< the values of the request fields are written too
  /// Digest of the bundle that `slot` had in that route table; empty when it is not known.
  std::function<std::string(std::uint64_t route_version, std::string_view slot)> bundle_of;
  /// Ids of the repairs that the contract of that bundle made to a row, comma-separated; nothing
  /// when that is not known. `names` are those of the row's fields.
  std::function<std::optional<std::string>(const std::string& bundle, const plane::RowRecord& row,
                                           std::span<const std::string> names)>
      repairs_of{};
};

[[nodiscard]] std::string access_path(const std::string& folder, std::uint64_t segment);
/// The numbers of the segments in `folder`, ascending.
[[nodiscard]] std::vector<std::uint64_t> list_access(const std::string& folder);

/// Turns a finished journal segment into `folder/NNNNNNNN.parquet`, whole or not at all; one that
/// is there is written over; a segment without rows makes none. Memory is bounded by 16,384 rows. A
/// salt, new at each call, keeps the root from saying anything of the rows once the file is gone.
[[nodiscard]] Result<AccessSegment> write_access(const AccessSource& source,
                                                 const std::string& folder);

/// Reads a segment back and computes its root from the rows that stand there. kNotFound when it is
/// gone, kConflict (`access-version`) when it is of another version, kCorrupt when it is no access
/// log.
[[nodiscard]] Result<AccessSegment> read_access(const std::string& folder, std::uint64_t segment);

/// Whether a file has the columns of an access log. kConflict (`access-version`), kCorrupt
/// (`access-format`).
[[nodiscard]] Result<void> check_access_columns(const std::vector<table::ColumnInfo>& found,
                                                const std::string& path);

/// What an access log may take of its disk, which has `free_bytes` left (negative: not known): the
/// `bytes` that its definition says, or a quarter of what it has and the disk has left, where that
/// is less. A disk that is filled by it takes nothing else any more.
[[nodiscard]] constexpr std::uint64_t access_bytes(std::uint64_t bytes, std::uint64_t has,
                                                   std::int64_t free_bytes) noexcept {
  if (free_bytes < 0) return bytes;
  return std::min(bytes, has / 4 + static_cast<std::uint64_t>(free_bytes) / 4);
}

/// The oldest segments, so many that at most `bytes` are left without them; the newest stays.
struct PastBound {
  std::uint64_t bytes = 0;  ///< by `access_bytes`
  std::vector<std::uint64_t> segments{};
};
[[nodiscard]] PastBound past_bound(const std::string& folder, std::uint64_t bytes,
                                   std::int64_t free_bytes);
/// Removes them. One that is gone already is no error.
[[nodiscard]] Result<void> remove_access(const std::string& folder,
                                         const std::vector<std::uint64_t>& segments);

}  // namespace heddle::telemetry
