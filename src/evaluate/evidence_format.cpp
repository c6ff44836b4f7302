#include "evaluate/evidence_format.hpp"

#include <cmath>
#include <limits>

namespace heddle::evaluate {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;

const Schema<SliceResult>& slice_schema() {
  using Slice = SliceResult;
  static const auto schema = [] {
    auto t = Schema<Slice>::record("the slice", "metrics by value of a field");
    t.text("name", &Slice::name, "its name").filled();
    t.text("field", &Slice::field, "the field").filled();
    t.integer("left_out_rows", &Slice::left_out_rows,
              "of values with too few rows, or without a value");
    t.custom(
        "values", Shape::kMap, "by value: metrics by name; null: not known",
        [](Slice& into, const Value& value, Reader& reader) {
          for (const auto& [name, each] : value.as_object()) {
            if (!each.is_object()) return reader.refuse(name, "must be an object");
            into.values[name] = read_numbers(each, reader);
          }
        },
        [](const Slice& from) -> std::optional<Value> {
          Value values = Value::object();
          for (const auto& [name, each] : from.values) values.set(name, print_numbers(each));
          return values;
        });
    return t;
  }();
  return schema;
}

const Schema<ConfusionCell>& cell_schema() {
  using Cell = ConfusionCell;
  static const auto schema = [] {
    auto t = Schema<Cell>::record("the cell", "rows of a class that were taken for another");
    t.text("label", &Cell::label, "the class");
    t.text("predicted", &Cell::predicted, "what it was taken for");
    t.integer("rows", &Cell::rows, "how many");
    return t;
  }();
  return schema;
}

/// What serves could not be measured, or was.
const Schema<BaseEvidence>& base_schema(bool is_measured) {
  using Base = BaseEvidence;
  const auto record = [](bool measured) {
    auto t = Schema<Base>::record("the base", "what served, on the same rows");
    t.text("bundle", &Base::bundle, "its digest; empty: none");
    t.custom(
        "measured", Shape::kBoolean, "whether it was", [](Base&, const Value&, Reader&) {},
        [measured](const Base&) -> std::optional<Value> { return Value(measured); });
    return t;
  };
  static const auto missing = [&] {
    auto t = record(false);
    t.custom(
        "why", Shape::kText, "why not",
        [](Base& into, const Value& value, Reader&) { into.missing.why = value.as_string(); },
        [](const Base& from) -> std::optional<Value> { return from.missing.why; });
    t.custom(
        "fails", Shape::kBoolean, "gates on it have failed",
        [](Base& into, const Value& value, Reader&) { into.missing.fails = value.as_bool(); },
        [](const Base& from) -> std::optional<Value> { return from.missing.fails; });
    return t;
  }();
  static const auto measured = [&] {
    auto t = record(true);
    t.integer("rows", &Base::rows, "rows that both answer");
    t.integer("without_answer", &Base::refused, "rows without an answer of the base");
    t.integer("learned_from", &Base::learned, "rows that the base has learned from");
    t.objects("metrics", &Base::metrics, difference_schema(),
              "of both, with what is known of the difference");
    t.text("note", &Base::note, "what is to be known of the comparison").optional();
    return t;
  }();
  return is_measured ? measured : missing;
}

const Schema<GateResult>& gate_schema() {
  using Gate = GateResult;
  static const auto schema = [] {
    auto t = Schema<Gate>::record("the gate", "one gate's answer");
    t.text("id", &Gate::id, "its id").filled();
    t.boolean("passed", &Gate::passed, "whether it has passed");
    t.text("when", &Gate::when, "its condition");
    numbers(t, "values", &Gate::values, "the names it reads, with what they were");
    t.text("description", &Gate::description, "for people").optional();
    t.text("error", &Gate::error, "why it could not be evaluated: then it failed").optional();
    t.text("not_judged", &Gate::not_judged,
           "why there is no base that it hangs on: it neither passed nor failed")
        .optional();
    return t;
  }();
  return schema;
}

const Schema<IntervalRefit>& refit_schema() {
  using Refit = IntervalRefit;
  static const auto schema = [] {
    auto t = Schema<Refit>::record("the refit", "what an interval was fitted to");
    t.text("incident", &Refit::incident, "in whose recovery").filled();
    t.integer("rows", &Refit::rows, "the newest labelled rows, so many", 1);
    t.number("held_before", &Refit::held_before,
             "share of their labels that the interval of before held");
    t.number("held_newer", &Refit::held_newer,
             "share of the newer half that a fit on the older half held");
    return t;
  }();
  return schema;
}

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

Value number_or_null(std::optional<double> number) {
  return number && std::isfinite(*number) ? Value(*number) : Value();
}

}  // namespace

const Schema<Difference>& difference_schema() {
  using D = Difference;
  static const auto schema = [] {
    auto t = Schema<D>::record("the metric", "one metric of two models on the same rows");
    const auto number = [&t](const char* name, const char* about, const auto& get,
                             const auto& set) {
      t.custom(
          name, Shape::kNumber, about,
          [set](D& into, const Value& value, Reader&) {
            set(into, value.is_null() ? std::optional<double>() : value.as_double());
          },
          [get](const D& from) -> std::optional<Value> { return number_or_null(get(from)); });
      t.keys.back().may_be_null = true;
    };
    using Number = std::optional<double>;
    // They follow from the others.
    const auto derived = [](D&, Number) {};
    const auto end = [](const D& from, double side) {
      const auto margin = from.margin_of_error();
      return margin ? Number(from.difference() + side * *margin) : Number();
    };
    t.text("name", &D::metric, "of the metric").filled();
    number(
        "base", "of what serves", [](const D& d) { return Number(d.base); },
        [](D& d, Number n) { d.base = n.value_or(kUnknown); });
    number(
        "candidate", "of the candidate", [](const D& d) { return Number(d.candidate); },
        [](D& d, Number n) { d.candidate = n.value_or(kUnknown); });
    number(
        "difference", "candidate less base", [](const D& d) { return Number(d.difference()); },
        derived);
    number(
        "standard_error", "of the difference, paired by row; null: not known",
        [](const D& d) { return d.standard_error; }, [](D& d, Number n) { d.standard_error = n; });
    number("low", "end of its 95 % interval", [end](const D& d) { return end(d, -1); }, derived);
    number("high", "likewise", [end](const D& d) { return end(d, 1); }, derived);
    return t;
  }();
  return schema;
}

Numbers read_numbers(const Value& value, Reader& reader) {
  Numbers numbers;
  for (const auto& [name, number] : value.as_object()) {
    if (!number.is_null() && !number.is_number()) {
      reader.refuse(name, "must be a number or null");
      break;
    }
    numbers[name] = number.is_null() ? kUnknown : number.as_double();
  }
  return numbers;
}

Value print_numbers(const Numbers& numbers) {
  Value value = Value::object();
  for (const auto& [name, number] : numbers)
    // JSON has no NaN: what is not known is null.
    value.set(name, std::isfinite(number) ? Value(number) : Value());
  return value;
}

void read_base(const Value& value, Reader& reader, BaseEvidence& into) {
  const Value* measured = value.find("measured");
  // Without `measured` the shorter form is read, and says itself which member is missing.
  const bool is_measured = measured != nullptr && measured->is_bool() && measured->as_bool();
  reader.read(base_schema(is_measured), value, &into);
}

Value print_base(const BaseEvidence& base) {
  return base_schema(base.missing.why.empty()).print(base);
}

const Schema<Evidence>& evidence_schema() {
  using E = Evidence;
  static const auto schema = [] {
    auto t = Schema<E>::record("the evidence", "what a model did on rows it did not learn from");
    t.of_format("heddle.evaluation/1")
        .refused_as(ErrorKind::kCorrupt, "evidence-malformed",
                    "build the bundle again with `heddle run`");
    t.boolean("passed", &E::passed, "no gate failed");
    numbers(t, "metrics", &E::metrics, "by name; null: not known");
    numbers(t, "standby", &E::standby, "of the standby; absent: there is none").optional();
    t.objects("slices", &E::slices, slice_schema(), "by slice");
    t.objects("confusion", &E::confusion, cell_schema(), "of several classes: cells with rows")
        .optional();
    t.custom(
         "leakage", Shape::kMap,
         "leakage checks by name, and `single_feature`; absent: they were not looked at",
         [](E& into, const Value& value, Reader& reader) {
           // Of the one member that is a text the rest are
           // numbers by name, which vary with the task.
           Value numbers = value;
           const Value* feature = value.find("single_feature");
           if (feature == nullptr || !feature->is_string())
             return reader.refuse("single_feature", "must be a string");
           into.leakage.single_feature = feature->as_string();
           std::erase_if(numbers.as_object(),
                         [](const auto& each) { return each.first == "single_feature"; });
           into.leakage.numbers = read_numbers(numbers, reader);
         },
         [](const E& from) -> std::optional<Value> {
           if (from.leakage.numbers.empty()) return std::nullopt;
           return print_numbers(from.leakage.numbers)
               .set("single_feature", from.leakage.single_feature);
         })
        .optional();
    t.custom(
         "base", Shape::kObject,
         "what served, where a gate reads it: `bundle`, `measured`; then `rows`, "
         "`without_answer`, `learned_from`, `metrics`, `note`, else `why` and `fails`",
         [](E& into, const Value& value, Reader& reader) {
           read_base(value, reader, into.base.emplace());
         },
         [](const E& from) -> std::optional<Value> {
           if (!from.base) return std::nullopt;
           return print_base(*from.base);
         })
        .optional();
    t.objects("gates", &E::gates, gate_schema(), "in their order");
    t.object("retrain", &E::retrain, retrain_evidence_schema(),
             "of a retrained bundle: what is known of it besides");
    t.object("interval_refit", &E::interval_refit, refit_schema(),
             "where its interval was fitted anew since: to what");
    return t;
  }();
  return schema;
}

}  // namespace heddle::evaluate
