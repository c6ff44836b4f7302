#include "spec/environment.hpp"
#include "stats/metric.hpp"

#include <algorithm>
#include <cfloat>

namespace heddle::spec {

expr::Environment request_environment(std::span<const Field> fields) {
  expr::Environment environment;
  for (const auto& field : fields) {
    // No request carries a label, so that nothing which is computed of a request may name one.
    if (!field.label_time) environment.variables.push_back({field.name, field.type});
  }
  return environment;
}

expr::Environment target_environment(std::span<const Field> fields) {
  expr::Environment environment;
  for (const auto& field : fields) environment.variables.push_back({field.name, field.type});
  return environment;
}

expr::Environment fault_environment(std::span<const Field> fields, expr::Type label) {
  expr::Environment environment;
  // First: of two of one name it is the one that counts.
  if (label != expr::Type::kNull) environment.variables.push_back({"label", label});
  for (const auto& field : fields) environment.variables.push_back({field.name, field.type});
  return environment;
}

expr::Environment answer_environment(const stats::Task& task) {
  expr::Environment environment;
  switch (task.kind) {
    case stats::TaskKind::kBinary:
      environment.variables = {{"probability", expr::Type::kDouble}, {"label", expr::Type::kInt}};
      break;
    case stats::TaskKind::kClasses: {
      const expr::Type type = task.whole_classes ? expr::Type::kInt : expr::Type::kString;
      for (const auto& name : task.classes)
        environment.variables.push_back({"probabilities." + name, expr::Type::kDouble});
      environment.variables.push_back({"predicted", type});
      environment.variables.push_back({"label", type});
      break;
    }
    case stats::TaskKind::kRegression:
      environment.variables = {{"value", expr::Type::kDouble}, {"label", expr::Type::kDouble}};
      break;
  }
  return environment;
}

expr::Environment metric_environment(std::span<const Field> fields, const stats::Task& task) {
  expr::Environment environment = answer_environment(task);
  // Answers first: `metric_domains` counts on it, and of two of one name the first counts.
  for (const auto& field : fields) environment.variables.push_back({field.name, field.type});
  return environment;
}

std::string_view single_feature_measure(stats::TaskKind task) noexcept {
  return task == stats::TaskKind::kRegression ? "single_feature_correlation" : "single_feature_auc";
}

expr::Environment gate_environment(const Evaluation& evaluation, const Model& model) {
  expr::Environment environment;
  const auto add = [&](std::string name) {
    environment.variables.push_back({std::move(name), expr::Type::kDouble});
  };
  std::vector<std::string> names =
      stats::metric_names(model.declared(), model.coverage.has_value());
  names.emplace_back("rows");
  for (const auto& metric : evaluation.metrics) {
    // A metric of the project may have the name of a built-in one, and is declared once.
    if (std::find(names.begin(), names.end(), metric.name) == names.end())
      names.push_back(metric.name);
  }
  for (const auto& metric : names) {
    add("metrics." + metric);
    add("standby." + metric);
    add("base." + metric);
    // Of a slice only the worst and the best value can be named: which values there are is known
    // when rows are read.
    for (const auto& slice : evaluation.slices) {
      add(fmt::format("slices.{}.{}_min", slice.name, metric));
      add(fmt::format("slices.{}.{}_max", slice.name, metric));
    }
  }
  // The simple answers are measured by the task's own metrics alone. The last answer needs rows in
  // the order of time.
  for (const stats::Metric* metric : stats::metrics_of(model.task)) {
    add(fmt::format("constant.{}", metric->name()));
    add(fmt::format("one_feature.{}", metric->name()));
    if (!model.time_field.empty()) add(fmt::format("last.{}", metric->name()));
  }
  for (const std::string_view check :
       {std::string_view("time_order_violations"), std::string_view("duplicate_rows"),
        std::string_view("duplicate_share"), single_feature_measure(model.task)}) {
    add(fmt::format("leakage.{}", check));
  }
  return environment;
}

expr::Environment monitor_environment(std::span<const Field> fields) {
  expr::Environment environment = request_environment(fields);
  environment.variables.push_back({"event_time", expr::Type::kTimestamp});
  return environment;
}

std::vector<expr::Domain> row_domains(const expr::Environment& environment,
                                      std::span<const Field> fields, bool is_accepted) {
  std::vector<expr::Domain> out;
  for (const auto& variable : environment.variables) {
    expr::Domain& domain = out.emplace_back();
    // By type too: `label` or an answer may share its name with a field of another type.
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const Field& each) {
      return each.name == variable.name && each.type == variable.type;
    });
    if (field == fields.end()) continue;
    domain = {};
    // No value of a field is infinite or NaN (docs/oip.md).
    if (field->type == expr::Type::kDouble) domain = {-DBL_MAX, DBL_MAX, false, {}};
    // A row that is still to be checked may break the bounds of its fields, so that they hold only
    // of rows that were accepted.
    if (!is_accepted) continue;
    if (field->minimum) domain.low = *field->minimum;
    if (field->maximum) domain.high = *field->maximum;
    for (const doc::Value& value : field->enum_values) {
      // ISO texts of timestamps are among them and count for nothing: only a variable of texts is
      // held to its list.
      if (value.is_string()) domain.texts.push_back(value.as_string());
    }
  }
  return out;
}

std::vector<expr::Domain> metric_domains(const expr::Environment& environment,
                                         std::span<const Field> fields, const stats::Task& task) {
  std::vector<expr::Domain> out = row_domains(environment, fields, true);
  const std::size_t answers = answer_environment(task).variables.size();
  for (std::size_t i = 0; i < answers; ++i) {
    switch (environment.variables[i].type) {
      case expr::Type::kString: out[i] = {.texts = task.classes}; break;
      case expr::Type::kDouble:
        out[i] = task.kind == stats::TaskKind::kRegression
                     ? expr::Domain{-DBL_MAX, DBL_MAX, false, {}}
                     : expr::Domain{0, 1, false, {}};
        break;
      default:
        // 0 or 1 of binary; a class that is a whole number is any.
        out[i] = {};
        if (task.kind == stats::TaskKind::kBinary) out[i] = {0, 1, false, {}};
    }
  }
  return out;
}

std::vector<expr::Domain> gate_domains(const expr::Environment& gates) {
  std::vector<expr::Domain> out;
  for (const auto& variable : gates.variables) {
    expr::Domain& domain = out.emplace_back();
    // Whether the variable is of that metric, by the word after a dot: with nothing behind it, a
    // slice's `_min` or `_max`, or the class of a metric that each class has.
    const auto is_of = [&](std::string_view metric, bool is_per_class = false) {
      const std::size_t found = variable.name.find(metric);
      const bool is_word =
          found != std::string::npos && found > 0 && variable.name[found - 1] == '.';
      if (!is_word) return false;
      const std::string_view rest = std::string_view(variable.name).substr(found + metric.size());
      return rest.empty() || rest == "_min" || rest == "_max" ||
             (is_per_class && rest.front() == '.');
    };
    for (const stats::Metric* metric : stats::metrics().rows()) {
      if (is_of(metric->name(), metric->is_per_class()))
        domain.low = metric->low(), domain.high = metric->high();
    }
    for (const char* share :
         {"duplicate_share", "single_feature_auc", "single_feature_correlation"}) {
      if (is_of(share)) domain.low = 0, domain.high = 1;
    }
    for (const char* count : {"rows", "time_order_violations", "duplicate_rows"}) {
      if (is_of(count)) domain.low = 0;
    }
  }
  return out;
}

}  // namespace heddle::spec
