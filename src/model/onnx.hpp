#pragma once

#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "model/scorer.hpp"

namespace heddle::model {

/// An ONNX graph of one TreeEnsembleClassifier, TreeEnsembleRegressor, LinearClassifier or
/// LinearRegressor of `ai.onnx.ml` on a float matrix, and around it what converters add: Identity,
/// Cast, ZipMap, Normalizer. Margins are the operator's scores before its post_transform;
/// docs/formats/model.md has what each attribute means here. kInvalid for any other graph.
[[nodiscard]] Result<std::unique_ptr<Scorer>> load_onnx(std::string_view bytes,
                                                        const LoadOptions& options);

}  // namespace heddle::model
