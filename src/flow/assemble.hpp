#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bundle/bundle.hpp"
#include "contract/contract.hpp"
#include "doc/value.hpp"
#include "feature/program.hpp"
#include "runtime/endpoint.hpp"
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
  double intercept = 0;
  table::Table reference_rows;  ///< request fields as received
  std::string baseline;         ///< JSON
  std::string evaluation;       ///< JSON
  std::string statements;       ///< JSON
  doc::Value config;
};

/// Scores the reference rows in batch, packs, then opens the result as a server would: a bundle
/// that does not reproduce its reference predictions row by row is refused (kCorrupt) and never
/// named by anybody.
[[nodiscard]] Result<Digest> assemble(store::Objects& objects, const Assembly& assembly);

/// Rows of a `reference.json` as a table of the contract's request fields.
[[nodiscard]] Result<table::Table> rows_of(const doc::Value& reference,
                                           std::span<const spec::Field> fields);

/// `target` over a table's columns: 0 or 1 a row. kUnprocessable where it is null, or the same for
/// every row.
[[nodiscard]] Result<std::vector<std::uint8_t>> labels_of(const spec::Model& model,
                                                          const table::Table& rows);

/// Evenly spaced rows of [begin, end).
[[nodiscard]] std::vector<std::int64_t> spread(std::int64_t begin, std::int64_t end,
                                               std::int64_t wanted);

[[nodiscard]] doc::Value parameters_to_value(const spec::TrainerParameters& parameters);
[[nodiscard]] spec::TrainerParameters parameters_from_value(const doc::Value& value);

}  // namespace heddle::flow
