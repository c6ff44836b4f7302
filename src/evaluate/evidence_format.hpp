#pragma once

#include "doc/schema.hpp"
#include "evaluate/evaluate.hpp"
#include "evaluate/paired.hpp"

namespace heddle::evaluate {

/// `heddle.evaluation/1`: `evaluation.json` of a bundle (docs/gates.md). No times, no paths: the
/// same evidence gives the same bytes. kCorrupt `evidence-malformed`.
[[nodiscard]] const doc::Schema<Evidence>& evidence_schema();
/// One metric of two models: `name`, `base`, `candidate`, `difference`, `standard_error`, `low` and
/// `high`, the ends of the confidence interval of the difference; null where not known.
[[nodiscard]] const doc::Schema<Difference>& difference_schema();
/// {NAME: NUMBER}; null: not known.
[[nodiscard]] doc::Value print_numbers(const Numbers& numbers);

}  // namespace heddle::evaluate
