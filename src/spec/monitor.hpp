#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "expr/datum.hpp"
#include "spec/identity.hpp"
#include "statistic/statistic.hpp"

namespace heddle::spec {

/// A distribution metric of one column (a field of a request, or `prediction`): a distance in [0,
/// 1] from the reference, of which rows without a value are a part. Alert: above max(floor, mean +
/// sds * sd) of the reference chunks.
struct DistributionMetric {
  std::string name;
  std::string column;
  const statistic::Statistic* kind = &statistic::ks();
  double floor = 0.1;
  double sds = 3;
};

/// Labelled quality in chunks: log loss after refitting the intercept only, over the label entropy
/// of the chunk.
struct QualityMetric {
  Micros chunk_duration = kDay;    ///< of event time, at least
  std::int64_t chunk_rows = 2000;  ///< labels, at least
  double alert_twice = 1.0;  ///< above max(this, reference mean + sds * sd) in two chunks in a row
  double alert_once = 1.15;  ///< above this in one
  double sds = 3;
  double prior_shift = 0.25;   ///< |intercept| (logits) that counts as prior shift ...
  int prior_shift_chunks = 7;  ///< ... averaged over this many chunks
};

/// A rule a postmortem or a person added: an alert on a row expression's share among a window's
/// rows.
struct MonitorRule {
  std::string id;
  Expression expression;    ///< over the contract's fields and `event_time`; true is bad
  double threshold = 0.01;  ///< share of rows
  std::int64_t window_rows = 500;
};

struct Notification {
  std::string url;     ///< webhook; `${env:NAME}` allowed
  std::string secret;  ///< HMAC key: `${env:NAME}` or `${file:PATH}` only
  int attempts = 5;
};

struct Monitor {
  Identity identity;
  std::string service;
  Micros window = kDay;            ///< of event time, for distribution metrics
  std::int64_t window_rows = 500;  ///< at least; else the window widens
  Micros label_delay = kDay;
  Micros label_retention = 7 * kDay;
  std::vector<DistributionMetric> distributions;
  QualityMetric quality;
  bool labelled_quality =
      true;                     ///< false: no `quality` section, so labelled quality is not watched
  double refused_share = 0.02;  ///< of a source's rows: contract alert
  std::int64_t refused_rows = 50;  ///< a source's rows looked at together
  std::int64_t quarantined_good_rows =
      1000;  ///< rows without fault that a quarantine may hold back
  std::vector<MonitorRule> rules;
  std::vector<Notification> notifications;
  Micros cool_down = kDay;  ///< after a recovery, before the same metric may open an incident again
};

}  // namespace heddle::spec
