// The baseline as JSON: docs/formats/baseline.md.
#include "watch/baseline_format.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "doc/numbers.hpp"
#include "doc/schema_custom.hpp"

namespace heddle::watch {

namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;

constexpr double kLargest = std::numeric_limits<double>::max();
constexpr double kMostCounted = 9007199254740992;  ///< 2^53, so that no sum of counts overflows

/// Reads the members in which a statistic keeps its bins.
class Bins final : public statistic::BinsReader {
 public:
  Bins(const Value& value, Reader& reader) : value_(value), reader_(reader) {}

  std::vector<std::string> texts(std::string_view key) override {
    return list<std::string>(key, "texts", [](const Value& item) {
      return item.is_string() ? std::optional(item.as_string()) : std::nullopt;
    });
  }
  std::vector<double> numbers(std::string_view key) override {
    return list<double>(key, "numbers", [](const Value& item) { return doc::exact_number(item); });
  }
  void refuse(std::string_view key, std::string_view wanted) override {
    if (is_refused_) return;  // one fault of the bins has many consequences
    is_refused_ = true;
    reader_.refuse(key, fmt::format("is not {}", wanted));
  }
  [[nodiscard]] bool is_refused() const noexcept { return is_refused_; }

 private:
  template <class T, class F>
  std::vector<T> list(std::string_view key, std::string_view wanted, F read) {
    std::vector<T> out;
    const Value* found = value_.find(key);
    const bool is_list = found != nullptr && found->is_array();
    if (!is_list) refuse(key, fmt::format("a list of {}", wanted));
    for (std::size_t i = 0; is_list && i < found->size(); ++i) {
      const std::optional<T> item = read(found->as_array()[i]);
      if (!item) {
        refuse(key, fmt::format("a list of {}", wanted));
        break;
      }
      out.push_back(*item);
    }
    return out;
  }

  const Value& value_;
  Reader& reader_;
  bool is_refused_ = false;
};

std::optional<Value> counts_of(const MetricReference& from) {
  return doc::to_list(from.reference.counts(), [](std::int64_t count) { return Value(count); });
}

const Schema<MetricReference>& metric_schema();

/// The bins, whose members are the statistic's own, and what must fit to them.
void read_bins(MetricReference& into, const Value& value, Reader& reader) {
  if (into.metric.kind == nullptr) return;
  Bins bins(value, reader);
  into.binning = into.metric.kind->read(bins);
  if (bins.is_refused()) return;
  if (into.reference.counts().size() != into.binning.size()) {
    reader.refuse("counts",
                  fmt::format("must have one count for each of {} bins", into.binning.size()));
  } else if (into.reference.total() == 0) {
    // Every distance to a reference without rows is 0: the metric could never alert.
    reader.refuse("counts", "must be of at least one row");
  }
  Value known = Value::object();
  into.metric.kind->write(into.binning, known);
  for (const auto& [name, member] : value.as_object()) {
    const auto& keys = metric_schema().keys;
    const bool is_key = std::any_of(keys.begin(), keys.end(),
                                    [&](const doc::Key& key) { return key.name == name; });
    if (!is_key && known.find(name) == nullptr) reader.refuse_unknown(name);
  }
}

/// The metric as the monitor has it.
const Schema<spec::DistributionMetric>& distribution_schema() {
  using Metric = spec::DistributionMetric;
  static const auto schema = [] {
    auto t = Schema<Metric>::record("the metric", "a distribution metric of the monitor");
    t.text("name", &Metric::name, "its name");
    t.text("column", &Metric::column, "a field, or `prediction`");
    t.custom(
        "kind", Shape::kText, "the statistic: `ks`, `total_variation` or `hour_of_day`",
        [](Metric& into, const Value& value, Reader& reader) {
          into.kind = statistic::statistics().find(value.as_string());
          if (into.kind == nullptr)
            reader.refuse("", fmt::format("is `{}`, a statistic that this Heddle does not have",
                                          value.as_string()));
        },
        [](const Metric& from) -> std::optional<Value> { return Value(from.kind->name()); });
    t.number("floor", &Metric::floor, "as in the monitor").between(0, kLargest);
    t.number("sds", &Metric::sds, "as in the monitor").between(0, kLargest);
    return t;
  }();
  return schema;
}

const Schema<MetricReference>& metric_schema() {
  using Metric = MetricReference;
  static const auto schema = [] {
    auto t = Schema<Metric>::record("the metric", "one distribution metric in the reference");
    t.flattened(&Metric::metric, distribution_schema());
    t.number("mean", &Metric::mean, "of the statistic of each reference window against the whole")
        .between(0, kLargest);
    t.number("sd", &Metric::sd, "its standard deviation").between(0, kLargest);
    t.integer("chunks", &Metric::chunks, "reference windows; below 6 only the floor counts");
    t.custom(
         "counts", Shape::kIntegers, "rows of the reference in each bin",
         [](Metric& into, const Value& value, Reader&) {
           into.reference = stats::Histogram(
               doc::list_of<std::int64_t>(value, [](const Value& item) { return item.as_int(); }));
         },
         counts_of)
        .between(0, kMostCounted);
    doc::other_members<Metric>(
        t,
        "its bins: `points` of `ks`, ascending and all different (times are microseconds, `false` "
        "is 0 and `true` 1); `categories` of `total_variation`, the most frequent values, at most "
        "50, as texts",
        read_bins,
        [](const Metric& from, Value& into) { from.metric.kind->write(from.binning, into); });
    return t;
  }();
  return schema;
}

const Schema<DependencyReference>& dependency_schema() {
  using Dependency = DependencyReference;
  static const auto schema = [] {
    auto t = Schema<Dependency>::record("the dependency", "a dependency of the contract");
    t.text("rule", &Dependency::rule, "its rule");
    t.texts("determinant", &Dependency::determinant, "the fields that fix the dependent one");
    t.text("dependent", &Dependency::dependent, "the field that they fix");
    t.custom(
        "expected", Shape::kMap,
        "determinant values, each followed by U+001F, to the finite number",
        [](Dependency& into, const Value& value, Reader& reader) {
          for (const auto& [key, number] : value.as_object()) {
            if (!number.is_number() || !std::isfinite(number.as_double()))
              return reader.refuse("", "must be an object of finite numbers");
            into.expected.emplace(key, number.as_double());
          }
        },
        [](const Dependency& from) -> std::optional<Value> {
          Value::Object members;
          members.reserve(from.expected.size());
          for (const auto& [key, number] : from.expected) members.emplace_back(key, number);
          return Value::object(std::move(members));
        });
    return t;
  }();
  return schema;
}

const Schema<Baseline>& quality_schema() {
  static const auto schema = [] {
    auto t = Schema<Baseline>::record("the quality", "labelled quality of the reference");
    t.number("mean", &Baseline::ratio_mean, "of the ratio over reference chunks")
        .between(0, kLargest);
    t.number("sd", &Baseline::ratio_sd, "its standard deviation").between(0, kLargest);
    t.integer("chunks", &Baseline::ratio_chunks, "how many; 0 without a `quality` section");
    return t;
  }();
  return schema;
}

const Schema<Baseline>& labels_schema() {
  static const auto schema = [] {
    auto t = Schema<Baseline>::record("the labels", "labels of a regression");
    t.number("median", &Baseline::label_median, "of the labels; 0 of another task")
        .between(-kLargest, kLargest);
    t.number("scale", &Baseline::label_scale,
             "their median absolute deviation (where more than half are equal, the mean one): the "
             "unit of prior shift; 1 of another task")
        .between(std::numeric_limits<double>::min(), kLargest);
    return t;
  }();
  return schema;
}

const Schema<Baseline>& coverage_schema() {
  static const auto schema = [] {
    auto t = Schema<Baseline>::record("the coverage", "labels that the interval held");
    t.number("mean", &Baseline::coverage_mean, "their share, over reference chunks")
        .between(0, kLargest);
    t.number("sd", &Baseline::coverage_sd, "its standard deviation").between(0, kLargest);
    t.integer("chunks", &Baseline::coverage_chunks, "how many; 0 without an interval");
    return t;
  }();
  return schema;
}

}  // namespace

const Schema<Baseline>& baseline_schema() {
  static const auto schema = [] {
    auto t =
        Schema<Baseline>::record("the baseline profile", "what the training snapshot looked like");
    t.of_format("heddle.baseline/3")
        .refused_as(ErrorKind::kCorrupt, "watch-baseline",
                    "pack the bundle again with `heddle run`");
    t.objects("metrics", &Baseline::metrics, metric_schema(),
              "one for each distribution metric of the monitor");
    t.objects("dependencies", &Baseline::dependencies, dependency_schema(),
              "what dependencies of the contract were learned to be");
    t.within("quality", quality_schema(), "labelled quality of the reference");
    t.within("labels", labels_schema(), "what labels of a regression are measured in");
    t.within("coverage", coverage_schema(), "share of the labels that the bundle's interval held");
    return t;
  }();
  return schema;
}

}  // namespace heddle::watch
