#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "control/operations.hpp"
#include "doc/schema.hpp"

namespace heddle::control {

/// What is known of a trigger: up to where it has looked, and what came of it last. A row of
/// collection `triggers`, by its name; the row of one that the project does not have any more is
/// removed.
struct TriggerRow {
  Micros looked = 0;        ///< `schedule`: wall time up to which every time was heeded
  std::string data{};       ///< `new_data`: digest of the names, sizes and times of the files
  std::int64_t labels = 0;  ///< `labels`: joined, when it was last started
  std::vector<std::string> incidents{};  ///< `alert`: those that were there

  std::int64_t fired = 0;   ///< how often it was
  Micros fired_at = 0;      ///< wall time; 0: never
  std::string reason{};     ///< why
  std::string approval{};   ///< that its start waits for; empty: none
  bool runs = false;        ///< its run goes on
  Micros ended_at = 0;      ///< wall time; 0: none ended
  std::string outcome{};    ///< one sentence
  std::string candidate{};  ///< that it made; empty: none
  bool operator==(const TriggerRow&) const = default;
};
[[nodiscard]] const doc::Schema<TriggerRow>& trigger_row_schema();

/// Starts the runs that are due: a decision each (action `run.start`, target `model/NAME`, by
/// `agent:trigger`), then the run in a process of its own, then an entry `run.ended` and a
/// notification to those who are told of the model's services. A trigger that was never looked at
/// begins with what is there. Nothing starts while a service of the model is stopped. Call it about
/// once a second. A trigger that fails is logged, and the others go on; the first error is
/// returned.
[[nodiscard]] Result<void> look_at_triggers(Control::Core& core);

/// As they stand, for `status`: in the order of heddle.yaml, one without a row with none.
struct ShownTrigger {
  const spec::Trigger* trigger;
  TriggerRow row;
};
[[nodiscard]] Result<std::vector<ShownTrigger>> shown_triggers(Control::Core& core);

}  // namespace heddle::control
