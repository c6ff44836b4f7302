#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "stats/task.hpp"

namespace heddle::recover {

class Cause;
[[nodiscard]] const Cause& unknown_cause();

/// Why a confirmed alert stands, as far as the windows say.
struct Diagnosis {
  const Cause* cause = &unknown_cause();  ///< a row of `causes()`
  std::string column{};                   ///< that it is about; empty: of none
  std::string source{};                   ///< whose rows break the contract; empty: all
  std::string account{};                  ///< who sends the rows of `source`; empty: nobody knows
  std::string only_account{};  ///< columns and labels: the one whose rows alone show it, where
                               ///< several use the service; empty: the rows of several do
  std::string rule{};          ///< contract rule that broke
  std::int64_t good_rows = 0;  ///< contract fault, unit change: rows a day of this account and
                               ///< source that break no rule
  std::string only_label_account{};  ///< the one whose labels alone show it, where several send
                                     ///< labels; empty: the labels of several do
  double ratio = 1;                  ///< unit change: value / expected
  std::string ratio_name{};
  int lag_hours = 0;              ///< time shift, of the rows as they were received
  std::vector<double> offsets{};  ///< prior shift: what would have to be added to the margins
  Micros change_from = 0;         ///< event time from which rows are affected
  stats::TaskKind task = stats::TaskKind::kBinary;  ///< of what served then
  std::int64_t classes = 0;                         ///< of it; 0: it is of none
  double coverage = 0;                              ///< declared of its intervals; 0: it has none
  std::string reason{};                             ///< one sentence for people

  bool operator==(const Diagnosis&) const = default;
};

}  // namespace heddle::recover
