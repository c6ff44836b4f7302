#include "flow/facts.hpp"

#include "doc/schema_custom.hpp"
#include "doc/schema_lists.hpp"
#include "evaluate/evidence_format.hpp"

namespace heddle::flow {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;

template <class T>
Schema<T> facts_of(std::string step) {
  auto t = Schema<T>::record(std::move(step), "what a step found");
  t.refused_as(ErrorKind::kCorrupt, "step-damaged",
               "remove `.heddle/runs/steps` and run `heddle run` again: steps are made anew");
  return t;
}

const Schema<RowsFacts>& rows_schema() {
  using F = RowsFacts;
  static const auto schema = [] {
    auto t = facts_of<F>("what `validate.rows` found");
    t.integer("rows", &F::rows, "of the source");
    t.integer("accepted", &F::accepted, "that were");
    t.integer("refused", &F::refused, "that were not");
    t.integer("untimed", &F::untimed, "left out: without the time that the model orders them by");
    t.integer("duplicates", &F::duplicates, "left out: another row stands for them");
    doc::counts(t, "broken", &F::broken, "rows that broke each rule");
    doc::counts(t, "repaired", &F::repaired, "values that each repair changed");
    return t;
  }();
  return schema;
}

const Schema<SearchFacts>& search_schema() {
  using F = SearchFacts;
  static const auto schema = [] {
    auto t = facts_of<F>("what `search` found");
    t.integer("trials", &F::trials, "0: a recipe was taken");
    t.integer("best", &F::best, "place of the best trial");
    doc::number_or_null(t, "loss", &F::loss, "of it, on the validation rows");
    return t;
  }();
  return schema;
}

const Schema<EvaluationFacts>& evaluation_schema() {
  using F = EvaluationFacts;
  static const auto schema = [] {
    auto t = facts_of<F>("what `evaluate` found");
    evaluate::numbers(t, "metrics", &F::metrics, "of the candidate");
    evaluate::numbers(t, "standby", &F::standby, "of the standby");
    t.texts("failed", &F::failed, "gates that failed, in words");
    t.texts("failed_gates", &F::failed_gates, "their ids");
    t.texts("not_judged", &F::not_judged, "gates that were not judged, with the reason");
    t.integer("gates", &F::gates, "how many there are");
    t.custom(
         "base", Shape::kObject, "what serves, where a gate reads it",
         [](F& into, const Value& value, Reader& reader) {
           evaluate::read_base(value, reader, into.base.emplace());
         },
         [](const F& from) -> std::optional<Value> {
           if (!from.base) return std::nullopt;
           return evaluate::print_base(*from.base);
         })
        .optional();
    t.custom(
         "base_metrics", Shape::kMap, "of a retrain: of what serves",
         [](F& into, const Value& value, Reader& reader) {
           into.base_metrics = evaluate::read_numbers(value, reader);
         },
         [](const F& from) -> std::optional<Value> {
           if (!from.base_metrics) return std::nullopt;
           return evaluate::print_numbers(*from.base_metrics);
         })
        .optional();
    t.object("retrain", &F::retrain, evaluate::retrain_evidence_schema(),
             "of a retrain: as in the evidence");
    return t;
  }();
  return schema;
}

}  // namespace

Value print_facts(const RowsFacts& facts) { return rows_schema().print(facts); }
Value print_facts(const SearchFacts& facts) { return search_schema().print(facts); }
Value print_facts(const EvaluationFacts& facts) { return evaluation_schema().print(facts); }

Result<RowsFacts> rows_facts(const StepRecord& validated) {
  return rows_schema().parse(validated.facts);
}
Result<SearchFacts> search_facts(const StepRecord& searched) {
  return search_schema().parse(searched.facts);
}
Result<EvaluationFacts> evaluation_facts(const StepRecord& evaluated) {
  return evaluation_schema().parse(evaluated.facts);
}

}  // namespace heddle::flow
