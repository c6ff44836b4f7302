#include "model/logistic.hpp"

#include <cmath>

#include "doc/json.hpp"

namespace heddle::model {
namespace {

constexpr std::string_view kFormat = "heddle.logistic/1";

Error corrupt(std::string what) {
  return Error{ErrorKind::kCorrupt, "model-corrupt", "the logistic model " + std::move(what),
               "fetch or train the model again"};
}

class Logistic final : public Scorer {
 public:
  explicit Logistic(LogisticWeights weights) : weights_(std::move(weights)) {
    use_.objective = kFormat;
    use_.log_odds = true;
    use_.feature_names = weights_.features;
  }
  int features() const noexcept override { return static_cast<int>(weights_.weights.size()); }
  const Use& use() const noexcept override { return use_; }
  std::string_view format() const noexcept override { return kFormat; }
  int trees() const noexcept override { return 0; }
  void margins(const float* rows, std::int64_t n, float* out) const noexcept override {
    score(rows, n, out);
  }
  /// Of the rounded margin: the format defines a float.
  void margins(const float* rows, std::int64_t n, double* out) const noexcept override {
    score(rows, n, out);
  }
  /// Of a linear model: the weight times the distance from the mean of training (Lundberg, Lee
  /// 2017, corollary 1, independent features).
  Result<void> contributions(std::span<const float> row, std::span<double> out) const override {
    const std::size_t columns = weights_.weights.size();
    if (row.size() != columns || out.size() != columns + 1) {
      return Error{ErrorKind::kInvalid, "model-contributions-size",
                   fmt::format("{} numbers for a row of {} features", out.size(), row.size()),
                   "one a feature, and the bias"};
    }
    for (std::size_t i = 0; i < columns; ++i) out[i] = term(i, row[i]);
    out[columns] = weights_.intercept;
    return {};
  }

 private:
  [[nodiscard]] double term(std::size_t i, float value) const noexcept {
    const double x = value == value ? static_cast<double>(value) : weights_.missing[i];
    return weights_.weights[i] * ((x - weights_.mean[i]) / weights_.scale[i]);
  }

  template <class Out>
  void score(const float* rows, std::int64_t n, Out* out) const noexcept {
    const std::size_t columns = weights_.weights.size();
    for (std::int64_t r = 0; r < n; ++r, rows += columns) {
      double sum = weights_.intercept;
      for (std::size_t i = 0; i < columns; ++i) sum += term(i, rows[i]);
      out[r] = static_cast<float>(sum);
    }
  }

  LogisticWeights weights_;
  Use use_{};
};

doc::Value array_of(const std::vector<double>& numbers) {
  doc::Value::Array items;
  for (const double number : numbers) items.emplace_back(number);
  return doc::Value(std::move(items));
}

Result<void> read(const doc::Value& root, std::string_view key, std::vector<double>& out) {
  const doc::Value* value = root.find(key);
  if (value == nullptr || !value->is_array()) return corrupt(fmt::format("has no array `{}`", key));
  for (const auto& item : value->as_array()) {
    if (!item.is_number() || !std::isfinite(item.as_double())) {
      return corrupt(fmt::format("holds something in `{}` that is no finite number", key));
    }
    out.push_back(item.as_double());
  }
  return {};
}

}  // namespace

std::string to_json(const LogisticWeights& weights) {
  doc::Value::Array names;
  for (const auto& name : weights.features) names.emplace_back(name);
  return doc::to_json(doc::Value::object({{"format", kFormat},
                                          {"features", std::move(names)},
                                          {"mean", array_of(weights.mean)},
                                          {"scale", array_of(weights.scale)},
                                          {"missing", array_of(weights.missing)},
                                          {"weights", array_of(weights.weights)},
                                          {"intercept", weights.intercept}}));
}

Result<std::unique_ptr<Scorer>> load_logistic(std::string_view bytes) {
  auto parsed = doc::parse_json(bytes);
  if (!parsed.ok()) return corrupt("does not read as JSON: " + parsed.error().message);
  const doc::Value& root = *parsed;
  if (root.string_or("format") != kFormat)
    return corrupt("has another format than `heddle.logistic/1`");
  LogisticWeights weights;
  if (const doc::Value* names = root.find("features"); names != nullptr && names->is_array()) {
    for (const auto& name : names->as_array()) {
      if (!name.is_string()) return corrupt("holds something in `features` that is no name");
      weights.features.push_back(name.as_string());
    }
  }
  HEDDLE_TRY(read(root, "mean", weights.mean));
  HEDDLE_TRY(read(root, "scale", weights.scale));
  HEDDLE_TRY(read(root, "missing", weights.missing));
  HEDDLE_TRY(read(root, "weights", weights.weights));
  const doc::Value* intercept = root.find("intercept");
  if (intercept == nullptr || !intercept->is_number() || !std::isfinite(intercept->as_double())) {
    return corrupt("has no finite `intercept`");
  }
  weights.intercept = intercept->as_double();
  const std::size_t columns = weights.weights.size();
  if (weights.mean.size() != columns || weights.scale.size() != columns ||
      weights.missing.size() != columns) {
    return corrupt("has arrays of different lengths");
  }
  if (!weights.features.empty() && weights.features.size() != columns) {
    return corrupt("has another count of `features` than of weights");
  }
  for (const double scale : weights.scale) {
    if (!(scale > 0)) return corrupt("has a scale that is not above 0");
  }
  return std::unique_ptr<Scorer>(std::make_unique<Logistic>(std::move(weights)));
}

}  // namespace heddle::model
