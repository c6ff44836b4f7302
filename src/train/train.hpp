#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "spec/model.hpp"

namespace heddle::train {

/// Borrowed training rows: `features` is count x columns floats, row-major, NaN = missing; `labels`
/// are 0 or 1, one a row.
struct RowsView {
  const float* features = nullptr;
  const std::uint8_t* labels = nullptr;
  std::int64_t count = 0;
  int columns = 0;
};

struct TrainInput {
  std::string trainer = "xgboost";  ///< `xgboost` or `logistic`
  spec::TrainerParameters
      parameters{};  ///< xgboost: its own names, and `rounds` in place of `max_rounds`; logistic:
                     ///< `l2` (default 1), `max_iterations`
  std::vector<std::string> feature_names{};  ///< empty, or one a column
  RowsView train{};
  RowsView validation{};  ///< may be empty: then no early stopping
  int max_rounds = 300;   ///< trees at most
  int early_stopping_rounds =
      20;  ///< stop after so many rounds without a lower validation log loss; 0: never
  std::int64_t seed = 0;
};

struct Trained {
  std::string model;  ///< what `model::Scorer::load` reads; the same input gives the same bytes
  int rounds = 0;     ///< trees kept (the best round), or Newton steps
  double validation_log_loss =
      0;  ///< of the kept model by stats::log_loss_of_margins; NaN without validation rows
};

/// Trains one model on one thread. xgboost: C API, `hist`, objective `binary:logistic`, base_score
/// 0.5, opened with dlopen at first use (kUnavailable with the package to install). logistic:
/// Newton's method on the L2-penalised likelihood of standardised inputs. kInvalid for an unknown
/// trainer or parameter, no rows, one class only, shapes that disagree. Thread-safe.
[[nodiscard]] Result<Trained> train(const TrainInput& input);

/// What the library that trained an XGBoost model says itself: one margin a row, of `rows` x
/// `columns` floats, row-major, NaN missing. kUnavailable when it is not installed, kInvalid when
/// it does not take the model. Thread-safe.
[[nodiscard]] Result<std::vector<float>> xgboost_margins(std::string_view model,
                                                         std::span<const float> features,
                                                         std::int64_t rows, std::int64_t columns);

/// `wanted` of `total` row numbers, evenly spaced (rows are in time order): floor(i * total /
/// wanted). All when wanted is 0 or not below total.
[[nodiscard]] std::vector<std::int64_t> evenly_spaced(std::int64_t total, std::int64_t wanted);

}  // namespace heddle::train
