#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "replay/quality.hpp"
#include "spec/fault.hpp"

namespace heddle::healing {

/// A replay of recorded traffic against the control of one service, in one process: journal, watch,
/// ladder, policy, approvals and retrains are the real ones; the data plane is played by a few
/// lines that score rows by the route table in force. It takes seconds where the whole takes
/// minutes, so that many faults can be tried.
struct Options {
  std::string project;  ///< a project after `heddle run`, with the example's definitions; copied,
                        ///< never changed
  std::string binary;   ///< `heddle`, for retrains
  std::string scratch;  ///< an empty folder
  int every = 3;
  Micros from = 0;
  Micros to = 0;
  std::vector<spec::Fault> faults{};
  Micros transform_after =
      2 * kDay;  ///< a person says yes so long after being asked; negative: never
  Micros others_after = 4 * kHour;
  bool labels_are_right = false;  ///< what a person says of labels that look turned over; false:
                                  ///< nobody knows
};

/// An incident as it stood at the end.
struct Seen {
  std::string id;
  std::string cause;
  std::string reason;
  std::string response;
  std::string step;
  Micros raised_at = 0;
  Micros confirmed_at = 0;
  bool is_open = false;
  bool is_stuck = false;              ///< open, and in one step for longer than any deadline
  std::vector<std::string> timeline;  ///< `2001-05-04T10:00 what`
};

struct Account {
  /// Over the labels as the world had them, and the rows that Heddle served. The oracle is the
  /// first release refitted on five days of rows after each true change.
  std::vector<replay::PeriodQuality> months;
  std::vector<replay::PeriodQuality> days;
  std::vector<std::string> decisions;        ///< `2001-05-04 slot.swap applied: reason`
  std::vector<Seen> incidents;               ///< in order of opening
  std::vector<std::string> failed_retrains;  ///< that could not be done; a gate is no such thing
  std::int64_t refused = 0;
};

[[nodiscard]] Result<Account> play(const Options& options);

}  // namespace heddle::healing
