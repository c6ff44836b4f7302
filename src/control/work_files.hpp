#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "bundle/config.hpp"
#include "doc/schema.hpp"
#include "evaluate/evaluate.hpp"

namespace heddle::control {

// What the control plane and the processes that work for it tell each other: `request.json` and
// `result.json` of a folder.

/// `heddle.retrain/1`.
struct RetrainRequest {
  std::string service{};
  std::string commit{};                    ///< whose definitions count
  Digest base{};                           ///< what serves
  std::optional<bundle::Search> search{};  ///< accepted of the model; none: there is none yet
  Micros from = 0;                         ///< recorded rows from this event time on
  Micros until = 0;                        ///< and whose labels were known by this one
  std::int64_t rows = 0;                   ///< the newest, at most
};

/// Why a process left no result, by what it left in place of one: `failed` of `result.json`. None:
/// it is a result.
[[nodiscard]] std::optional<std::string> failure_of(const doc::Value& result);

/// What came of a retrain: a candidate, gates that did not pass, or the reason why there is none.
struct RetrainResult {
  std::string failed{};  ///< empty: it ended as it should
  std::string hint{};    ///< with `failed`
  Digest bundle{};       ///< empty: a gate did not pass
  bool gates_passed = false;
  std::vector<std::string> failed_gates{};
  evaluate::Numbers metrics{};       ///< of the candidate, on the rows that it did not learn from
  evaluate::Numbers base_metrics{};  ///< of what serves, on the same
  evaluate::RetrainEvidence judged{};
  std::int64_t train_rows = 0;
  std::int64_t holdout_rows = 0;
};

[[nodiscard]] const doc::Schema<RetrainRequest>& retrain_request_schema();
/// The schema of one that ended as it should, or of one that failed.
[[nodiscard]] const doc::Schema<RetrainResult>& retrain_result_schema(bool has_failed);
/// kCorrupt `retrain-result`.
[[nodiscard]] Result<RetrainResult> parse_retrain_result(const doc::Value& value);
[[nodiscard]] std::string to_json(const RetrainResult& result);

}  // namespace heddle::control
