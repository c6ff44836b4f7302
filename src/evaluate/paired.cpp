#include "evaluate/paired.hpp"

#include <algorithm>
#include <cmath>

#include "evaluate/evidence_format.hpp"
#include "evaluate/measured.hpp"
#include "stats/metric.hpp"

namespace heddle::evaluate {
namespace {

constexpr double kNormal95 = 1.959963984540054;  ///< the 97.5 % point of the normal distribution

/// Of a metric of the project's own. Where a row has a value of one model only, the two are not of
/// the same rows, and nothing is known of the difference.
std::optional<double> error_of_own(const Measured::Own& base, const Measured::Own& candidate) {
  std::vector<double> differences;
  for (std::size_t i = 0; i < base.values.size(); ++i) {
    if (std::isnan(base.values[i]) != std::isnan(candidate.values[i])) return std::nullopt;
    if (!std::isnan(base.values[i])) differences.push_back(candidate.values[i] - base.values[i]);
  }
  const auto error = stats::error_of_mean(differences);
  if (!error || base.mean) return error;
  return *error * static_cast<double>(differences.size());
}

}  // namespace

std::optional<double> Difference::margin_of_error() const noexcept {
  if (!standard_error) return std::nullopt;
  return kNormal95 * *standard_error;
}

Result<std::vector<Difference>> compare(const spec::Evaluation& definition, const Pair& pair) {
  HEDDLE_ASSIGN_OR_RETURN(
      const Measured base,
      measure(definition, {pair.task, pair.rows, pair.base, pair.labels, pair.base_interval}));
  HEDDLE_ASSIGN_OR_RETURN(const Measured candidate,
                          measure(definition, {pair.task, pair.rows, pair.candidate, pair.labels,
                                               pair.candidate_interval}));
  const Numbers of_base = numbers_of(base, nullptr);
  std::vector<Difference> out;
  for (const auto& [name, value] : numbers_of(candidate, nullptr)) {
    const auto there = of_base.find(name);
    // A base without an interval has no coverage to compare.
    if (name == "rows" || there == of_base.end()) continue;
    Difference difference{name, false, there->second, value};
    const stats::Metric* metric = stats::find_metric(pair.task->kind, name);
    difference.is_loss = metric == &stats::loss_metric(pair.task->kind);
    if (metric != nullptr)
      difference.standard_error = metric->difference_error(answers_of(base), answers_of(candidate));
    for (std::size_t i = 0; i < base.own.size(); ++i) {
      if (base.own[i].name == name)
        difference.standard_error = error_of_own(base.own[i], candidate.own[i]);
    }
    out.push_back(std::move(difference));
  }
  return out;
}

std::string_view verdict(std::span<const Difference> differences) noexcept {
  for (const auto& each : differences) {
    const auto margin = each.margin_of_error();
    if (!each.is_loss || !margin) continue;
    if (each.difference() - *margin > 0) return "worse";
    if (each.difference() + *margin < 0) return "better";
  }
  return "unclear";
}

}  // namespace heddle::evaluate
