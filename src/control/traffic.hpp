#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "plane/journal.hpp"
#include "spec/contract.hpp"
#include "stats/task.hpp"
#include "table/table.hpp"

namespace heddle::control {

/// Served rows of recorded traffic with their labels, in event-time order.
struct LabelledRows {
  table::Table
      rows;  ///< the request fields as received, typed by the contract, before its transforms
  std::vector<stats::Label> labels;  ///< of the task's type
  std::vector<Micros> event_times;
  /// Names of label accounts, the first one empty, and for each row who alone labelled it: 0 when
  /// several said the same, or nobody knows who did.
  std::vector<std::string> accounts{""};
  std::vector<std::uint16_t> label_accounts{};
  std::uint64_t bytes = 0;  ///< of the journal that were read
  bool is_all = true;       ///< false: older traffic is there and was not read
  /// Rows left out since their label is of a class that the task does not have: by that class, the
  /// first `watch::kMostUnknownClasses` of them.
  std::map<std::string, std::int64_t> unknown_classes{};
  std::int64_t incomplete = 0;  ///< labelled rows left out by `every_field`
  std::string lacks{};          ///< a field that those do not have

  /// The labels by the task that they were read with.
  [[nodiscard]] Result<std::vector<double>> codes(const stats::Task& task) const;
};

struct TrafficSelection {
  Micros from = INT64_MIN;                ///< event time of the rows, inclusive
  Micros until = INT64_MAX;               ///< labels that became known later are not seen
  std::int64_t limit = INT64_MAX;         ///< the newest so many rows
  std::uint64_t most_bytes = UINT64_MAX;  ///< of the journal; a segment is read whole, one always
  plane::JournalPosition end{UINT64_MAX, 0};  ///< nothing behind it is read
  Micros to = INT64_MAX;                      ///< event time of the rows, exclusive
  /// What labels are: of another type they are left out; of a class that it does not have, too, and
  /// their rows are counted.
  stats::Task task{};
  /// Leave out rows that were recorded before the journal had all of the fields; else these are
  /// missing there.
  bool every_field = false;
  /// Called after each segment: bytes read, of at most, rows found.
  std::function<void(std::uint64_t, std::uint64_t, std::int64_t)> progress{};
};

/// Reads the journal in `spool` from its newest segment back, until it has the rows: requests and
/// the labels that came for them, as `watch::LabelOpinion` weighs them: of one account's labels the
/// one with the later event time counts, and a row that two accounts contradict each other about is
/// left out. Memory: the rows selected, one segment, and twenty labels for each row of
/// `limit`. What is damaged is left out.
[[nodiscard]] Result<LabelledRows> read_labelled_rows(const std::string& spool,
                                                      const std::vector<spec::Field>& fields,
                                                      const TrafficSelection& selection);

/// Served rows of recorded traffic, labelled or not, in event-time order.
struct ServedRows {
  table::Table rows{};  ///< the fields as received, typed by the contract, before its transforms
  std::vector<std::string> ids{};  ///< row ids, `REQUEST#ROW`
  std::vector<Micros> event_times{};
  std::int64_t incomplete = 0;  ///< not among these: recorded before the journal had all fields
  bool is_all = true;           ///< false: older ones are there and were not read
};

/// The newest `limit` of them with event times in [from, to). Memory: these, and one segment. Not
/// for the control thread.
[[nodiscard]] Result<ServedRows> read_served_rows(const std::string& spool,
                                                  const std::vector<spec::Field>& fields,
                                                  Micros from, Micros to, std::int64_t limit);

}  // namespace heddle::control
