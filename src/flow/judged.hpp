#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "evaluate/evaluate.hpp"
#include "flow/step.hpp"

namespace heddle::flow {

/// What a retrain's candidate is judged by beyond the Evaluation: labels of others than the account
/// it learned most from, and rows from before the change.
struct Judged {
  evaluate::RetrainEvidence evidence{};
  std::vector<spec::Gate> gates{};
  evaluate::Numbers numbers{};  ///< that only these gates read
};

/// Candidate and base on the held-out rows: margins are rows x task outputs. Those of the base are
/// NaN where it does not answer.
struct HeldOutAnswers {
  const stats::Task* task = nullptr;
  const table::Table* rows = nullptr;
  std::span<const float> candidate{};
  std::span<const float> base{};
  std::span<const double> labels{};
};

[[nodiscard]] Result<Judged> judge_retrain(Work& work, const RowSplit& parts,
                                           const HeldOutAnswers& answers);

/// The Evaluation as far as recorded traffic can tell: without the metrics and slices over label
/// fields, which it does not have. What is missing then is in `absent`, with the reason.
[[nodiscard]] spec::Evaluation without_label_fields(const spec::Evaluation& definition,
                                                    const table::Table& rows,
                                                    const spec::Contract& contract,
                                                    const stats::Task& task,
                                                    evaluate::Absent& absent);

}  // namespace heddle::flow
