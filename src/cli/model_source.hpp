#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "draft/draft.hpp"
#include "train/signature.hpp"

namespace heddle::cli {

/// A model that `heddle init --model` was given, with what stands beside it. Nothing of it was
/// opened: its bytes are read and no more.
struct ModelSource {
  draft::ModelFiles files{};  ///< without interpreter and lock
  /// Columns that an MLflow signature names, in its order; empty: there is none.
  std::vector<train::SignatureFeature> columns{};
  std::string origin{};  ///< `version 3 of fraud at http://...`; empty: a file
};

/// `text`: a file, an MLflow folder or its `MLmodel`, or `models:/NAME@ALIAS` and `models:/NAME/N`
/// of the tracking server `tracking`. `modules`: files that a pickle imports. Errors: kNotFound
/// `adopt-missing`, `adopt-registry-unknown`; kInvalid `adopt-uri`, `adopt-tracking`; kCorrupt
/// `adopt-mlmodel`; kTooLarge `adopt-too-large`; kUnavailable with the server's address.
[[nodiscard]] Result<ModelSource> find_model(const std::string& text, const std::string& tracking,
                                             const std::vector<std::string>& modules);

/// Names and types that the model itself leaves open are those of its MLflow signature.
/// kUnprocessable `adopt-signatures-differ` where the two say different things.
[[nodiscard]] Result<void> complete(train::Signature& signature,
                                    const std::vector<train::SignatureFeature>& columns);

/// The interpreter for a model: `wanted`, else the environment that is active, else `.venv` here,
/// else `python3` on PATH; absolute where it is a path.
[[nodiscard]] std::string find_python(const std::string& wanted);

}  // namespace heddle::cli
