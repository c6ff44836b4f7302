#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "spec/contract.hpp"
#include "table/table.hpp"

namespace heddle::control {

/// Served rows of recorded traffic with their labels, in event-time order.
struct LabelledRows {
  table::Table
      rows;  ///< the request fields as received, typed by the contract, before its transforms
  std::vector<std::uint8_t> labels;  ///< 0 or 1
  std::vector<Micros> event_times;
};

struct TrafficSelection {
  Micros from = INT64_MIN;         ///< event time of the rows, inclusive
  Micros until = INT64_MAX;        ///< labels that became known later are not seen
  std::int64_t limit = INT64_MAX;  ///< the newest so many rows
};

/// Reads the journal in `spool` from its oldest segment: requests and the labels that came for
/// them. Of labels that differ the one with the later event time counts (DESIGN 4, Labels). Memory
/// is proportional to the rows selected. kCorrupt when a segment is damaged before its end.
[[nodiscard]] Result<LabelledRows> read_labelled_rows(const std::string& spool,
                                                      const std::vector<spec::Field>& fields,
                                                      const TrafficSelection& selection);

/// The newest `limit` refused or quarantined rows of the journal, oldest first: {"request_id",
/// "row", "event_time", "source", "outcome", "rules": [..], "fields": {..}}; of one source, or of
/// all when `source` is empty.
[[nodiscard]] Result<doc::Value> read_refused_rows(const std::string& spool,
                                                   const std::string& source, std::size_t limit);

}  // namespace heddle::control
