#include "batch/profile.hpp"

#include <algorithm>
#include <cmath>

namespace heddle::batch {

Profile::Profile(std::span<const spec::Field> fields, stats::TaskKind task,
                 const watch::Baseline* baseline)
    : fields_(fields), task_(task), missing_(fields.size(), 0) {
  if (baseline == nullptr) return;
  for (const auto& metric : baseline->metrics) {
    int field = -1;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].name == metric.metric.column) field = static_cast<int>(i);
    }
    if (field < 0 && metric.metric.column != "prediction") continue;
    metrics_.push_back({&metric, field, stats::Histogram(metric.binning.size())});
  }
}

void Profile::add(std::span<const expr::Datum> row, std::span<const float> prediction) {
  const float score = *std::max_element(prediction.begin(), prediction.end());
  for (std::size_t i = 0; i < missing_.size(); ++i) missing_[i] += row[i].is_null() ? 1 : 0;
  if (task_ != stats::TaskKind::kRegression && std::isfinite(score))
    ++scores_[std::min<std::size_t>(static_cast<std::size_t>(score * kBins), kBins - 1)];
  for (auto& metric : metrics_) {
    const auto value = metric.field < 0 ? expr::Datum::real(static_cast<double>(score))
                                        : row[static_cast<std::size_t>(metric.field)];
    if (const auto bin = metric.reference->bin_of(value)) metric.window.add(*bin);
  }
}

void Profile::merge(const Profile& other) {
  for (std::size_t i = 0; i < missing_.size(); ++i) missing_[i] += other.missing_[i];
  for (std::size_t i = 0; i < kBins; ++i) scores_[i] += other.scores_[i];
  for (std::size_t i = 0; i < metrics_.size(); ++i)
    metrics_[i].window.merge(other.metrics_[i].window);
}

doc::Value Profile::to_value() const {
  auto fields = doc::Value::array();
  for (std::size_t i = 0; i < missing_.size(); ++i)
    fields.push(doc::Value::object({{"name", fields_[i].name}, {"missing", missing_[i]}}));
  auto counts = doc::Value::array();
  for (const auto count : scores_) counts.push(count);
  auto metrics = doc::Value::array();
  for (const auto& metric : metrics_) {
    const double statistic =
        metric.window.total() == 0 ? 0 : metric.reference->statistic(metric.window);
    auto bins = doc::Value::array();
    for (const auto count : metric.window.counts()) bins.push(count);
    metrics.push(doc::Value::object(
        {{"id", metric.reference->metric.name},
         {"column", metric.reference->metric.column},
         {"statistic", statistic},
         {"threshold", metric.reference->threshold()},
         {"past", metric.window.total() >= kFewRows && statistic > metric.reference->threshold()},
         {"counts", std::move(bins)}}));
  }
  auto out = doc::Value::object({{"fields", std::move(fields)}});
  if (task_ != stats::TaskKind::kRegression)
    out.set("scores", doc::Value::object({{"bins", static_cast<std::int64_t>(kBins)},
                                          {"counts", std::move(counts)}}));
  out.set("metrics", std::move(metrics));
  return out;
}

}  // namespace heddle::batch
