#pragma once

#include "base/result.hpp"
#include "train/train.hpp"

namespace heddle::train {

/// Trains with libxgboost, opened with dlopen at the first call and kept (linking it costs every
/// start of the program 5 ms). kUnavailable when it is not installed.
[[nodiscard]] Result<Trained> train_xgboost(const TrainInput& input);

/// Newton's method on the L2-penalised logistic likelihood; no library.
[[nodiscard]] Result<Trained> train_logistic(const TrainInput& input);

}  // namespace heddle::train
