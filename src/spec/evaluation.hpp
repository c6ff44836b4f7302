#pragma once

#include <string>
#include <vector>

#include "spec/identity.hpp"

namespace heddle::spec {

/// A metric of the project's own: a row expression over what is answered, `label` and the
/// contract's fields (spec::metric_environment), then an aggregation. Built-in names
/// (stats::metrics()) need no expression.
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
  /// Leakage: a feature that alone predicts the target better than this. Of binary and of classes
  /// the first counts, of a regression the second.
  double single_feature_auc_max = 0.95;
  double single_feature_correlation_max = 0.95;
  double duplicate_share_max = 0.001;  ///< share of the held-out rows that may equal a training row
};

}  // namespace heddle::spec
