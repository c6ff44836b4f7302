#include "model/standardised.hpp"

#include <algorithm>
#include <cmath>

#include "doc/json.hpp"

namespace heddle::model {
namespace {

constexpr std::string_view kFormat = "heddle.linear/1";
constexpr std::pair<std::string_view, Link> kLinks[] = {
    {"logistic", Link::kLogistic}, {"softmax", Link::kSoftmax}, {"identity", Link::kIdentity}};

Error corrupt(std::string what) {
  return Error{ErrorKind::kCorrupt, "model-corrupt", "the linear model " + std::move(what),
               "fetch or train the model again"};
}

class Standardised final : public Scorer {
 public:
  explicit Standardised(StandardisedLinear model) : model_(std::move(model)) {
    use_.objective = kFormat;
    use_.log_odds = model_.link == Link::kLogistic;
    use_.feature_names = model_.features;
  }
  int features() const noexcept override { return static_cast<int>(model_.mean.size()); }
  int outputs() const noexcept override { return static_cast<int>(model_.intercepts.size()); }
  Link link() const noexcept override { return model_.link; }
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
    const std::size_t columns = model_.mean.size();
    const std::size_t outputs = model_.intercepts.size();
    if (row.size() != columns || out.size() != outputs * (columns + 1)) {
      return Error{ErrorKind::kInvalid, "model-contributions-size",
                   fmt::format("{} numbers for a row of {} features and {} outputs", out.size(),
                               row.size(), outputs),
                   "one a feature, and the bias, of each output"};
    }
    for (std::size_t k = 0; k < outputs; ++k) {
      double* line = out.data() + k * (columns + 1);
      for (std::size_t i = 0; i < columns; ++i) line[i] = term(k, i, row[i]);
      line[columns] = model_.intercepts[k];
    }
    return {};
  }

 private:
  [[nodiscard]] double term(std::size_t k, std::size_t i, float value) const noexcept {
    const double x = value == value ? static_cast<double>(value) : model_.missing[i];
    return model_.weights[k * model_.mean.size() + i] * ((x - model_.mean[i]) / model_.scale[i]);
  }

  template <class Out>
  void score(const float* rows, std::int64_t n, Out* out) const noexcept {
    const std::size_t columns = model_.mean.size();
    for (std::int64_t r = 0; r < n; ++r, rows += columns) {
      for (std::size_t k = 0; k < model_.intercepts.size(); ++k) {
        double sum = model_.intercepts[k];
        for (std::size_t i = 0; i < columns; ++i) sum += term(k, i, rows[i]);
        *out++ = static_cast<float>(sum);
      }
    }
  }

  StandardisedLinear model_;
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

bool fits(const StandardisedLinear& model, std::size_t columns, std::size_t outputs) {
  return model.scale.size() == columns && model.missing.size() == columns &&
         model.weights.size() / outputs == columns && model.weights.size() % outputs == 0;
}

Result<void> check_lengths(const StandardisedLinear& model) {
  const std::size_t columns = model.mean.size();
  const std::size_t outputs = model.intercepts.size();
  if (columns == 0 || outputs == 0 || !fits(model, columns, outputs))
    return corrupt("has arrays of different lengths");
  if (!model.features.empty() && model.features.size() != columns)
    return corrupt("has another count of `features` than of `mean`");
  if ((model.link == Link::kSoftmax) != (outputs > 1))
    return corrupt("has another count of `intercepts` than its link");
  if (!std::all_of(model.scale.begin(), model.scale.end(), [](double scale) { return scale > 0; }))
    return corrupt("has a scale that is not above 0");
  return {};
}

}  // namespace

std::string to_json(const StandardisedLinear& model) {
  doc::Value::Array names;
  for (const auto& name : model.features) names.emplace_back(name);
  const auto* const link =
      std::find_if(std::begin(kLinks), std::end(kLinks),
                   [&](const auto& each) { return each.second == model.link; });
  return doc::to_json(doc::Value::object({{"format", kFormat},
                                          {"link", link->first},
                                          {"features", std::move(names)},
                                          {"mean", array_of(model.mean)},
                                          {"scale", array_of(model.scale)},
                                          {"missing", array_of(model.missing)},
                                          {"weights", array_of(model.weights)},
                                          {"intercepts", array_of(model.intercepts)}}));
}

Result<std::unique_ptr<Scorer>> load_standardised(std::string_view bytes) {
  auto parsed = doc::parse_json(bytes);
  if (!parsed.ok()) return corrupt("does not read as JSON: " + parsed.error().message);
  const doc::Value& root = *parsed;
  if (root.string_or("format") != kFormat)
    return corrupt(fmt::format("has another format than `{}`", kFormat));
  StandardisedLinear model;
  const auto written = root.string_or("link");
  const auto* const link = std::find_if(std::begin(kLinks), std::end(kLinks),
                                        [&](const auto& each) { return each.first == written; });
  if (link == std::end(kLinks)) return corrupt("has no `link` that is known");
  model.link = link->second;
  if (const doc::Value* names = root.find("features"); names != nullptr && names->is_array()) {
    for (const auto& name : names->as_array()) {
      if (!name.is_string()) return corrupt("holds something in `features` that is no name");
      model.features.push_back(name.as_string());
    }
  }
  HEDDLE_TRY(read(root, "mean", model.mean));
  HEDDLE_TRY(read(root, "scale", model.scale));
  HEDDLE_TRY(read(root, "missing", model.missing));
  HEDDLE_TRY(read(root, "weights", model.weights));
  HEDDLE_TRY(read(root, "intercepts", model.intercepts));
  HEDDLE_TRY(check_lengths(model));
  return std::unique_ptr<Scorer>(std::make_unique<Standardised>(std::move(model)));
}

}  // namespace heddle::model
