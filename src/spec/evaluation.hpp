#pragma once

#include <string>
#include <vector>

#include "spec/identity.hpp"

namespace heddle::spec {

/// A metric of the project's own: a row expression over `probability`, `label` (0 or 1) and the
/// contract's fields, then an aggregation. Built-in names (`auc`, `log_loss`, `calibration_error`,
/// `accuracy`) need no expression.
struct Metric {
  std::string name;
  Expression expression{};
  std::string aggregation{};  ///< mean or sum
  std::string unit{};
  bool lower_is_better = true;
};

struct Slice {
  std::string name;
  std::string field;  ///< one slice a value of this field
  std::int64_t minimum_rows = 1000;
};

struct Gate {
  std::string id;
  Expression when;  ///< passes when true; `metrics.NAME`, `slices.NAME.METRIC_min|_max`,
                    ///< `standby.NAME`, `base.NAME` (what serves), `leakage.NAME`
  std::string description{};
};

struct Evaluation {
  Identity identity;
  std::string model;
  std::vector<Metric> metrics;
  std::vector<Slice> slices;
  std::vector<Gate> gates;
  std::string
      base_service{};  ///< whose primary is `base.*`; empty: the services of the model agree
  double single_feature_auc_max =
      0.95;  ///< leakage: a feature that alone predicts the target better than this
};

}  // namespace heddle::spec
