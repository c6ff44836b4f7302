#pragma once

#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "evaluate/evaluate.hpp"
#include "flow/flow.hpp"
#include "flow/recorded.hpp"
#include "spec/project.hpp"

namespace heddle::flow {

struct RetrainOutcome {
  Digest bundle{};                   ///< empty when a gate failed
  evaluate::Numbers metrics{};       ///< of the candidate, on the held-out rows
  evaluate::Numbers base_metrics{};  ///< of what serves, on the same
  evaluate::RetrainEvidence judged{};
  bool gates_passed = false;
  std::vector<std::string> failed_gates{};
  std::int64_t train_rows = 0;
  std::int64_t holdout_rows = 0;
};

/// A run of `model` over recorded traffic: the steps of `run`, with the accepted recipe in place of
/// a search, and with what serves as the base of every gate on `base.*`. Beside the Evaluation's
/// gates stand `retrain-beats-base` and, where it can be told, `retrain-holds-for-other-labels`.
/// `host.state_dir` is a folder of its own: what it caches there lets a retrain that was killed go
/// on. The same recorded rows and definitions give the same bundle. kInvalid when there are too few
/// rows or one class only, and when the recipe is of another trainer than the model's.
[[nodiscard]] Result<RetrainOutcome> retrain(const spec::Project& project, const std::string& model,
                                             const Host& host, const Recorded& recorded);

}  // namespace heddle::flow
