#include "watch/prediction_scale.hpp"

#include <algorithm>
#include <cmath>

namespace heddle::watch {
namespace {

using stats::TaskKind;

constexpr std::size_t kProbabilityBuckets = 100;
constexpr std::size_t kClassBuckets = 20;  ///< of each class: there may be a thousand
constexpr std::size_t kValueBuckets = 40;

double squared(double value) { return value * value; }

}  // namespace

bool PredictionScale::learn(std::span<const float> prediction) {
  if (ready()) return false;
  first_.push_back(prediction[0]);
  if (!ready()) return false;
  settle();
  return true;
}

void PredictionScale::settle() {
  std::vector<float> sorted = first_;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](std::size_t part, std::size_t parts) {
    return sorted[(sorted.size() - 1) * part / parts];
  };
  edges_.clear();
  for (std::size_t i = 1; i < kValueBuckets; ++i) edges_.push_back(at(i, kValueBuckets));
  unit_ = static_cast<double>(at(95, 100)) - static_cast<double>(at(5, 100));
}

std::size_t PredictionScale::buckets() const noexcept {
  switch (task_.kind) {
    case TaskKind::kBinary: return kProbabilityBuckets;
    case TaskKind::kClasses: return kClassBuckets;
    case TaskKind::kRegression: break;
  }
  return kValueBuckets;
}

std::size_t PredictionScale::bucket(float number) const noexcept {
  if (task_.kind == TaskKind::kRegression)
    return static_cast<std::size_t>(std::upper_bound(edges_.begin(), edges_.end(), number) -
                                    edges_.begin());
  const double share = std::clamp(static_cast<double>(number), 0.0, 1.0);
  return std::min(buckets() - 1, static_cast<std::size_t>(share * static_cast<double>(buckets())));
}

double PredictionScale::in_units(double difference) const noexcept {
  if (difference == 0) return 0;
  // A baseline that answers one number always has no unit: whatever differs from it differs wholly.
  return unit_ > 0 ? std::min(1.0, difference / unit_) : 1;
}

double PredictionScale::difference(std::span<const float> a,
                                   std::span<const float> b) const noexcept {
  if (a.size() != b.size()) return 1;
  if (task_.kind == TaskKind::kClasses) return stats::Task::best(a) == stats::Task::best(b) ? 0 : 1;
  const double apart = std::abs(static_cast<double>(a[0]) - static_cast<double>(b[0]));
  return task_.kind == TaskKind::kRegression ? in_units(apart) : std::min(1.0, apart);
}

double PredictionScale::loss(std::span<const float> prediction, double code) const noexcept {
  switch (task_.kind) {
    case TaskKind::kBinary: return squared(static_cast<double>(prediction[0]) - code);
    case TaskKind::kRegression:
      return in_units(std::abs(static_cast<double>(prediction[0]) - code));
    case TaskKind::kClasses: break;
  }
  double sum = 0;
  for (std::size_t k = 0; k < prediction.size(); ++k)
    sum += squared(static_cast<double>(prediction[k]) - (static_cast<double>(k) == code ? 1 : 0));
  // The squared distance of two distributions is 2 at most; rounding may go past it.
  return std::min(1.0, sum / 2);
}

std::string_view PredictionScale::loss_text() const noexcept {
  switch (task_.kind) {
    case TaskKind::kBinary: return "squared error";
    case TaskKind::kClasses: return "half squared error over the classes";
    case TaskKind::kRegression: break;
  }
  return "absolute error, in units of the spread of the baseline's first values,";
}

void PredictionScale::save(StateWriter& out) const {
  out.put(std::uint64_t{first_.size()});
  for (const float value : first_) out.put(static_cast<double>(value));
}

void PredictionScale::load(StateReader& in) {
  first_.clear();
  for (std::uint64_t n = in.count(); n > 0; --n) first_.push_back(static_cast<float>(in.real()));
  if (task_.kind == TaskKind::kRegression && ready()) settle();
}

}  // namespace heddle::watch
