#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "trainer/trainer.hpp"

namespace heddle::train {

using trainer::RowsView;

struct TrainInput : trainer::Input {
  std::string trainer = "xgboost";  ///< a row of `trainer::trainers()`
};

struct Trained {
  std::string model;  ///< what `model::Scorer::load` reads; the same input gives the same bytes
  int rounds = 0;     ///< trees kept (the best round), or steps of the optimiser
  double validation_loss = 0;  ///< of the kept model, by the task's loss; NaN without validation
                               ///< rows
};

/// Trains one model on one thread, by the trainer of that name. kInvalid for an unknown trainer or
/// one that does not do the task, an unknown parameter, no rows, a constant target, a class without
/// a row, shapes that disagree; kUnavailable when the trainer's library is not installed.
/// Thread-safe.
[[nodiscard]] Result<Trained> train(const TrainInput& input);

/// `wanted` of `total` row numbers, evenly spaced (rows are in time order): floor(i * total /
/// wanted). All when wanted is 0 or not below total.
[[nodiscard]] std::vector<std::int64_t> evenly_spaced(std::int64_t total, std::int64_t wanted);

}  // namespace heddle::train
