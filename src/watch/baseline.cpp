#include "watch/baseline.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "stats/quality.hpp"
#include "stats/scalar.hpp"

namespace heddle::watch {

namespace {

constexpr std::size_t kMostDependencyKeys = 100'000;

std::pair<double, double> mean_and_sd(const std::vector<double>& values) {
  if (values.empty()) return {0, 0};
  double mean = 0;
  for (const double v : values) mean += v;
  mean /= static_cast<double>(values.size());
  double square = 0;
  for (const double v : values) square += (v - mean) * (v - mean);
  return {mean, values.size() < 2 ? 0 : std::sqrt(square / static_cast<double>(values.size() - 1))};
}

/// Row ranges [begin, end) of equal windows of event time; a window with fewer than `rows` rows is
/// left out.
std::vector<std::pair<std::size_t, std::size_t>> chunks_of(std::span<const Micros> time,
                                                           Micros window, std::int64_t rows) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  std::size_t begin = 0;
  while (begin < time.size()) {
    std::size_t end = begin;
    const Micros index = time[begin] / window;
    // Windows are aligned as those of the watch are, so that both see the same hours of the day.
    while (end < time.size() && time[end] / window == index) ++end;
    if (static_cast<std::int64_t>(end - begin) >= rows) out.emplace_back(begin, end);
    begin = end;
  }
  return out;
}

std::span<const float> margins_of(const BaselineInput& input, std::size_t row) {
  const std::size_t outputs = input.task.outputs();
  return input.margins.subspan(row * outputs, outputs);
}

bool is_scored(const BaselineInput& input, std::size_t row) {
  const std::size_t outputs = input.task.outputs();
  return (row + 1) * outputs <= input.margins.size() && !std::isnan(input.margins[row * outputs]);
}

/// The values of a metric's column, one a row; an error datum where a row says nothing of it.
Result<std::vector<expr::Datum>> values_of(const spec::DistributionMetric& metric,
                                           const BaselineInput& input) {
  const std::size_t rows = input.event_time.size();
  std::vector<expr::Datum> values(rows, expr::Datum::error());
  const bool has_classes = input.task.kind == stats::TaskKind::kClasses;
  expr::Type type = has_classes ? expr::Type::kString : expr::Type::kDouble;
  const expr::ColumnView* column = nullptr;
  if (metric.column != "prediction") {
    const auto it = std::find(input.names.begin(), input.names.end(), metric.column);
    if (it == input.names.end()) {
      return Error{ErrorKind::kInvalid, "watch-column",
                   "monitor metric `" + metric.name + "` names column `" + metric.column +
                       "`, which the contract does not have",
                   "name a field of the contract, or `prediction`"};
    }
    column = &input.columns[static_cast<std::size_t>(it - input.names.begin())];
    type = column->type;
  }
  if (metric.kind->reads(type) == 0) {
    return Error{
        ErrorKind::kInvalid, "watch-kind",
        fmt::format("monitor metric `{}`: `{}` does not read column `{}`, a {}", metric.name,
                    metric.kind->name(), metric.column, expr::type_name(type)),
        "write `kind: " + statistic::names_reading(type) + "`"};
  }
  for (std::size_t i = 0; i < rows; ++i) {
    if (column != nullptr) {
      values[i] = column->at(static_cast<std::int64_t>(i));
    } else if (is_scored(input, i)) {
      // As the journal holds it: floats.
      std::vector<float> prediction(input.task.outputs());
      input.task.predict(margins_of(input, i), prediction);
      values[i] = prediction_datum(input.task, prediction);
    }
  }
  return values;
}

Error cannot_alert(const MetricReference& m) {
  const std::string of =
      m.chunks < kFewestChunks
          ? fmt::format("its floor {:g}", m.metric.floor)
          : fmt::format(
                "its threshold {:.3f} (the mean {:.3f} of {} training windows and {:g} standard "
                "deviations of {:.3f}, at least {:g})",
                m.threshold(), m.mean, m.chunks, m.metric.sds, m.sd, m.metric.floor);
  const bool many = m.reach() < 1;
  return Error{
      ErrorKind::kInvalid, "watch-cannot-alert",
      fmt::format(
          "monitor metric `{}` cannot alert: {} is not below {:.3f}, {}", m.metric.name, of,
          m.reach(),
          many ? fmt::format(
                     "what it reads when every value of `{}` is new, for its {} most frequent "
                     "values are only that share of the training rows",
                     m.metric.column, m.binning.names().size())
               : "the largest value that it takes"),
      many ? "watch a column with fewer values, or take the metric out"
           : "lower `floor` or `sds`, watch longer windows, or take the metric out: the column "
             "moves as much in "
             "training as it ever could"};
}

Result<MetricReference> reference_of(
    const spec::DistributionMetric& metric, const BaselineInput& input,
    const std::vector<std::pair<std::size_t, std::size_t>>& chunks) {
  HEDDLE_ASSIGN_OR_RETURN(const auto values, values_of(metric, input));
  MetricReference out;
  out.metric = metric;
  out.binning = metric.kind->bins(values);
  out.reference = stats::Histogram(out.binning.size());
  std::vector<std::optional<std::size_t>> bins;
  bins.reserve(values.size());
  for (const expr::Datum& value : values) {
    bins.push_back(out.bin_of(value));
    if (bins.back()) out.reference.add(*bins.back());
  }
  std::vector<double> statistics;
  for (const auto& [begin, end] : chunks) {
    stats::Histogram chunk(out.binning.size());
    for (std::size_t i = begin; i < end; ++i) {
      if (bins[i]) chunk.add(*bins[i]);
    }
    if (chunk.total() > 0) statistics.push_back(out.statistic(chunk));
  }
  std::tie(out.mean, out.sd) = mean_and_sd(statistics);
  out.chunks = static_cast<int>(statistics.size());
  if (out.reference.total() == 0) {
    return Error{ErrorKind::kInvalid, "watch-no-reference",
                 fmt::format("monitor metric `{}`: no training row says anything of `{}`",
                             metric.name, metric.column),
                 "take the metric out of the monitor, or train on rows that have it"};
  }
  // A metric that can never alert looks like one that watches: it is refused when it is made.
  if (out.threshold() >= out.reach()) return cannot_alert(out);
  return out;
}

DependencyReference dependency_of(const spec::RowRule& rule, const BaselineInput& input) {
  DependencyReference out{rule.id, rule.determinant, rule.dependent, {}};
  const auto view = [&](const std::string& name) -> const expr::ColumnView* {
    const auto it = std::find(input.names.begin(), input.names.end(), name);
    return it == input.names.end()
               ? nullptr
               : &input.columns[static_cast<std::size_t>(it - input.names.begin())];
  };
  const expr::ColumnView* dependent = view(rule.dependent);
  std::vector<const expr::ColumnView*> determinant;
  for (const std::string& name : rule.determinant) determinant.push_back(view(name));
  if (dependent == nullptr ||
      std::find(determinant.begin(), determinant.end(), nullptr) != determinant.end())
    return out;
  std::vector<expr::Datum> parts(determinant.size());
  std::string key;
  for (std::size_t i = 0; i < input.event_time.size() && out.expected.size() < kMostDependencyKeys;
       ++i) {
    const expr::Datum value = dependent->at(static_cast<std::int64_t>(i));
    if (value.kind != expr::Datum::Kind::kInt && value.kind != expr::Datum::Kind::kDouble) continue;
    if (!std::isfinite(value.number())) continue;  // no ratio can be taken to it
    for (std::size_t j = 0; j < parts.size(); ++j)
      parts[j] = determinant[j]->at(static_cast<std::int64_t>(i));
    // Accepted rows of one key agree, within the rule's tolerance: the first stands for all.
    if (dependency_key(parts, key)) out.expected.try_emplace(key, value.number());
  }
  return out;
}

/// What the labels are like, and the model on them, chunk by chunk.
void add_quality(const spec::QualityMetric& metric, const BaselineInput& input, Baseline& out) {
  std::vector<double> ratios;
  std::vector<double> coverages;
  std::vector<double> all;
  for (const auto& [begin, end] : chunks_of(input.event_time, metric.chunk_duration, 1)) {
    std::vector<float> margins;
    std::vector<double> codes;
    std::int64_t held = 0;
    std::vector<float> prediction(input.task.outputs());
    for (std::size_t i = begin; i < end && i < input.codes.size(); ++i) {
      if (!is_scored(input, i)) continue;
      const auto row = margins_of(input, i);
      margins.insert(margins.end(), row.begin(), row.end());
      codes.push_back(input.codes[i]);
      if (!input.interval) continue;
      input.task.predict(row, prediction);
      held += stats::holds(input.task, prediction, codes.back(), input.interval->quantile) ? 1 : 0;
    }
    all.insert(all.end(), codes.begin(), codes.end());
    // A shorter chunk varies more than those that the watch judges: it would widen every threshold.
    if (static_cast<std::int64_t>(codes.size()) < metric.chunk_rows) continue;
    const double ratio = stats::quality_ratio(input.task, margins, codes).ratio;
    if (std::isfinite(ratio)) ratios.push_back(ratio);
    if (input.interval)
      coverages.push_back(static_cast<double>(held) / static_cast<double>(codes.size()));
  }
  std::tie(out.ratio_mean, out.ratio_sd) = mean_and_sd(ratios);
  out.ratio_chunks = static_cast<int>(ratios.size());
  std::tie(out.coverage_mean, out.coverage_sd) = mean_and_sd(coverages);
  out.coverage_chunks = static_cast<int>(coverages.size());
  if (input.task.kind != stats::TaskKind::kRegression || all.empty()) return;
  out.label_median = stats::median(all);
  for (double& label : all) label = std::abs(label - out.label_median);
  // The median distance from the median, which a few wild labels do not move.
  const double spread = stats::median(all);
  out.label_scale = spread > 0 ? spread : mean_and_sd(all).first;
  // Labels that are all equal: `run` refuses them, and a unit of 0 would divide by nothing.
  if (!(out.label_scale > 0)) out.label_scale = 1;
}

}  // namespace

expr::Datum prediction_datum(const stats::Task& task, std::span<const float> prediction) {
  if (task.kind != stats::TaskKind::kClasses)
    return expr::Datum::real(static_cast<double>(prediction[0]));
  return expr::Datum::string(task.classes[stats::Task::best(prediction)]);
}

bool dependency_key(std::span<const expr::Datum> determinant, std::string& key) {
  key.clear();
  for (const expr::Datum& part : determinant) {
    if (part.kind == expr::Datum::Kind::kString) {
      key.append(part.str());
    } else if (part.kind == expr::Datum::Kind::kInt) {
      // A double is no key: two that print alike need not be equal.
      key.append(std::to_string(part.i));
    } else {
      return false;
    }
    // A byte that no identifier holds keeps `a`, `bc` from being `ab`, `c`.
    key.push_back('\x1f');
  }
  return true;
}

double MetricReference::threshold() const noexcept {
  return chunks < kFewestChunks ? metric.floor : std::max(metric.floor, mean + metric.sds * sd);
}

double MetricReference::statistic(const stats::Histogram& window) const {
  return metric.kind->distance(reference, window);
}

double MetricReference::reach() const { return metric.kind->reach(reference); }

std::optional<std::size_t> MetricReference::bin_of(const expr::Datum& value) const {
  if (value.is_error()) return std::nullopt;
  return metric.kind->bin_of(binning, value);
}

Result<Baseline> build_baseline(const spec::Monitor& monitor, const spec::Contract& contract,
                                const BaselineInput& input) {
  Baseline out;
  const auto windows = chunks_of(input.event_time, monitor.window, monitor.window_rows);
  for (const spec::DistributionMetric& metric : monitor.distributions) {
    HEDDLE_ASSIGN_OR_RETURN(MetricReference reference, reference_of(metric, input, windows));
    out.metrics.push_back(std::move(reference));
  }
  for (const spec::RowRule& rule : contract.row_rules) {
    if (rule.kind == spec::RowRule::Kind::kDependency)
      out.dependencies.push_back(dependency_of(rule, input));
  }
  if (monitor.labelled_quality) add_quality(monitor.quality, input, out);
  return out;
}

std::vector<std::string> weak_points(const spec::Monitor& monitor, const Baseline& baseline) {
  std::vector<std::string> out;
  for (const MetricReference& m : baseline.metrics) {
    if (m.chunks == 0) {
      out.push_back(
          fmt::format("metric `{}`: no window of {} has {} training rows: its windows will widen, "
                      "and its floor counts "
                      "alone",
                      m.metric.name, format_duration(monitor.window), monitor.window_rows));
    } else if (m.chunks < kFewestChunks) {
      out.push_back(
          fmt::format("metric `{}`: {} training windows are fewer than {}: its floor counts alone, "
                      "`sds` does not",
                      m.metric.name, m.chunks, kFewestChunks));
    }
  }
  if (monitor.labelled_quality && baseline.ratio_chunks < kFewestChunks) {
    out.push_back(fmt::format(
        "labelled quality: {} chunks of {} with {} labels in the held-out rows are fewer than {}: "
        "`alert_twice` counts alone, `sds` does not",
        baseline.ratio_chunks, format_duration(monitor.quality.chunk_duration),
        monitor.quality.chunk_rows, kFewestChunks));
  }
  return out;
}

}  // namespace heddle::watch
