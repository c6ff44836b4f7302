#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "doc/value.hpp"
#include "expr/datum.hpp"
#include "spec/contract.hpp"
#include "spec/feature_set.hpp"
#include "table/matrix.hpp"
#include "table/table.hpp"

namespace heddle::feature {

using table::Matrix;

/// Working memory of one thread; grows to the largest program it met, then never again.
struct Scratch {
  Scratch();
  ~Scratch();
  struct Buffers;
  std::unique_ptr<Buffers> buffers;
};

/// Cross-fitted features of the rows a program was fitted on: what a model trains on.
struct FitResult {
  Matrix train;
  std::vector<std::int64_t> fold_ends;  ///< row after the last one of each fold
};

/// What a lookup reads: a table with these columns, those of the key first and the value last. A
/// column may be named more than once.
struct NeededTable {
  std::string feature;
  std::string source;  ///< of heddle.yaml
  std::vector<std::string> columns;
  std::vector<expr::Type> types;  ///< of each column
};

/// A feature program: expressions over the contract's fields and other features, lookups in
/// reference tables that it carries, and encoders fitted on training rows. Target encoding of a
/// combination of inputs is (sum + smoothing * prior) / (rows + smoothing), the prior being the
/// mean label of all training rows (Micci-Barreca 2001, eq. 4, with m-estimate weights); one never
/// seen gets the prior. Frequency encoding is its share of the training rows, 0 when never seen. A
/// missing input gives a missing feature (NaN). An expression that is null or an error is missing.
/// Encoders and lookups are exact: no hash decides a value.
/// Deterministic; batch and row give the same bits. Immutable after `fit`; any number of threads
/// may apply, each with its own scratch.
class Program {
 public:
  using Scratch = feature::Scratch;

  /// `fields` in row order, label fields left out of the row (they may be given: then reading one
  /// is told apart). kInvalid: `feature-cycle` names the circle, `feature-reads-label` a target
  /// leak, `feature-unknown-name` and `feature-expression` the nearest name, `feature-type` a
  /// feature that is no number, `feature-nested-encoder` an encoder over an encoder.
  [[nodiscard]] static Result<Program> compile(const spec::FeatureSet& features,
                                               std::span<const spec::Field> fields);
  /// `heddle.features/2`: self-contained; equal programs give equal bytes.
  [[nodiscard]] static Result<Program> from_value(const doc::Value& value);
  [[nodiscard]] doc::Value to_value() const;

  Program(Program&&) noexcept;
  ~Program();

  /// The tables that its lookups read, in the order of their features.
  [[nodiscard]] std::vector<NeededTable> needed_tables() const;
  /// Adds rows of `needed_tables()[i]`, all or a part of them: its columns by their place, each of
  /// its type. Returns how many lack a part of the key, and so say nothing. kUnprocessable:
  /// `lookup-two-values` when two rows of a key differ, `lookup-too-large` when all tables are
  /// more than 8 MiB as JSON.
  [[nodiscard]] Result<std::int64_t> add_to_lookup(std::size_t i, const table::Table& rows);
  /// Takes the tables of another program, whose lookups are the same. kUnprocessable
  /// `lookup-unknown` when it lacks one.
  [[nodiscard]] Result<void> take_lookups(const Program& other);

  /// Fits every encoder on all of `rows` (event-time order, columns by name, one label a row: 0 or
  /// 1, or the number of a regression). The result encodes each of `folds` contiguous folds from
  /// the others. kUnprocessable with fewer rows than folds, when a lookup has no rows
  /// (`lookup-empty`), and where the label of a target encoder is constant.
  [[nodiscard]] Result<FitResult> fit(const table::Table& rows, std::span<const double> labels);

  /// By columns; row by row the same bits as `apply_row`, whatever the number of threads. kInvalid
  /// when a field has no column or another type.
  [[nodiscard]] Result<Matrix> apply(const table::Table& rows, unsigned threads = 1) const;
  /// `typed[i]` is field i; `out` has `feature_names().size()` places. Before `fit` encoders are
  /// missing.
  void apply_row(std::span<const expr::Datum> typed, std::span<float> out,
                 Scratch& scratch) const noexcept;

  /// Those a model reads (hidden ones left out), in matrix order.
  [[nodiscard]] const std::vector<std::string>& feature_names() const noexcept;
  /// What `apply_row` takes: name and type of each, in row order.
  [[nodiscard]] std::span<const spec::Field> fields() const noexcept;
  [[nodiscard]] bool fitted() const noexcept;

  struct Code;  ///< private to this module (feature/code.hpp)

 private:
  explicit Program(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code_;
};

}  // namespace heddle::feature
