#pragma once

#include <string>
#include <vector>

#include "batch/profile_format.hpp"
#include "control/operations.hpp"
#include "control/replies.hpp"

namespace heddle::control {

/// Which bundle a file would be scored by; `slot`: `primary`, `standby` or a digest that was
/// released. kUnavailable while nothing is released there or the service is stopped.
[[nodiscard]] Result<OpenScoreReply> open_batch(Control::Core& core,
                                                const std::string& service_name, std::string slot);

/// The decision that a scored file may be used, and its record, the profile `heddle.batch/1`.
/// Counts and digests go into the ledger, the profile into the objects and beside the service.
/// kDenied when policy says no, kInvalid `batch-malformed` of another profile.
[[nodiscard]] Result<RecordScoreReply> record_batch(Control::Core& core,
                                                    const std::string& service_name,
                                                    const doc::Value& profile,
                                                    const policy::Actor& actor);

/// The profiles of the batches of a service that were recorded, oldest first.
[[nodiscard]] Result<std::vector<batch::FileProfile>> recorded_batches(Control::Core& core,
                                                                       const std::string& service);

}  // namespace heddle::control
