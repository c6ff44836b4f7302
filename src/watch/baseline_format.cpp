// The baseline as JSON: docs/formats/baseline.md.
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "doc/json.hpp"
#include "doc/numbers.hpp"
#include "watch/baseline.hpp"

namespace heddle::watch {

namespace {

constexpr std::string_view kFormat = "heddle.baseline/3";

Error corrupt(std::string_view what) {
  return Error{ErrorKind::kCorrupt, "watch-baseline",
               fmt::format("the baseline profile is malformed: {}", what),
               "pack the bundle again with `heddle run`"};
}

/// Reads the members of one object of the profile and remembers the first that is not as it must
/// be.
class Part final : public statistic::BinsReader {
 public:
  Part(const doc::Value& value, std::string name) : value_(value), name_(std::move(name)) {}

  std::string text(std::string_view key) {
    const doc::Value* found = value_.find(key);
    if (found != nullptr && found->is_string()) return found->as_string();
    refuse(key, "a text");
    return {};
  }
  double finite(std::string_view key, double at_least) {
    const doc::Value* found = value_.find(key);
    if (found != nullptr && found->is_number() && found->as_double() >= at_least &&
        std::isfinite(found->as_double())) {
      return found->as_double();
    }
    refuse(key, fmt::format("a finite number of {:g} or more", at_least));
    return 0;
  }
  int count(std::string_view key) {
    const doc::Value* found = value_.find(key);
    if (found != nullptr && found->is_int() && found->as_int() >= 0 &&
        found->as_int() <= INT32_MAX) {
      return static_cast<int>(found->as_int());
    }
    refuse(key, "a count");
    return 0;
  }
  std::vector<std::string> texts(std::string_view key) override {
    return list<std::string>(key, "texts", [](const doc::Value& item) {
      return item.is_string() ? std::optional(item.as_string()) : std::nullopt;
    });
  }
  std::vector<double> numbers(std::string_view key) override {
    return list<double>(key, "numbers",
                        [](const doc::Value& item) { return doc::exact_number(item); });
  }
  std::vector<std::int64_t> counts(std::string_view key) {
    constexpr std::int64_t kMost = std::int64_t{1} << 53;  // so that no sum of them overflows
    return list<std::int64_t>(key, "counts", [](const doc::Value& item) {
      const bool valid = item.is_int() && item.as_int() >= 0 && item.as_int() <= kMost;
      return valid ? std::optional(item.as_int()) : std::nullopt;
    });
  }
  void refuse(std::string_view key, std::string_view wanted) override {
    if (wrong_.empty()) wrong_ = fmt::format("`{}` of {} is not {}", key, name_, wanted);
  }
  [[nodiscard]] Result<void> done() const {
    if (wrong_.empty()) return {};
    return corrupt(wrong_);
  }

 private:
  template <class T, class F>
  std::vector<T> list(std::string_view key, std::string_view wanted, F read) {
    std::vector<T> out;
    const doc::Value* found = value_.find(key);
    const bool there = found != nullptr && found->is_array();
    if (!there) refuse(key, fmt::format("a list of {}", wanted));
    for (std::size_t i = 0; there && i < found->size(); ++i) {
      const std::optional<T> item = read(found->as_array()[i]);
      if (!item) {
        refuse(key, fmt::format("a list of {}", wanted));
        break;
      }
      out.push_back(*item);
    }
    return out;
  }

  const doc::Value& value_;
  std::string name_;
  std::string wrong_;
};

Result<MetricReference> metric_from(const doc::Value& item) {
  MetricReference m;
  m.metric.name = item.string_or("name");
  Part part(item, "metric `" + m.metric.name + "`");
  m.metric.name = part.text("name");
  m.metric.column = part.text("column");
  m.metric.kind = statistic::statistics().find(part.text("kind"));
  if (m.metric.kind == nullptr) part.refuse("kind", "a kind of distance");
  m.metric.floor = part.finite("floor", 0);
  m.metric.sds = part.finite("sds", 0);
  m.mean = part.finite("mean", 0);
  m.sd = part.finite("sd", 0);
  m.chunks = part.count("chunks");
  HEDDLE_TRY(part.done());
  m.binning = m.metric.kind->read(part);
  auto counts = part.counts("counts");
  if (counts.size() != m.binning.size())
    part.refuse("counts", fmt::format("one count for each of {} bins", m.binning.size()));
  m.reference = stats::Histogram(std::move(counts));
  // Every distance to a reference without rows is 0: the metric could never alert.
  if (m.reference.total() == 0) part.refuse("counts", "of at least one row");
  HEDDLE_TRY(part.done());
  return m;
}

Result<DependencyReference> dependency_from(const doc::Value& item) {
  DependencyReference out;
  Part part(item, "a dependency");
  out.rule = part.text("rule");
  out.determinant = part.texts("determinant");
  out.dependent = part.text("dependent");
  const doc::Value* expected = item.find("expected");
  if (expected == nullptr || !expected->is_object())
    return corrupt("`expected` of a dependency is not an object");
  for (const auto& [key, number] : expected->as_object()) {
    if (!number.is_number() || !std::isfinite(number.as_double())) {
      part.refuse("expected", "an object of finite numbers");
      break;
    }
    out.expected.emplace(key, number.as_double());
  }
  HEDDLE_TRY(part.done());
  return out;
}

doc::Value value_of(const MetricReference& m) {
  doc::Value counts = doc::Value::array();
  for (const std::int64_t count : m.reference.counts()) counts.push(count);
  doc::Value item = doc::Value::object({{"name", m.metric.name},
                                        {"column", m.metric.column},
                                        {"kind", m.metric.kind->name()},
                                        {"floor", m.metric.floor},
                                        {"sds", m.metric.sds},
                                        {"mean", m.mean},
                                        {"sd", m.sd},
                                        {"chunks", m.chunks},
                                        {"counts", std::move(counts)}});
  m.metric.kind->write(m.binning, item);
  return item;
}

doc::Value value_of(const DependencyReference& d) {
  doc::Value determinant = doc::Value::array();
  for (const std::string& name : d.determinant) determinant.push(name);
  doc::Value expected = doc::Value::object();
  expected.as_object().reserve(d.expected.size());
  for (const auto& [key, number] : d.expected) expected.as_object().emplace_back(key, number);
  return doc::Value::object({{"rule", d.rule},
                             {"determinant", std::move(determinant)},
                             {"dependent", d.dependent},
                             {"expected", std::move(expected)}});
}

}  // namespace

doc::Value Baseline::to_value() const {
  doc::Value metric_list = doc::Value::array();
  for (const MetricReference& m : metrics) metric_list.push(value_of(m));
  doc::Value dependency_list = doc::Value::array();
  for (const DependencyReference& d : dependencies) dependency_list.push(value_of(d));
  return doc::Value::object(
      {{"format", kFormat},
       {"metrics", std::move(metric_list)},
       {"dependencies", std::move(dependency_list)},
       {"quality",
        doc::Value::object({{"mean", ratio_mean}, {"sd", ratio_sd}, {"chunks", ratio_chunks}})},
       {"labels", doc::Value::object({{"median", label_median}, {"scale", label_scale}})},
       {"coverage",
        doc::Value::object(
            {{"mean", coverage_mean}, {"sd", coverage_sd}, {"chunks", coverage_chunks}})}});
}

Result<Baseline> Baseline::from_value(const doc::Value& value) {
  const std::string format = value.string_or("format");
  if (format != kFormat)
    return corrupt(fmt::format("its format is `{}`, this Heddle reads `{}`", format, kFormat));
  const doc::Value* list = value.find("metrics");
  const doc::Value* dependencies = value.find("dependencies");
  const doc::Value* quality = value.find("quality");
  const doc::Value* labels = value.find("labels");
  const doc::Value* coverage = value.find("coverage");
  if (list == nullptr || !list->is_array() || dependencies == nullptr ||
      !dependencies->is_array() || quality == nullptr || labels == nullptr || coverage == nullptr) {
    return corrupt("`metrics`, `dependencies`, `quality`, `labels` or `coverage` is missing");
  }
  Baseline out;
  for (const doc::Value& item : list->as_array()) {
    HEDDLE_ASSIGN_OR_RETURN(MetricReference metric, metric_from(item));
    out.metrics.push_back(std::move(metric));
  }
  for (const doc::Value& item : dependencies->as_array()) {
    HEDDLE_ASSIGN_OR_RETURN(DependencyReference dependency, dependency_from(item));
    out.dependencies.push_back(std::move(dependency));
  }
  Part part(*quality, "the labelled quality");
  out.ratio_mean = part.finite("mean", 0);
  out.ratio_sd = part.finite("sd", 0);
  out.ratio_chunks = part.count("chunks");
  HEDDLE_TRY(part.done());
  Part of_labels(*labels, "the labels");
  out.label_median = of_labels.finite("median", -std::numeric_limits<double>::max());
  out.label_scale = of_labels.finite("scale", std::numeric_limits<double>::min());
  HEDDLE_TRY(of_labels.done());
  Part of_coverage(*coverage, "the coverage");
  out.coverage_mean = of_coverage.finite("mean", 0);
  out.coverage_sd = of_coverage.finite("sd", 0);
  out.coverage_chunks = of_coverage.count("chunks");
  HEDDLE_TRY(of_coverage.done());
  return out;
}

Result<Baseline> Baseline::parse(std::string_view json) {
  auto value = doc::parse_json(json);
  if (!value.ok()) return corrupt(value.error().message);
  return from_value(*value);
}

}  // namespace heddle::watch
