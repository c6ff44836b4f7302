#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "doc/schema.hpp"
#include "evaluate/evaluate.hpp"
#include "flow/cache.hpp"

namespace heddle::flow {

// `facts` of the steps that later steps, and what a run leaves, read from.

/// Of `validate.rows`.
struct RowsFacts {
  std::int64_t rows = 0;  ///< of the source
  std::int64_t accepted = 0;
  std::int64_t refused = 0;
  std::int64_t untimed = 0;                      ///< without the time that the model orders them by
  std::int64_t duplicates = 0;                   ///< left out: another row stands for them
  std::map<std::string, std::int64_t> broken{};  ///< rows that broke each rule, by its id
  std::map<std::string, std::int64_t> repaired{};  ///< values that each repair changed, by its id
};
/// Of `search`.
struct SearchFacts {
  std::int64_t trials = 0;
  std::optional<std::int64_t> best{};  ///< place of the best trial; none: a recipe was taken
  double loss = 0;
};
/// Of `evaluate`.
struct EvaluationFacts {
  evaluate::Numbers metrics{};
  evaluate::Numbers standby{};
  std::vector<std::string> failed{};        ///< gates that failed, in words
  std::vector<std::string> failed_gates{};  ///< their ids
  std::vector<std::string> not_judged{};    ///< gates that were not judged, with the reason
  std::int64_t gates = 0;
  std::optional<evaluate::BaseEvidence> base{};        ///< a gate reads it
  std::optional<evaluate::Numbers> base_metrics{};     ///< of a retrain
  std::optional<evaluate::RetrainEvidence> retrain{};  ///< of a retrain
};

[[nodiscard]] doc::Value print_facts(const RowsFacts& facts);
[[nodiscard]] doc::Value print_facts(const SearchFacts& facts);
[[nodiscard]] doc::Value print_facts(const EvaluationFacts& facts);

/// kCorrupt `step-damaged`.
[[nodiscard]] Result<RowsFacts> rows_facts(const StepRecord& validated);
[[nodiscard]] Result<SearchFacts> search_facts(const StepRecord& searched);
[[nodiscard]] Result<EvaluationFacts> evaluation_facts(const StepRecord& evaluated);

}  // namespace heddle::flow
