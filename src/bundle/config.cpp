#include "bundle/config.hpp"

#include <utility>

#include "doc/schema_custom.hpp"
#include "spec/task.hpp"

namespace heddle::bundle {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;

const Schema<Lineage>& lineage_schema() {
  static const auto schema = [] {
    auto t = Schema<Lineage>::record("the lineage", "what a bundle was built from");
    t.digest("source", &Lineage::source, "of the source's file");
    t.digest("snapshot", &Lineage::snapshot, "of the snapshot");
    t.digest("contract", &Lineage::contract, "of the contract's definition");
    t.digest("features", &Lineage::features, "of the feature set's definition");
    t.digest("model", &Lineage::model, "of the model's definition");
    t.digest("evaluation", &Lineage::evaluation, "of the evaluation's definition");
    t.digest("held_out", &Lineage::held_out,
             "of the rows that nothing was learned from ([held-out.md](held-out.md)); empty: none "
             "were kept");
    return t;
  }();
  return schema;
}

/// The members of each kind of change; `kind` is the first of all.
const Schema<Change>& change_schema(Change::Kind kind) {
  using Kind = Change::Kind;
  const auto of_kind = [](Kind only, const char* name) {
    auto t = Schema<Change>::record("the change", "what was done to make it of another bundle");
    t.choice("kind", &Change::kind, {{name, only}}, "what was done");
    return t;
  };
  static const auto retrain = [&] {
    auto t = of_kind(Kind::kRetrain, "retrain");
    t.integer("rows", &Change::rows, "recorded rows");
    t.digest("data", &Change::data, "of them").filled();
    return t;
  }();
  static const auto transform = [&] {
    auto t = of_kind(Kind::kTransform, "transform");
    t.text("id", &Change::id, "of the transform").filled();
    t.text("field", &Change::field, "the field").filled();
    t.text("expression", &Change::expression, "its value");
    return t;
  }();
  static const auto withdrawn = [&] {
    auto t = of_kind(Kind::kTransformWithdrawn, "transform-withdrawn");
    t.text("id", &Change::id, "of the transform").filled();
    return t;
  }();
  static const auto calibration = [&] {
    auto t = of_kind(Kind::kCalibration, "calibration");
    t.value("to", &Change::to, Shape::kMap, "the new `calibration.json`");
    return t;
  }();
  switch (kind) {
    case Kind::kRetrain: return retrain;
    case Kind::kTransform: return transform;
    case Kind::kTransformWithdrawn: return withdrawn;
    case Kind::kCalibration: return calibration;
  }
  // Not reached: every kind is handled above.
  return retrain;
}

constexpr Change::Kind kChanges[] = {Change::Kind::kRetrain, Change::Kind::kTransform,
                                     Change::Kind::kTransformWithdrawn, Change::Kind::kCalibration};

void read_change(Config& into, const Value& value, Reader& reader) {
  const Value* kind = value.find("kind");
  for (const auto each : kChanges) {
    const auto& schema = change_schema(each);
    if (kind == nullptr || !kind->is_string()) break;
    // By the schemas themselves, so that a kind is named once.
    if (schema.keys.front().choices.front() == kind->as_string())
      return reader.read(schema, value, &into.change.emplace());
  }
  reader.refuse("kind", "must be `retrain`, `transform`, `transform-withdrawn` or `calibration`");
}

void read_learned(Config& into, const Value& value, Reader&) {
  using Kind = Learned::Kind;
  into.learned =
      // Null and absent differ: null says that rows had times and nobody knows the last.
      value.is_null() ? Learned{Kind::kUnknown, 0} : Learned{Kind::kUntil, value.as_int()};
}

std::optional<Value> print_learned(const Config& from) {
  if (from.learned.kind == Learned::Kind::kNoTime) return std::nullopt;
  return from.learned.kind == Learned::Kind::kUnknown ? Value() : Value(from.learned.until);
}

/// What it was trained with, and of what.
void training_members(Schema<Config>& t) {
  using C = Config;
  t.text("trainer", &C::trainer, "what fitted it; of a runtime `runtime:KIND`");
  t.custom(
      "parameters", Shape::kMap, "of the trainer, as texts; null: it says none",
      [](C& into, const Value& value, Reader& reader) {
        if (!value.is_null()) read_parameters(value, reader, into.parameters.emplace());
      },
      [](const C& from) -> std::optional<Value> {
        return from.parameters ? print_parameters(*from.parameters) : Value();
      });
  t.keys.back().may_be_null = true;
  t.integer("rounds", &C::rounds, "boosting rounds");
  t.integer("seed", &C::seed, "of what was drawn", std::numeric_limits<std::int64_t>::min());
  t.text("target", &C::target, "the label's expression");
  t.object("task", &C::task, spec::task_schema(), "what it predicts");
  t.text("time_field", &C::time_field, "the field that orders the rows; empty: they have no order");
  t.texts("features", &C::features, "names of the model's inputs, in order");
  t.object("lineage", &C::lineage, lineage_schema(), "digests of what it was built from");
  t.custom("learned_until", Shape::kInteger,
           "event time (microseconds) of the last row it learned from, rows that guided its search "
           "included; absent: its rows have no time; null: not known",
           read_learned, print_learned)
      .optional();
  t.keys.back().may_be_null = true;
}

}  // namespace

void read_parameters(const Value& value, Reader& reader, spec::TrainerParameters& into) {
  for (const auto& [name, each] : value.as_object()) {
    if (!each.is_string()) return reader.refuse(name, "must be a string");
    into.values.emplace_back(name, each.as_string());
  }
}

Value print_parameters(const spec::TrainerParameters& parameters) {
  Value out = Value::object();
  for (const auto& [name, value] : parameters.values) out.set(name, value);
  return out;
}

const Schema<Search>& search_schema() {
  static const auto schema = [] {
    auto t = Schema<Search>::record("the search", "what the search of a model's run found best");
    t.refused_as(ErrorKind::kCorrupt, "recipe-corrupt",
                 "run `heddle run` and release what it gives");
    t.digest("bundle", &Search::bundle,
             "the release that it was accepted with; absent: of this bundle's own run")
        .optional();
    t.text("trainer", &Search::trainer, "what fits the model").filled();
    t.custom(
        "parameters", Shape::kMap, "of the best trial, as texts",
        [](Search& into, const Value& value, Reader& reader) {
          read_parameters(value, reader, into.parameters);
        },
        [](const Search& from) -> std::optional<Value> {
          return print_parameters(from.parameters);
        });
    t.integer("rounds", &Search::rounds, "of the model that the search ended with");
    t.integer("trials", &Search::trials, "how many there were");
    doc::number_or_null(
        t, "loss", &Search::loss,
        "of the best trial on the validation rows: log loss, of a regression the mean absolute "
        "error");
    return t;
  }();
  return schema;
}

const Schema<Config>& config_schema() {
  using C = Config;
  static const auto schema = [] {
    auto t = Schema<C>::record("`heddle.json`", "how a bundle was made");
    t.of_format("heddle.bundle/2")
        .refused_as(ErrorKind::kCorrupt, "bundle-corrupt",
                    "build it again with `heddle run`, or copy it from another store");
    t.text("model", &C::model, "name of the model definition").filled();
    t.text("role", &C::role, "what the run made it for").one_of({"primary", "standby"});
    t.text("commit", &C::commit,
           "git commit of the definitions: HEAD's when it was built, the applied one's for what "
           "was made from another bundle; empty: of no commit");
    t.boolean("dirty", &C::dirty, "whether anything it was built from differed from that commit");
    training_members(t);
    t.object("search", &C::search, search_schema(),
             "what the search of the model's run found best, in both bundles of the run; absent "
             "with a runtime");
    t.digest("derived_from", &C::derived_from,
             "of a bundle made from another: that one; absent: it was built")
        .optional();
    t.custom(
         "change", Shape::kObject,
         "with `derived_from`, what was done: `kind` is `retrain` (`rows`, `data`), `transform` "
         "(`id`, `field`, `expression`), `transform-withdrawn` (`id`) or `calibration` (`to`)",
         read_change,
         [](const C& from) -> std::optional<Value> {
           if (!from.change) return std::nullopt;
           return change_schema(from.change->kind).print(*from.change);
         })
        .optional();
    return t;
  }();
  return schema;
}

}  // namespace heddle::bundle
