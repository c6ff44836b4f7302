#pragma once

#include "doc/schema.hpp"
#include "evaluate/difference.hpp"
#include "evaluate/evaluate.hpp"
#include "evaluate/numbers_form.hpp"
#include "evaluate/retrain_evidence.hpp"

namespace heddle::evaluate {

/// `heddle.evaluation/1`: `evaluation.json` of a bundle (docs/gates.md). No times, no paths: the
/// same evidence gives the same bytes. kCorrupt `evidence-malformed`.
[[nodiscard]] const doc::Schema<Evidence>& evidence_schema();
/// Its member `retrain`. kCorrupt `evidence-malformed`.
[[nodiscard]] const doc::Schema<RetrainEvidence>& retrain_evidence_schema();
/// Its member `base`: what served, measured or not.
void read_base(const doc::Value& value, doc::Reader& reader, BaseEvidence& into);
[[nodiscard]] doc::Value print_base(const BaseEvidence& base);
/// One metric of two models: `name`, `base`, `candidate`, `difference`, `standard_error`, `low` and
/// `high`, the ends of the confidence interval of the difference; null where not known.
[[nodiscard]] const doc::Schema<Difference>& difference_schema();

}  // namespace heddle::evaluate
