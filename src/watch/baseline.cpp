#include "watch/baseline.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "stats/metrics.hpp"
#include "stats/scalar.hpp"

namespace heddle::watch {

namespace {

using Kind = spec::DistributionMetric::Kind;

constexpr int kFewestChunks = 6;
constexpr std::size_t kTopCategories = 50;
constexpr int kQuantileBins = 64;
constexpr std::size_t kMostDependencyKeys = 100'000;

std::string_view kind_name(Kind kind) {
  return kind == Kind::kKs ? "ks" : kind == Kind::kTotalVariation ? "total_variation" : "hour_of_day";
}

std::pair<double, double> mean_and_sd(const std::vector<double>& values) {
  if (values.empty()) return {0, 0};
  double mean = 0;
  for (const double v : values) mean += v;
  mean /= static_cast<double>(values.size());
  double square = 0;
  for (const double v : values) square += (v - mean) * (v - mean);
  return {mean, values.size() < 2 ? 0 : std::sqrt(square / static_cast<double>(values.size() - 1))};
}

/// Row ranges [begin, end) of equal windows of event time; a window with fewer than `rows` rows is left out.
std::vector<std::pair<std::size_t, std::size_t>> chunks_of(std::span<const Micros> time, Micros window, std::int64_t rows) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  std::size_t begin = 0;
  while (begin < time.size()) {
    std::size_t end = begin;
    const Micros index = time[begin] / window;
    while (end < time.size() && time[end] / window == index) ++end;
    if (static_cast<std::int64_t>(end - begin) >= rows) out.emplace_back(begin, end);
    begin = end;
  }
  return out;
}

Result<MetricReference> reference_of(const spec::DistributionMetric& metric, const BaselineInput& input,
                                     const std::vector<std::pair<std::size_t, std::size_t>>& chunks) {
  MetricReference out;
  out.metric = metric;
  const std::size_t rows = input.event_time.size();
  std::vector<expr::Datum> values(rows);
  if (metric.column == "prediction") {
    for (std::size_t i = 0; i < rows && i < input.margins.size(); ++i) {
      if (!std::isnan(input.margins[i])) {
        values[i] = expr::Datum::real(static_cast<float>(stats::sigmoid(static_cast<double>(input.margins[i]))));
      }
    }
  } else {
    const auto it = std::find(input.names.begin(), input.names.end(), metric.column);
    if (it == input.names.end()) {
      return Error{ErrorKind::kInvalid, "watch-column", "monitor metric `" + metric.name + "` names column `" +
                   metric.column + "`, which the contract does not have", "name a field of the contract, or `prediction`"};
    }
    const expr::ColumnView& column = input.columns[static_cast<std::size_t>(it - input.names.begin())];
    for (std::size_t i = 0; i < rows; ++i) values[i] = column.at(static_cast<std::int64_t>(i));
  }
  if (metric.kind == Kind::kKs) {
    std::vector<double> numbers;
    for (const auto& v : values) {
      if (v.kind == expr::Datum::Kind::kInt || v.kind == expr::Datum::Kind::kDouble) numbers.push_back(v.number());
    }
    out.binning = stats::Binning::quantiles(numbers, kQuantileBins);
  } else if (metric.kind == Kind::kTotalVariation) {
    std::unordered_map<std::string, std::int64_t> counts;
    for (const auto& v : values) {
      if (v.kind == expr::Datum::Kind::kString) ++counts[std::string(v.str())];
    }
    out.binning = stats::Binning::categories(stats::top_categories(counts, kTopCategories));
  }
  out.reference = stats::Histogram(out.binning.size());
  std::vector<std::int32_t> bins(rows, -1);
  for (std::size_t i = 0; i < rows; ++i) {
    std::size_t bin = 0;
    if (!out.bin_of(values[i], bin)) continue;
    bins[i] = static_cast<std::int32_t>(bin);
    out.reference.add(bin);
  }
  std::vector<double> statistics;
  for (const auto& [begin, end] : chunks) {
    stats::Histogram chunk(out.binning.size());
    for (std::size_t i = begin; i < end; ++i) {
      if (bins[i] >= 0) chunk.add(static_cast<std::size_t>(bins[i]));
    }
    if (chunk.total() > 0) statistics.push_back(out.statistic(chunk));
  }
  std::tie(out.mean, out.sd) = mean_and_sd(statistics);
  out.chunks = static_cast<int>(statistics.size());
  return out;
}

DependencyReference dependency_of(const spec::RowRule& rule, const BaselineInput& input) {
  DependencyReference out{rule.id, rule.determinant, rule.dependent, {}};
  const auto view = [&](const std::string& name) -> const expr::ColumnView* {
    const auto it = std::find(input.names.begin(), input.names.end(), name);
    return it == input.names.end() ? nullptr : &input.columns[static_cast<std::size_t>(it - input.names.begin())];
  };
  const expr::ColumnView* dependent = view(rule.dependent);
  std::vector<const expr::ColumnView*> determinant;
  for (const std::string& name : rule.determinant) determinant.push_back(view(name));
  if (dependent == nullptr || std::find(determinant.begin(), determinant.end(), nullptr) != determinant.end()) return out;
  std::vector<expr::Datum> parts(determinant.size());
  std::string key;
  for (std::size_t i = 0; i < input.event_time.size() && out.expected.size() < kMostDependencyKeys; ++i) {
    const expr::Datum value = dependent->at(static_cast<std::int64_t>(i));
    if (value.kind != expr::Datum::Kind::kInt && value.kind != expr::Datum::Kind::kDouble) continue;
    for (std::size_t j = 0; j < parts.size(); ++j) parts[j] = determinant[j]->at(static_cast<std::int64_t>(i));
    if (dependency_key(parts, key)) out.expected.try_emplace(key, value.number());
  }
  return out;
}

}  // namespace

bool dependency_key(std::span<const expr::Datum> determinant, std::string& key) {
  key.clear();
  for (const expr::Datum& part : determinant) {
    if (part.kind == expr::Datum::Kind::kString) {
      key.append(part.str());
    } else if (part.kind == expr::Datum::Kind::kInt) {
      key.append(std::to_string(part.i));
    } else {
      return false;
    }
    key.push_back('\x1f');
  }
  return true;
}

double MetricReference::threshold() const noexcept {
  return chunks < kFewestChunks ? metric.floor : std::max(metric.floor, mean + metric.sds * sd);
}

double MetricReference::statistic(const stats::Histogram& window) const {
  return metric.kind == Kind::kKs ? stats::kolmogorov_smirnov(reference, window) : stats::total_variation(reference, window);
}

bool MetricReference::bin_of(const expr::Datum& value, std::size_t& bin) const {
  using DatumKind = expr::Datum::Kind;
  switch (metric.kind) {
    case Kind::kKs:
      if ((value.kind != DatumKind::kInt && value.kind != DatumKind::kDouble) || std::isnan(value.number())) return false;
      bin = binning.bin(value.number());
      return true;
    case Kind::kTotalVariation:
      if (value.kind != DatumKind::kString) return false;
      bin = binning.bin(value.str());
      return true;
    case Kind::kHourOfDay:
      if (value.kind != DatumKind::kTimestamp) return false;
      bin = binning.bin_time(value.i);
      return true;
  }
  return false;
}

Result<Baseline> build_baseline(const spec::Monitor& monitor, const spec::Contract& contract, const BaselineInput& input) {
  Baseline out;
  const auto windows = chunks_of(input.event_time, monitor.window, monitor.window_rows);
  for (const spec::DistributionMetric& metric : monitor.distributions) {
    HEDDLE_ASSIGN_OR_RETURN(MetricReference reference, reference_of(metric, input, windows));
    out.metrics.push_back(std::move(reference));
  }
  for (const spec::RowRule& rule : contract.row_rules) {
    if (rule.kind == spec::RowRule::Kind::kDependency) out.dependencies.push_back(dependency_of(rule, input));
  }
  std::vector<double> ratios;
  for (const auto& [begin, end] : chunks_of(input.event_time, monitor.quality.chunk_duration, 1)) {
    std::vector<float> margins;
    std::vector<std::uint8_t> labels;
    for (std::size_t i = begin; i < end && i < input.margins.size() && i < input.labels.size(); ++i) {
      if (std::isnan(input.margins[i])) continue;
      margins.push_back(input.margins[i]);
      labels.push_back(input.labels[i]);
    }
    if (static_cast<std::int64_t>(margins.size()) < monitor.quality.chunk_rows) continue;
    const double ratio = stats::quality_ratio(margins, labels).ratio;
    if (!std::isnan(ratio)) ratios.push_back(ratio);
  }
  std::tie(out.ratio_mean, out.ratio_sd) = mean_and_sd(ratios);
  out.ratio_chunks = static_cast<int>(ratios.size());
  return out;
}

doc::Value Baseline::to_value() const {
  doc::Value metric_list = doc::Value::array();
  for (const MetricReference& m : metrics) {
    doc::Value counts = doc::Value::array();
    for (const std::int64_t count : m.reference.counts()) counts.push(count);
    doc::Value item = doc::Value::object({{"name", m.metric.name},
                                          {"column", m.metric.column},
                                          {"kind", kind_name(m.metric.kind)},
                                          {"floor", m.metric.floor},
                                          {"sds", m.metric.sds},
                                          {"mean", m.mean},
                                          {"sd", m.sd},
                                          {"chunks", m.chunks},
                                          {"counts", std::move(counts)}});
    if (m.metric.kind == Kind::kKs) {
      doc::Value edges = doc::Value::array();
      for (const double edge : m.binning.edges()) edges.push(edge);
      item.set("edges", std::move(edges));
    } else if (m.metric.kind == Kind::kTotalVariation) {
      doc::Value names = doc::Value::array();
      for (const std::string& name : m.binning.names()) names.push(name);
      item.set("categories", std::move(names));
    }
    metric_list.push(std::move(item));
  }
  doc::Value dependency_list = doc::Value::array();
  for (const DependencyReference& d : dependencies) {
    doc::Value determinant = doc::Value::array();
    for (const std::string& name : d.determinant) determinant.push(name);
    doc::Value expected = doc::Value::object();
    expected.as_object().reserve(d.expected.size());
    for (const auto& [key, value] : d.expected) expected.as_object().emplace_back(key, value);
    dependency_list.push(doc::Value::object({{"rule", d.rule},
                                             {"determinant", std::move(determinant)},
                                             {"dependent", d.dependent},
                                             {"expected", std::move(expected)}}));
  }
  return doc::Value::object(
      {{"format", "heddle.baseline/1"},
       {"metrics", std::move(metric_list)},
       {"dependencies", std::move(dependency_list)},
       {"quality", doc::Value::object({{"mean", ratio_mean}, {"sd", ratio_sd}, {"chunks", ratio_chunks}})}});
}

Result<Baseline> Baseline::from_value(const doc::Value& value) {
  const auto corrupt = [](std::string_view what) {
    return Error{ErrorKind::kCorrupt, "watch-baseline", "the baseline profile is malformed: " + std::string(what),
                 "pack the bundle again with `heddle run`"};
  };
  if (value.string_or("format") != "heddle.baseline/1") return corrupt("format");
  const doc::Value* list = value.find("metrics");
  const doc::Value* dependencies = value.find("dependencies");
  const doc::Value* quality = value.find("quality");
  if (list == nullptr || !list->is_array() || dependencies == nullptr || !dependencies->is_array() || quality == nullptr) {
    return corrupt("a part is missing");
  }
  Baseline out;
  for (const doc::Value& item : list->as_array()) {
    MetricReference m;
    m.metric.name = item.string_or("name");
    m.metric.column = item.string_or("column");
    const std::string kind = item.string_or("kind");
    m.metric.kind = kind == "ks" ? Kind::kKs : kind == "total_variation" ? Kind::kTotalVariation : Kind::kHourOfDay;
    m.metric.floor = item.double_or("floor");
    m.metric.sds = item.double_or("sds");
    m.mean = item.double_or("mean");
    m.sd = item.double_or("sd");
    m.chunks = static_cast<int>(item.int_or("chunks"));
    if (const doc::Value* edges = item.find("edges"); edges != nullptr && edges->is_array()) {
      std::vector<double> numbers;
      for (const doc::Value& edge : edges->as_array()) {
        if (!edge.is_number()) return corrupt("edges");
        numbers.push_back(edge.as_double());
      }
      m.binning = stats::Binning::from_edges(std::move(numbers));
    } else if (const doc::Value* names = item.find("categories"); names != nullptr && names->is_array()) {
      std::vector<std::string> strings;
      for (const doc::Value& name : names->as_array()) {
        if (!name.is_string()) return corrupt("categories");
        strings.push_back(name.as_string());
      }
      m.binning = stats::Binning::categories(std::move(strings));
    }
    const doc::Value* counts = item.find("counts");
    if (counts == nullptr || counts->size() != m.binning.size()) return corrupt("counts of `" + m.metric.name + "`");
    std::vector<std::int64_t> numbers;
    for (const doc::Value& count : counts->as_array()) {
      if (!count.is_int()) return corrupt("counts");
      numbers.push_back(count.as_int());
    }
    m.reference = stats::Histogram(std::move(numbers));
    out.metrics.push_back(std::move(m));
  }
  for (const doc::Value& item : dependencies->as_array()) {
    DependencyReference d{item.string_or("rule"), {}, item.string_or("dependent"), {}};
    const doc::Value* determinant = item.find("determinant");
    const doc::Value* expected = item.find("expected");
    if (determinant == nullptr || !determinant->is_array() || expected == nullptr || !expected->is_object()) {
      return corrupt("dependencies");
    }
    for (const doc::Value& name : determinant->as_array()) {
      if (!name.is_string()) return corrupt("determinant");
      d.determinant.push_back(name.as_string());
    }
    for (const auto& [key, number] : expected->as_object()) {
      if (!number.is_number()) return corrupt("expected");
      d.expected.emplace(key, number.as_double());
    }
    out.dependencies.push_back(std::move(d));
  }
  out.ratio_mean = quality->double_or("mean");
  out.ratio_sd = quality->double_or("sd");
  out.ratio_chunks = static_cast<int>(quality->int_or("chunks"));
  return out;
}

}  // namespace heddle::watch
