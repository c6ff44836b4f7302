#include "control/canary_reply.hpp"

#include "control/reply_forms.hpp"
#include "control/reply_schema.hpp"
#include "doc/schema_custom.hpp"
#include "watch/judgement_format.hpp"

namespace heddle::control {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;
using Run = CanaryReply::Run;

const Schema<Run>& run_schema() {
  static const auto schema = [] {
    auto t = reply_of<Run>("a canary that runs");
    t.text("bundle", &Run::bundle, "running: its digest");
    t.text("baseline", &Run::baseline, "running: the primary's");
    t.integer("weight", &Run::weight, "running: in ten-thousandths");
    // Not `integers`: g++ 12 takes what that prints for uninitialised here.
    t.custom(
        "steps", Shape::kIntegers, "running: its weights",
        [](Run& into, const Value& value, Reader&) {
          for (const Value& step : value.as_array()) into.steps.push_back(step.as_int());
        },
        [](const Run& from) -> std::optional<Value> {
          Value steps = Value::array();
          for (const std::int64_t step : from.steps) steps.push(step);
          return steps;
        });
    t.integer("started", &Run::started, "running: route version");
    t.text("since", &Run::since, "running: event time of its weight");
    t.object("cohorts", &Run::cohorts, watch::judgement_schema(), "running: side by side");
    doc::object_or_null(t, "judgement", &Run::judgement, judged_look_schema(),
                        "running: the last one; null: none at this weight");
    t.objects("next", &Run::next, next_schema(), "running");
    return t;
  }();
  return schema;
}

}  // namespace

const Schema<CanaryReply>& CanaryReply::schema() {
  using C = CanaryReply;
  static const auto schema = [] {
    auto t = reply_of<C>("the canary of a service");
    t.text("service", &C::service, "");
    t.boolean("running", &C::running, "");
    t.text("shadow", &C::shadow, "digest; empty: none");
    add_form(t, &C::run, run_schema());
    t.finally([](C& into, const Value& value, Reader& reader) {
      if (into.running) need_form(run_schema(), value, reader);
    });
    return t;
  }();
  return schema;
}

}  // namespace heddle::control
