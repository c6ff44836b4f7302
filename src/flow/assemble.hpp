#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bundle/bundle.hpp"
#include "contract/contract.hpp"
#include "doc/value.hpp"
#include "feature/program.hpp"
#include "runtime/endpoint.hpp"
#include "score/calibration.hpp"
#include "spec/model.hpp"
#include "table/table.hpp"

namespace heddle::flow {

/// The parts of a bundle before they are packed.
struct Assembly {
  const contract::Contract* contract = nullptr;
  const feature::Program* features = nullptr;
  std::string model;  ///< bytes of model.json; empty with a runtime
  std::optional<spec::Runtime> runtime{};
  std::string files{};   ///< tar of the runtime's worker
  runtime::Host host{};  ///< where that is started
  stats::Task task{};
  score::Calibration calibration{};
  table::Table reference_rows;  ///< request fields as received
  std::string baseline;         ///< JSON
  std::string evaluation;       ///< JSON
  std::string statements;       ///< JSON
  std::string trainer{};        ///< JSON: of a trainer of one's own; else empty
  std::string parity{};         ///< JSON: of a model that was there; else empty
  bundle::Config config{};
};

/// Scores the reference rows in batch, packs, then opens the result as a server would: a bundle
/// that does not reproduce its reference predictions row by row is refused (kCorrupt) and never
/// named by anybody.
[[nodiscard]] Result<Digest> assemble(store::Objects& objects, const Assembly& assembly);

/// What the target says of rows.
struct Labels {
  stats::Task task{};  ///< with its classes, declared or learned
  std::vector<double> codes{};
};
/// `target` over a table's columns. kUnprocessable: `target-missing`, `target-not-finite`,
/// `target-class-unknown` beside declared classes, `target-many-classes`, `target-class-too-large`,
/// `target-constant`.
[[nodiscard]] Result<Labels> labels_of(const spec::Model& model, const table::Table& rows);

/// A part of a model that each of these rows must have: kUnprocessable `target-class-rare` where a
/// class has a single row, or none among the first `train_end`, which are learned from.
[[nodiscard]] Result<void> check_classes(const Labels& labels, std::int64_t train_end);

/// An order in which each stretch of the rows has about the classes' shares: of each class the rows
/// keep their order, and are spread evenly. Labels of a regression: the order as it is.
[[nodiscard]] std::vector<std::int64_t> stratified(const Labels& labels);

/// Evenly spaced rows of [begin, end).
[[nodiscard]] std::vector<std::int64_t> spread(std::int64_t begin, std::int64_t end,
                                               std::int64_t wanted);

}  // namespace heddle::flow
