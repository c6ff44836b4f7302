#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "bundle/bundle.hpp"
#include "contract/contract.hpp"
#include "doc/value.hpp"
#include "expr/datum.hpp"
#include "feature/program.hpp"
#include "score/plan.hpp"

namespace heddle::score {

/// A value of a row that declared repairs or transforms changed.
struct ChangedField {
  std::string field{};
  doc::Value from{};              ///< as it arrived; null: nothing did
  doc::Value to{};                ///< as the rules and features read it; null: it is missing
  std::vector<std::string> by{};  ///< their ids, in the order in which they were made
};

/// What a bundle makes of one row between its arrival and its answer.
struct RowAccount {
  bool refused = false;
  std::vector<contract::RuleInfo> broken{};  ///< refusals and warnings
  std::vector<ChangedField> changed{};       ///< in the order of the fields
  /// One a name of `RowAccounts::feature_names()`, NaN where it is missing; empty for a refused
  /// row.
  std::vector<float> features{};
  /// Task outputs x (features + 1), as of `Plan::explain_row`; empty: see `not_explained`.
  std::vector<float> contributions{};
  std::string not_explained{};  ///< why, in one sentence; empty for a refused row
};

/// Tells what a bundle makes of rows, for who asks why an answer is what it is. The answer itself
/// is the plan's. One thread; allocates: not for the path of requests.
class RowAccounts {
 public:
  /// A bundle with a model of ours is loaded and proven (`Plan::load`). A runtime is not started:
  /// its rows are told up to what it is sent. The errors of `Plan::load`.
  [[nodiscard]] static Result<RowAccounts> of(const bundle::Bundle& bundle);

  /// `raw[i]` is what arrived for request field i of `contract()`.
  [[nodiscard]] RowAccount account(std::span<const expr::Datum> raw);

  [[nodiscard]] const contract::Contract& contract() const noexcept { return contract_; }
  /// In the order of the model; none where a runtime is sent the fields.
  [[nodiscard]] const std::vector<std::string>& feature_names() const noexcept { return names_; }
  /// Null: a runtime scores the rows.
  [[nodiscard]] const Plan* plan() const noexcept { return plan_.get(); }

 private:
  RowAccounts(contract::Contract contract, feature::Program program)
      : contract_(std::move(contract)), program_(std::move(program)) {}
  void explain(std::span<const expr::Datum> raw, RowAccount& out);

  contract::Contract contract_;
  feature::Program program_;
  std::vector<std::string> names_{};
  std::unique_ptr<const Plan> plan_{};
  contract::RowCheck check_{};
  std::unique_ptr<feature::Scratch> features_ = std::make_unique<feature::Scratch>();
  Scratch scratch_{};
};

/// A value for people and documents: a time as ISO 8601 in UTC; null where there is none.
[[nodiscard]] doc::Value value_of(const expr::Datum& datum);

}  // namespace heddle::score
