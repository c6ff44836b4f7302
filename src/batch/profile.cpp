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
    // A column that is neither a field nor the answer has no value here.
    if (field < 0 && metric.metric.column != "prediction") continue;
    metrics_.push_back({&metric, field, stats::Histogram(metric.binning.size())});
  }
}

void Profile::add(std::span<const expr::Datum> row, std::span<const float> prediction) {
  const float score = *std::max_element(prediction.begin(), prediction.end());
  for (std::size_t i = 0; i < missing_.size(); ++i) missing_[i] += row[i].is_null() ? 1 : 0;
  // NaN where a runtime did not answer.
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

void Profile::describe(FileProfile& out) const {
  for (std::size_t i = 0; i < missing_.size(); ++i)
    out.fields.push_back({fields_[i].name, missing_[i]});
  if (task_ != stats::TaskKind::kRegression)
    out.scores = ScoreCounts{static_cast<std::int64_t>(kBins), {scores_.begin(), scores_.end()}};
  for (const auto& metric : metrics_) {
    const std::int64_t rows = metric.window.total();
    const double statistic = rows == 0 ? 0 : metric.reference->statistic(metric.window);
    const double threshold = metric.reference->threshold();
    const auto counts = metric.window.counts();
    out.metrics.push_back({metric.reference->metric.name,
                           metric.reference->metric.column,
                           statistic,
                           threshold,
                           rows >= kFewRows && statistic > threshold,
                           {counts.begin(), counts.end()}});
  }
}

}  // namespace heddle::batch
