#pragma once

#include "doc/schema.hpp"
#include "flow/cache.hpp"
#include "flow/flow.hpp"

namespace heddle::flow {

/// `heddle plan --json`, the operation `plan`.
[[nodiscard]] const doc::Schema<Plan>& plan_schema();
/// What a finished run leaves: `MODEL.candidate.json` of the cache. kCorrupt `candidate-damaged`.
[[nodiscard]] const doc::Schema<Candidate>& candidate_schema();
/// `result` of a step's `step.json`.
[[nodiscard]] const doc::Schema<StepRecord>& step_record_schema();

}  // namespace heddle::flow
