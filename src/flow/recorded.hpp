#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "flow/flow.hpp"
#include "stats/task.hpp"
#include "table/table.hpp"

namespace heddle::flow {

/// Labelled rows from before the change that a retrain is about, which neither the candidate nor
/// the base has learned from.
struct RowsBefore {
  table::Table rows{};
  std::vector<double> labels{};  ///< codes of the task of what serves
  std::string of{};              ///< where they are from, for people
  std::string why_not{};         ///< there are none
};

/// Recorded traffic with its labels: the source of a retrain. Vectors have one item a row.
struct Recorded {
  table::Table rows{};                ///< request fields as received, in event-time order
  stats::Task task{};                 ///< of what serves
  std::vector<double> labels{};       ///< codes of it
  std::vector<Micros> event_times{};  ///< ascending
  /// Who alone labelled each row, as a place in `accounts`, whose first name is empty (several did,
  /// or nobody knows); both empty: not known. Where others than the one that labelled most of what
  /// is trained on labelled held-out rows too, the candidate must not clearly lose on those.
  std::vector<std::uint16_t> label_accounts{};
  std::vector<std::string> accounts{};
  /// Rows that are not among these since their label is of a class that what serves does not have,
  /// by class. A retrain keeps the classes: what it was not taught is in its evidence.
  std::map<std::string, std::int64_t> left_out{};
  RowsBefore before{};  ///< what comes of them is evidence and no gate: the world may have changed
  /// What serves: rows are checked by what its contract learned and repaired, and `base.*` is what
  /// it answers to the held-out rows.
  Digest base{};
  /// It is of the model, and counts from the release of the run's primary until the next such.
  Recipe recipe{};

  [[nodiscard]] Digest content() const;
};

}  // namespace heddle::flow
