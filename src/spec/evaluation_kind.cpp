#include <algorithm>
#include <set>

#include "spec/environment.hpp"
#include "spec/kinds.hpp"
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
                 "CEL over `probability`, `label` and the contract's fields");
    t.text("aggregation", &Metric::aggregation, "of the rows' values").one_of({"mean", "sum"});
    t.text("unit", &Metric::unit, "for people");
    t.boolean("lower_is_better", &Metric::lower_is_better, "the direction");
    t.finally([](Metric& into, const doc::Value& value, Reader& reader) {
      const stats::Metric* built_in = stats::metrics().find(into.name);
      if (into.expression.text.empty()) {
        if (built_in != nullptr) {
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
         "same rows), `slices.NAME.METRIC_min|_max`, `leakage.NAME`")
        .required();
    t.text("description", &Gate::description, "why it is there");
    return t;
  }();
  static const Schema<Evaluation> leakage = [] {
    Schema<Evaluation> t("leakage", "checks that the past is told apart from the future");
    t.number("single_feature_auc_max", &Evaluation::single_feature_auc_max,
             "a feature that alone predicts better than this is suspect");
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
    const expr::Environment gates = gate_environment(evaluation);
    std::set<std::string> seen;
    for (const auto& gate : evaluation.gates) {
      unique(file, seen, gate.id, gate.when.position, "gate");
      compile(file, fmt::format("gate `{}`", gate.id), gate.when,
              {gates, gate_domains(gates), Use::kGate}, expr::Type::kBool);
    }
    if (model != nullptr && model->time_field.empty()) {
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
    const Contract* contract = model == nullptr ? nullptr : contract_of(*model);
    if (contract == nullptr) return;
    const expr::Environment metrics = metric_environment(contract->fields);
    std::set<std::string> names;
    for (std::size_t i = 0; i < evaluation.metrics.size(); ++i) {
      const auto& metric = evaluation.metrics[i];
      unique(file, names, metric.name, at(evaluation.identity, "metrics", i), "metric");
      if (!metric.expression.text.empty())
        compile(file, fmt::format("metric `{}`", metric.name), metric.expression,
                {metrics, row_domains(metrics, contract->fields, true)}, expr::Type::kDouble);
    }
    for (const auto& slice : evaluation.slices) {
      need_field(file, at(evaluation.identity, "slices"), *contract, slice.field,
                 fmt::format("slice `{}`", slice.name));
    }
  }

  void check_base_service(const Evaluation& evaluation) {
    const auto& name = evaluation.base_service;
    const Service* service =
        refer(evaluation.identity, "base_service", name, project_.services, "service");
    if (service == nullptr || service->model == evaluation.model) return;
    report(evaluation.identity.file, at(evaluation.identity, "base_service"), "base-service-other",
           fmt::format("service `{}` serves model `{}`, and this is an evaluation of `{}`", name,
                       service->model, evaluation.model),
           "name a service of this model");
  }
};

}  // namespace

Kind evaluation_kind() {
  return definition_kind<Evaluation, EvaluationChecker>("Evaluation", "evaluations",
                                                        evaluation_keys(), &Project::evaluations);
}

}  // namespace heddle::spec
