#include <algorithm>
#include <map>
#include <set>

#include "spec/environment.hpp"
#include "spec/kinds.hpp"
#include "spec/shares.hpp"
#include "stats/metric.hpp"

namespace heddle::spec {
namespace {

const Schema<Evaluation>& evaluation_keys() {
  static const Schema<Metric> metric = [] {
    Schema<Metric> t("a metric",
                     fmt::format("built in (`{}`), or a row expression with an aggregation",
                                 fmt::join(stats::metrics().names(), "`, `")));
    t.text("name", &Metric::name, "its name").required();
    t.expression("expression", &Metric::expression,
                 "CEL over what is answered (`probability`; `probabilities.CLASS`, `predicted`; "
                 "`value`), `label` and the contract's fields");
    t.text("aggregation", &Metric::aggregation, "of the rows' values").one_of({"mean", "sum"});
    t.text("unit", &Metric::unit, "for people");
    t.boolean("lower_is_better", &Metric::lower_is_better, "the direction");
    t.finally([](Metric& into, const doc::Value& value, Reader& reader) {
      const stats::Metric* built_in = stats::metrics().find(into.name);
      if (into.expression.text.empty()) {
        if (built_in != nullptr) {
          // True unless it is written: a built-in metric then has its own direction.
          into.lower_is_better = into.lower_is_better && built_in->lower_is_better();
        } else {
          const std::string near = doc::nearest(into.name, stats::metrics().names());
          reader.report(value.position(), "unknown-value",
                        fmt::format("metric `{}` is not built in and has no expression", into.name),
                        near.empty() ? "add `expression` and `aggregation`"
                                     : fmt::format("did you mean `{}`?", near));
        }
      } else if (into.aggregation.empty()) {
        reader.report(value.position(), "missing-key",
                      fmt::format("metric `{}` has no aggregation", into.name),
                      "add `aggregation: mean` or `sum`");
      }
    });
    return t;
  }();
  static const Schema<Slice> slice = [] {
    Schema<Slice> t("a slice", "the metrics once for each value of a field");
    t.text("name", &Slice::name, "its name").required();
    t.text("field", &Slice::field, "the field").required();
    t.integer("minimum_rows", &Slice::minimum_rows, "values with fewer rows are left out", 1);
    return t;
  }();
  static const Schema<Gate> gate = [] {
    Schema<Gate> t("a gate", "a threshold fixed before the run; null or error fails it");
    t.text("id", &Gate::id, "permanent id").required();
    t.expression(
         "when", &Gate::when,
         "passes when true: `metrics.NAME`, `standby.NAME`, `base.NAME` (what serves, on the "
         "same rows), `slices.NAME.METRIC_min|_max`, `constant.NAME`, `one_feature.NAME`, "
         "`last.NAME` (simple answers on the same rows), `leakage.NAME`")
        .required();
    t.text("description", &Gate::description, "why it is there");
    return t;
  }();
  static const Schema<Evaluation> leakage = [] {
    Schema<Evaluation> t("leakage", "checks that the past is told apart from the future");
    t.number("single_feature_auc_max", &Evaluation::single_feature_auc_max,
             "of binary and of classes: a feature that alone tells the classes apart better than "
             "this is suspect");
    t.number("single_feature_correlation_max", &Evaluation::single_feature_correlation_max,
             "of a regression: a feature whose rank correlation with the target is above this is "
             "suspect");
    t.number("duplicate_share_max", &Evaluation::duplicate_share_max,
             "share of the held-out rows that may equal a row to train on, default 0.001: rows of "
             "a few coarse columns are equal by chance");
    t.finally([](Evaluation& into, const doc::Value& value, Reader& reader) {
      need_share(value, "duplicate_share_max", into.duplicate_share_max, reader);
    });
    return t;
  }();
  static const Schema<Evaluation> table = [] {
    Schema<Evaluation> t(
        "Evaluation", "how a model is judged on rows it has not seen, and the gates it must pass");
    add_named_head(t, "Evaluation");
    t.text("model", &Evaluation::model, "name of the model").required();
    t.objects("metrics", &Evaluation::metrics, metric, "what is measured").required();
    t.objects("slices", &Evaluation::slices, slice, "where it is measured apart");
    t.objects("gates", &Evaluation::gates, gate, "what must hold").required();
    t.text(
        "base_service", &Evaluation::base_service,
        "the service whose primary is `base.*`, where services of the model have different ones");
    t.within("leakage", leakage, "leakage checks");
    return t;
  }();
  return table;
}

class EvaluationChecker : public Checking {
 public:
  explicit EvaluationChecker(const Checking& all) : Checking(all) {}

  void check(Evaluation& evaluation) {
    const std::string& file = evaluation.identity.file;
    const Model* model =
        refer(evaluation.identity, "model", evaluation.model, project_.models, "model");
    check_base_service(evaluation);
    check_alone(evaluation);
    if (model == nullptr) return;  // what can be named depends on its task
    const stats::Task task = model->declared();
    const expr::Environment gates = gate_environment(evaluation, *model);
    std::set<std::string> seen;
    for (const auto& gate : evaluation.gates) {
      unique(file, seen, gate.id, gate.when.position, "gate");
      // Before the compiler, which would call such a name unknown and propose another one.
      if (names_other_metric(evaluation, gate, *model, gates)) continue;
      compile(file, fmt::format("gate `{}`", gate.id), gate.when,
              {gates, gate_domains(gates, evaluation), Use::kGate}, expr::Type::kBool);
    }
    check_leakage_bound(evaluation, task.kind);
    if (model->time_field.empty()) {
      // Without a time no row can be out of order, and the gate would judge nothing.
      for (const auto& gate : evaluation.gates) {
        const auto read = expr::names_in(gate.when.text);
        if (!read.ok() ||
            std::find(read->begin(), read->end(), "leakage.time_order_violations") == read->end())
          continue;
        report(
            file, gate.when.position, "time-field-missing",
            fmt::format("gate `{}` is about the order of time, and model `{}` has no `time_field`",
                        gate.id, evaluation.model),
            "add `train.time_field` to the model, or remove the gate");
      }
    }
    const Contract* contract = contract_of(*model);
    // An unknown feature set or contract was reported where it is named.
    if (contract == nullptr) return;
    const expr::Environment metrics = metric_environment(contract->fields, task);
    std::set<std::string> names;
    for (std::size_t i = 0; i < evaluation.metrics.size(); ++i) {
      const auto& metric = evaluation.metrics[i];
      unique(file, names, metric.name, at(evaluation.identity, "metrics", i), "metric");
      if (!metric.expression.text.empty()) {
        compile(file, fmt::format("metric `{}`", metric.name), metric.expression,
                {metrics, metric_domains(metrics, contract->fields, task)}, expr::Type::kDouble);
      } else if (is_of_other_task(metric.name, task.kind)) {
        report_other_task(file, at(evaluation.identity, "metrics", i),
                          fmt::format("metric `{}`", metric.name), metric.name, task);
      }
    }
    for (const auto& slice : evaluation.slices) {
      need_field(file, at(evaluation.identity, "slices"), *contract, slice.field,
                 fmt::format("slice `{}`", slice.name));
    }
  }

  static bool is_of_other_task(std::string_view metric, stats::TaskKind task) {
    return stats::metrics().find(metric) != nullptr && stats::find_metric(task, metric) == nullptr;
  }

  void report_other_task(const std::string& file, doc::Position position, std::string_view what,
                         std::string_view metric, const stats::Task& task) {
    std::vector<std::string_view> names;
    for (const auto* each : stats::metrics_of(task.kind)) names.push_back(each->name());
    report(file, position, "metric-task",
           fmt::format("{} names `{}`, which a model of task `{}` does not have", what, metric,
                       stats::task_name(task.kind)),
           fmt::format("it has `{}`", fmt::join(names, "`, `")));
  }

  /// True, with a finding, when a gate reads a metric of another task, or of a class that nobody
  /// declared.
  bool names_other_metric(const Evaluation& evaluation, const Gate& gate, const Model& model,
                          const expr::Environment& gates) {
    const auto read = expr::names_in(gate.when.text);
    // What does not parse is reported when the gate is compiled.
    if (!read.ok()) return false;
    const stats::Task task = model.declared();
    const std::string what = fmt::format("gate `{}`", gate.id);
    for (const auto& name : *read) {
      const bool is_known = std::any_of(gates.variables.begin(), gates.variables.end(),
                                        [&](const auto& each) { return each.name == name; });
      const std::string_view metric = metric_in(name);
      // A name that is in no group of metrics is left to the compiler.
      if (is_known || metric.empty()) continue;
      // Of one class, as in `recall.late`, the metric is what stands before the dot.
      const std::string_view first = metric.substr(0, metric.find('.'));
      const stats::Metric* found = stats::find_metric(task.kind, first);
      if (found != nullptr && found->needs_interval() && !model.coverage) {
        report(evaluation.identity.file, gate.when.position, "metric-task",
               fmt::format("{} names `{}`, and model `{}` has no interval", what, first,
                           evaluation.model),
               "add `interval: {coverage: 0.9}` to the model");
        return true;
      }
      if (is_of_other_task(first, task.kind)) {
        report_other_task(evaluation.identity.file, gate.when.position, what, first, task);
        return true;
      }
      // Classes that are learned have no variables: they are known only when rows are read.
      if (found != nullptr && found->is_per_class() && first != metric && task.classes.empty()) {
        report(evaluation.identity.file, gate.when.position, "classes-not-declared",
               fmt::format("{} names `{}` of a class, and model `{}` learns its classes from the "
                           "rows",
                           what, first, evaluation.model),
               "declare `classes` in the model: then a gate can name them");
        return true;
      }
    }
    return false;
  }

  /// The part of a gate's name that is a metric: `auc` of `metrics.auc` and of
  /// `slices.place.auc_min`. Empty: none.
  static std::string_view metric_in(std::string_view name) {
    for (const std::string_view group :
         {"metrics.", "standby.", "base.", "constant.", "last.", "one_feature."}) {
      if (name.starts_with(group)) return name.substr(group.size());
    }
    if (!name.starts_with("slices.")) return {};
    name.remove_prefix(std::string_view("slices.").size());
    const std::size_t dot = name.find('.');
    if (dot == std::string_view::npos) return {};
    name.remove_prefix(dot + 1);
    if (name.ends_with("_min") || name.ends_with("_max")) name.remove_suffix(4);
    return name;
  }

  /// A bound of the other task's measure bounds nothing.
  void check_leakage_bound(const Evaluation& evaluation, stats::TaskKind task) {
    const doc::Value* leakage = evaluation.identity.content.find("leakage");
    const std::string measured = fmt::format("{}_max", single_feature_measure(task));
    for (const char* key : {"single_feature_auc_max", "single_feature_correlation_max"}) {
      const doc::Value* written = leakage == nullptr ? nullptr : leakage->find(key);
      if (written == nullptr || key == measured) continue;
      report(
          evaluation.identity.file, written->position(), "metric-task",
          fmt::format("`{}` bounds nothing of a model of task `{}`", key, stats::task_name(task)),
          fmt::format("write `{}`", measured));
    }
  }

  /// A run judges by one evaluation: which of two would be chance.
  void check_alone(const Evaluation& evaluation) {
    const auto [first, is_fresh] = of_model_.emplace(evaluation.model, &evaluation);
    if (is_fresh || evaluation.model.empty()) return;
    report(evaluation.identity.file, at(evaluation.identity, "model"), "evaluations-disagree",
           fmt::format("model `{}` has the evaluation `{}` already, in `{}`", evaluation.model,
                       first->second->identity.name, first->second->identity.file),
           "keep one of the two, with the metrics and gates of both");
  }

  void check_base_service(const Evaluation& evaluation) {
    const auto& name = evaluation.base_service;
    const Service* service =
        refer(evaluation.identity, "base_service", name, project_.services, "service");
    // Nothing is named, or `refer` reported it.
    if (service == nullptr || service->model == evaluation.model) return;
    report(evaluation.identity.file, at(evaluation.identity, "base_service"), "base-service-other",
           fmt::format("service `{}` serves model `{}`, and this is an evaluation of `{}`", name,
                       service->model, evaluation.model),
           "name a service of this model");
  }

  std::map<std::string, const Evaluation*> of_model_;  ///< the first of each model
};

}  // namespace

const Kind& evaluation_kind() {
  static const BuiltInKind<Evaluation, EvaluationChecker> kind(
      "Evaluation", "evaluations", evaluation_keys, &Project::evaluations);
  return kind;
}

}  // namespace heddle::spec
