#include "spec/environment.hpp"

#include <algorithm>

namespace heddle::spec {

expr::Environment request_environment(std::span<const Field> fields) {
  expr::Environment environment;
  for (const auto& field : fields) {
    if (!field.label_time) environment.variables.push_back({field.name, field.type});
  }
  return environment;
}

expr::Environment target_environment(std::span<const Field> fields) {
  expr::Environment environment;
  for (const auto& field : fields) environment.variables.push_back({field.name, field.type});
  return environment;
}

expr::Environment feature_environment(std::span<const Field> fields, const FeatureSet& features) {
  expr::Environment environment = request_environment(fields);
  for (const auto& feature : features.features) {
    expr::Type type = expr::Type::kDouble;
    if (feature.kind == Feature::Kind::kExpression) {
      auto program = expr::Program::compile(feature.expression.text, environment);
      if (!program.ok()) break;
      type = program->type();
    }
    // A feature with a field's name is read by nothing: the name means the field.
    const bool field = std::any_of(fields.begin(), fields.end(),
                                   [&](const Field& each) { return each.name == feature.name; });
    if (!field) environment.variables.push_back({feature.name, type});
  }
  return environment;
}

expr::Environment metric_environment(std::span<const Field> fields) {
  expr::Environment environment;
  environment.variables.push_back({"probability", expr::Type::kDouble});
  environment.variables.push_back({"label", expr::Type::kInt});
  for (const auto& field : fields) environment.variables.push_back({field.name, field.type});
  return environment;
}

expr::Environment gate_environment(const Evaluation& evaluation) {
  expr::Environment environment;
  const auto add = [&](std::string name) {
    environment.variables.push_back({std::move(name), expr::Type::kDouble});
  };
  std::vector<std::string> names = {"auc", "log_loss", "calibration_error", "accuracy", "rows"};
  for (const auto& metric : evaluation.metrics) {
    if (std::find(names.begin(), names.end(), metric.name) == names.end())
      names.push_back(metric.name);
  }
  for (const auto& metric : names) {
    add("metrics." + metric);
    add("standby." + metric);
    add("base." + metric);
    for (const auto& slice : evaluation.slices) {
      add(fmt::format("slices.{}.{}_min", slice.name, metric));
      add(fmt::format("slices.{}.{}_max", slice.name, metric));
    }
  }
  for (const char* check :
       {"time_order_violations", "duplicate_rows", "duplicate_share", "single_feature_auc"}) {
    add(fmt::format("leakage.{}", check));
  }
  return environment;
}

expr::Environment monitor_environment(std::span<const Field> fields) {
  expr::Environment environment = request_environment(fields);
  environment.variables.push_back({"event_time", expr::Type::kTimestamp});
  return environment;
}

}  // namespace heddle::spec
