#include "batch/profile.hpp"

#include <algorithm>

namespace heddle::batch {

Profile::Profile(std::span<const spec::Field> fields, const stats::Task& task,
                 const watch::Baseline* baseline)
    : fields_(fields), task_(&task), missing_(fields.size(), 0) {
  if (baseline == nullptr) return;
  for (const auto& metric : baseline->metrics) {
    int field = -1;
    // The name is the answer's, even where the contract has a field of that name.
    const bool is_answer = metric.metric.column == "prediction";
    for (std::size_t i = 0; i < fields.size() && !is_answer; ++i) {
      if (fields[i].name == metric.metric.column) field = static_cast<int>(i);
    }
    // A column that is neither a field nor the answer has no value here.
    if (field < 0 && !is_answer) continue;
    metrics_.push_back({&metric, field, stats::Histogram(metric.binning.size())});
  }
}

void Profile::add(std::span<const expr::Datum> row, std::span<const float> prediction) {
  for (std::size_t i = 0; i < missing_.size(); ++i) missing_[i] += row[i].is_null() ? 1 : 0;
  if (task_->kind != stats::TaskKind::kRegression) {
    const float score = *std::max_element(prediction.begin(), prediction.end());
    ++scores_[std::min<std::size_t>(static_cast<std::size_t>(score * kBins), kBins - 1)];
  }
  // As the baseline was counted: of several classes the prediction is the likeliest one's name.
  const auto answer = watch::prediction_datum(*task_, prediction);
  for (auto& metric : metrics_) {
    const auto value = metric.field < 0 ? answer : row[static_cast<std::size_t>(metric.field)];
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
  if (task_->kind != stats::TaskKind::kRegression)
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
