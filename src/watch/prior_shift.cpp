#include "watch/prior_shift.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "stats/quality.hpp"

namespace heddle::watch {

namespace {

/// Rows of a class in all chunks together: its mean offset is off by less than .06 logits then.
constexpr double kLeastOfClass = 300;

/// Positions of the offsets that are highest and lowest.
std::pair<std::size_t, std::size_t> ends_of(std::span<const double> offsets) {
  const auto [low, high] = std::minmax_element(offsets.begin(), offsets.end());
  return {static_cast<std::size_t>(high - offsets.begin()),
          static_cast<std::size_t>(low - offsets.begin())};
}

std::vector<double> mean_of(std::span<const ChunkOffsets> chunks) {
  std::vector<double> mean(chunks[0].offsets.size(), 0.0);
  for (const ChunkOffsets& chunk : chunks) {
    for (std::size_t k = 0; k < mean.size(); ++k) mean[k] += chunk.offsets[k];
  }
  for (double& each : mean) each /= static_cast<double>(chunks.size());
  return mean;
}

/// Classes of too few rows get the mean of the others, weighted by rows; then the first is 0.
void settle_classes(std::span<const ChunkOffsets> chunks, std::vector<double>& offsets) {
  std::vector<double> weights(offsets.size(), 0.0);
  for (const ChunkOffsets& chunk : chunks) {
    for (std::size_t k = 0; k < weights.size(); ++k) weights[k] += chunk.weights[k];
  }
  double sum = 0;
  double all = 0;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    if (weights[k] < kLeastOfClass) continue;
    sum += weights[k] * offsets[k];
    all += weights[k];
  }
  for (std::size_t k = 0; k < weights.size(); ++k) {
    // Not left as they are: an offset that chance made large would be the largest move of all.
    if (weights[k] < kLeastOfClass) offsets[k] = all > 0 ? sum / all : 0;
  }
  // Only differences of class offsets mean something: softmax does not see a constant.
  const double first = offsets[0];
  for (double& each : offsets) each -= first;
}

}  // namespace

double along(const stats::Task& task, std::span<const double> shift,
             std::span<const double> offsets, double scale) {
  if (task.kind == stats::TaskKind::kClasses) {
    // How far apart the two classes are moved that the mean moves most.
    const auto [high, low] = ends_of(shift);
    return offsets[high] - offsets[low];
  }
  const double unit = task.kind == stats::TaskKind::kRegression ? scale : 1;
  return (shift[0] < 0 ? -offsets[0] : offsets[0]) / unit;
}

PriorShift prior_shift(const stats::Task& task, std::span<const ChunkOffsets> chunks,
                       double scale) {
  PriorShift out;
  if (chunks.empty()) return out;
  out.offsets = mean_of(chunks);
  if (task.kind == stats::TaskKind::kClasses) settle_classes(chunks, out.offsets);
  out.size = along(task, out.offsets, out.offsets, scale);
  const auto agreeing = std::count_if(chunks.begin(), chunks.end(), [&](const auto& chunk) {
    return along(task, out.offsets, chunk.offsets, scale) > 0;
  });
  out.agreement = static_cast<double>(agreeing) / static_cast<double>(chunks.size());
  return out;
}

double moved_along(const stats::Task& task, const LabelJoin::Chunk& rows, const Finding& finding) {
  return along(task, offsets_of(finding.detail),
               stats::refit_offsets(task, rows.margins, rows.codes),
               finding.detail.double_or("scale", 1));
}

std::vector<double> offsets_of(const doc::Value& value) {
  std::vector<double> out;
  const doc::Value* list = value.find("offsets");
  if (list == nullptr || !list->is_array()) return out;
  for (const doc::Value& number : list->as_array()) {
    // Half a vector of offsets would move some outputs and leave others.
    if (!number.is_number()) return {};
    out.push_back(number.as_double());
  }
  return out;
}

doc::Value list_of(const std::vector<double>& numbers) {
  doc::Value list = doc::Value::array();
  for (const double number : numbers) list.push(number);
  return list;
}

}  // namespace heddle::watch
