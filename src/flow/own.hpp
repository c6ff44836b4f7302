#pragma once

#include <string>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/schema.hpp"
#include "flow/assemble.hpp"
#include "flow/step.hpp"
#include "spec/model.hpp"
#include "train/own.hpp"

namespace heddle::flow {

/// `how.json` of a trained model: how it was trained.
struct How {
  std::string trainer{};
  spec::TrainerParameters parameters{};
  std::int64_t rounds = 0;
  std::int64_t seed = 0;
};
[[nodiscard]] const doc::Schema<How>& how_schema();

/// Writes files and rows for a trainer of one's own into `folder`; `wanted` training rows, evenly
/// spaced, and half as many of validation, or all when it is 0. Without parameters.
[[nodiscard]] Result<train::OwnTraining> prepare_own(Work& work, const std::string& folder,
                                                     std::int64_t wanted);
/// Of all that decides what comes of it beside rows and parameters, wherever it lies.
[[nodiscard]] Digest digest_of_own(const spec::Exec& exec, const train::OwnTraining& training);

/// A matrix's rows as columns of a table.
[[nodiscard]] table::Table columns_of(const table::Matrix& matrix,
                                      const std::vector<std::string>& names);
/// The columns of these fields, in their order.
[[nodiscard]] Result<table::Table> fields_of(const table::Table& rows,
                                             std::span<const spec::Field> fields);
/// The same for rows that are given.
[[nodiscard]] Result<train::OwnTraining> prepare_own_rows(Work& work, const std::string& folder,
                                                          const spec::Exec& exec,
                                                          const train::OwnRows& rows);
/// Holds a bundle in the making against the library that wrote its model, where that was there
/// before the run (docs/your-model.md): `parity.json`. Of other models the empty text.
[[nodiscard]] Result<std::string> certify_adopted(Work& work, const Assembly& assembly,
                                                  const std::string& directory);

/// Trains by it, holds the engine's answers and a worker's against the model's own, and chooses.
[[nodiscard]] Result<StepRecord> run_own_train(Work& work, const std::string& directory);

}  // namespace heddle::flow
