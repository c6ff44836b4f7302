#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "bundle/bundle.hpp"
#include "contract/contract.hpp"
#include "doc/value.hpp"
#include "expr/datum.hpp"
#include "table/table.hpp"

namespace heddle::score {

/// Working memory of one thread; grows to the largest plan it met, then never again.
struct Scratch {
  Scratch();
  ~Scratch();
  Scratch(Scratch&&) noexcept;
  Scratch& operator=(Scratch&&) noexcept;
  struct Buffers;
  std::unique_ptr<Buffers> buffers;
};

/// What became of one row. `check` is reused: no allocation at steady state.
struct RowResult {
  contract::RowCheck check;
  float margin = 0;       ///< after calibration, log odds; NaN when refused
  float probability = 0;  ///< sigmoid of it; NaN when refused
};

/// What became of the rows of a table, in their order.
struct TableResult {
  std::vector<std::uint8_t> refused;  ///< one a row
  std::vector<float> margins;         ///< NaN where refused
  std::vector<float> probabilities;
};

/// Everything between a raw row and its answer, from one bundle: contract check, transforms, feature program, model margin,
/// calibration intercept, probability. The only path by which rows are scored: data plane, flow and replay use it. Immutable;
/// any number of threads may score, each with its own scratch.
class Plan {
 public:
  /// Builds the plan and proves it on the bundle's `reference.json`: the margins must be equal in every bit, else kCorrupt
  /// (`score-no-parity`). kCorrupt also when a layer is malformed or layers disagree (features of program and model).
  [[nodiscard]] static Result<std::unique_ptr<const Plan>> load(const bundle::Bundle& bundle);

  /// The same from the parts, without a parity check: for making the bundle in the first place.
  [[nodiscard]] static Result<std::unique_ptr<const Plan>> from_parts(const doc::Value& contract, const doc::Value& features,
                                                                      std::string_view model, double intercept);

  ~Plan();

  /// `raw[i]` is what arrived for request field i.
  void score_row(std::span<const expr::Datum> raw, RowResult& out, Scratch& scratch) const noexcept;
  /// Columns by name, those of `request_fields()`; more columns do no harm. The same bits as `score_row` for each row.
  [[nodiscard]] Result<TableResult> score_table(const table::Table& rows) const;

  [[nodiscard]] const contract::Contract& contract() const noexcept;
  [[nodiscard]] const Digest& bundle() const noexcept { return bundle_; }
  [[nodiscard]] double intercept() const noexcept { return intercept_; }
  [[nodiscard]] int feature_count() const noexcept;
  [[nodiscard]] std::int64_t reference_rows() const noexcept { return reference_rows_; }

  /// `reference.json` for rows as they would arrive: {"format": "heddle.reference/1", "fields": [..], "rows": [[..]],
  /// "margins": [..]} (docs/formats/reference.md). `expected_margins[i]` is the training library's margin of row i before
  /// calibration, NaN where the contract refuses the row; at most 1,000 rows.
  [[nodiscard]] static Result<doc::Value> make_reference(std::span<const spec::Field> fields, const table::Table& rows,
                                                         std::span<const float> expected_margins);

 private:
  struct Parts;
  explicit Plan(std::unique_ptr<const Parts> parts);
  [[nodiscard]] static Result<std::unique_ptr<Plan>> build(const doc::Value& contract, const doc::Value& features, std::string_view model,
                                                           double intercept);
  [[nodiscard]] Result<std::int64_t> prove(const doc::Value& reference) const;

  std::unique_ptr<const Parts> parts_;
  Digest bundle_{};
  double intercept_ = 0;
  std::int64_t reference_rows_ = 0;
};

}  // namespace heddle::score
