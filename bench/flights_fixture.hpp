#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "contract/contract.hpp"
#include "feature/program.hpp"
#include "store/store.hpp"
#include "table/table.hpp"

namespace heddle::bench {

/// A contract and a feature program like those of examples/flights, learned and fitted on rows:
/// what every bench of the data plane serves. The columns are `date`, `distance`, `origin`,
/// `destination` and the label `late`.
struct Fitted {
  table::Table rows;
  std::vector<double> labels;
  contract::Contract contract;
  feature::Program program;
};
[[nodiscard]] Result<Fitted> fit(table::Table rows);

/// `count` flights in the shape of the real ones: 300 airports, about 4,000 routes that fix the
/// distance, lateness by hour and origin. The same everywhere for the same count. Every row keeps
/// the contract.
[[nodiscard]] Result<table::Table> make_rows(std::int64_t count);

/// The features of the rows the contract takes; row-major float32.
[[nodiscard]] Result<feature::Matrix> features_of(const Fitted& fitted);

/// XGBoost's JSON of `trees` trees of depth 6 over those features, trained by its C API here.
[[nodiscard]] Result<std::string> train(const Fitted& fitted, int trees, int threads);

/// A bundle of `model` (XGBoost's JSON) with this calibration intercept, its reference margins of
/// the first 64 rows computed by our engine. Other intercepts give other digests, and other
/// probabilities for the same row.
[[nodiscard]] Result<Digest> pack(store::Objects& objects, const Fitted& fitted,
                                  const std::string& model, double intercept);

/// The probability that such a bundle gives for each row; NaN where the contract refuses it.
[[nodiscard]] Result<std::vector<float>> probabilities(const Fitted& fitted,
                                                       const std::string& model, double intercept,
                                                       const table::Table& rows);

/// A one-row request of `POST /v1/services/{service}/predict` for each row.
[[nodiscard]] Result<std::vector<std::string>> request_bodies(const table::Table& rows);

}  // namespace heddle::bench
