#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "doc/schema.hpp"
#include "spec/model.hpp"
#include "stats/task.hpp"

namespace heddle::train {

// What a search and the process of a trial tell each other: `params.json` and `result.json` of the
// trial's folder.

/// `heddle.trial/2`.
struct TrialParams {
  stats::Task task{};
  std::string trainer{};
  spec::TrainerParameters parameters{};
  std::vector<std::string> feature_names{};
  std::int32_t max_rounds = 1;
  std::int32_t early_stopping_rounds = 0;
  std::int64_t seed = 0;
  std::string rows{};  ///< the file of rows, from the folder
  /// Of a trainer of one's own: `OwnTraining` without this trial's parameters, from the folder; and
  /// the digest of all that it names. Empty: Heddle's own trains.
  std::string own{};
  std::string own_digest{};
};

/// `heddle.trial-result/2`: a loss, or why there is none.
struct TrialOutcome {
  std::string error{};  ///< empty: it ended as it should
  std::string error_id{};
  std::string error_hint{};
  double loss = 0;  ///< the task's, on the validation rows; finite
  std::int32_t rounds = 0;
  double seconds = 0;
};

[[nodiscard]] const doc::Schema<TrialParams>& trial_params_schema();
/// The schema of one that ended as it should, or of one that failed.
[[nodiscard]] const doc::Schema<TrialOutcome>& trial_outcome_schema(bool has_failed);
/// kCorrupt `trial-result`.
[[nodiscard]] Result<TrialOutcome> parse_trial_outcome(std::string_view text);
[[nodiscard]] std::string to_json(const TrialOutcome& outcome);

/// Parameters as a list of {`name`, `value`}: a parameter may be there twice.
[[nodiscard]] doc::Value pairs_of(const spec::TrainerParameters& parameters);

}  // namespace heddle::train
