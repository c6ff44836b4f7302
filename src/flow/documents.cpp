#include "flow/documents.hpp"

#include "doc/schema_custom.hpp"

namespace heddle::flow {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;

const Schema<PlannedStep>& planned_step_schema() {
  using Step = PlannedStep;
  static const auto schema = [] {
    auto t = Schema<Step>::record("the step", "one step of a plan");
    t.text("name", &Step::name, "its name").filled();
    t.choice("state", &Step::cached, {{"cached", true}, {"runs", false}}, "what a run does");
    t.text("reason", &Step::reason, "why, one clause");
    t.texts("needs", &Step::needs, "names of the steps it reads");
    doc::digest_or_null(t, "key", &Step::key, "null: an input is not known yet");
    return t;
  }();
  return schema;
}

const Schema<StepFile>& step_file_schema() {
  static const auto schema = [] {
    auto t = Schema<StepFile>::record("the file", "a file of a step");
    t.digest("digest", &StepFile::digest, "of its bytes").filled();
    t.integer("bytes", &StepFile::bytes, "how many");
    return t;
  }();
  return schema;
}

void read_outputs(StepRecord& into, const Value& value, Reader& reader) {
  for (const auto& [name, each] : value.as_object()) {
    const auto digest = Digest::parse(each.is_string() ? each.as_string() : "");
    if (!digest.ok()) return reader.refuse(name, "must be a digest");
    into.outputs[name] = *digest;
  }
}

void read_files(StepRecord& into, const Value& value, Reader& reader) {
  for (const auto& [name, each] : value.as_object())
    reader.read_named(step_file_schema(), each, name, &into.files[name]);
}

}  // namespace

const Schema<Plan>& plan_schema() {
  static const auto schema = [] {
    auto t = Schema<Plan>::record("the plan", "what a run would do and why");
    t.refused_as(ErrorKind::kCorrupt, "plan-malformed", "run `heddle plan` again");
    t.text("model", &Plan::model, "name of the model").filled();
    t.custom(
        "nothing_to_do", Shape::kBoolean, "every step has its result",
        [](Plan&, const Value&, Reader&) {},  // it follows from the steps
        [](const Plan& from) -> std::optional<Value> { return Value(from.nothing_to_do()); });
    t.objects("steps", &Plan::steps, planned_step_schema(),
              "in an order in which they could run one by one");
    return t;
  }();
  return schema;
}

const Schema<Candidate>& candidate_schema() {
  using C = Candidate;
  static const auto schema = [] {
    auto t = Schema<C>::record("the candidate", "what a finished run leaves");
    t.refused_as(ErrorKind::kCorrupt, "candidate-damaged",
                 "run `heddle run`: it writes the file anew");
    doc::digest_or_null(t, "bundle", &C::bundle, "null: the run stopped before it");
    doc::digest_or_null(t, "standby", &C::standby, "likewise");
    t.value("metrics", &C::metrics, Shape::kAny, "on the test rows, by name");
    t.value("standby_metrics", &C::standby_metrics, Shape::kAny, "likewise");
    t.boolean("gates_passed", &C::gates_passed, "no gate failed");
    t.value("base", &C::base, Shape::kAny,
            "what serves on the same rows ([gates.md](gates.md)); null: no gate reads it");
    t.integer("rows", &C::rows, "accepted rows of the snapshot");
    t.integer("trials", &C::trials, "of the search");
    return t;
  }();
  return schema;
}

const Schema<StepRecord>& step_record_schema() {
  using R = StepRecord;
  static const auto schema = [] {
    auto t = Schema<R>::record("the step's result", "what a step left");
    t.refused_as(ErrorKind::kCorrupt, "step-damaged", "run `heddle run` again");
    t.custom("outputs", Shape::kMap, "digests by name", read_outputs,
             [](const R& from) -> std::optional<Value> {
               Value out = Value::object();
               for (const auto& [name, digest] : from.outputs) out.set(name, digest.str());
               return out;
             });
    t.custom("files", Shape::kMap, "by name: `digest` and `bytes`", read_files,
             [](const R& from) -> std::optional<Value> {
               Value out = Value::object();
               for (const auto& [name, file] : from.files)
                 out.set(name, step_file_schema().print(file));
               return out;
             });
    t.value("facts", &R::facts, Shape::kAny, "for people");
    t.number("seconds", &R::seconds, "of wall time");
    return t;
  }();
  return schema;
}

}  // namespace heddle::flow
