#include "control/work_files.hpp"

#include "doc/schema_custom.hpp"

namespace heddle::control {

using doc::Schema;
using doc::Shape;

const Schema<RetrainRequest>& retrain_request_schema() {
  using R = RetrainRequest;
  static const auto schema = [] {
    auto t = Schema<R>::record("the request of a retrain", "what a retrain is of");
    t.of_format("heddle.retrain/1")
        .refused_as(ErrorKind::kCorrupt, "retrain-request",
                    "the next incident asks for a retrain anew");
    t.text("service", &R::service, "whose traffic").filled();
    t.text("commit", &R::commit, "whose definitions count");
    t.digest("base", &R::base, "what serves").filled();
    doc::object_or_null(t, "search", &R::search, bundle::search_schema(),
                        "accepted of the model; null: there is none yet");
    t.micros("from", &R::from, "recorded rows from this event time on");
    t.micros("until", &R::until, "and whose labels were known by this one");
    t.integer("rows", &R::rows, "the newest, at most");
    return t;
  }();
  return schema;
}

const Schema<RetrainResult>& retrain_result_schema(bool has_failed) {
  using R = RetrainResult;
  const auto record = [] {
    auto t = Schema<R>::record("the result of a retrain", "what came of a retrain");
    t.refused_as(ErrorKind::kCorrupt, "retrain-result",
                 "the next incident asks for a retrain anew");
    return t;
  };
  static const auto failed = [&] {
    auto t = record();
    t.text("failed", &R::failed, "why there is none").filled();
    t.text("hint", &R::hint, "what to do").optional();
    return t;
  }();
  static const auto ended = [&] {
    auto t = record();
    t.digest("bundle", &R::bundle, "the candidate; empty: a gate did not pass");
    t.boolean("gates_passed", &R::gates_passed, "whether every gate did");
    t.texts("failed_gates", &R::failed_gates, "ids of those that did not");
    t.value("metrics", &R::metrics, Shape::kAny, "of the candidate and of what serves");
    t.value("judged", &R::judged, Shape::kAny, "as `retrain` in its evaluation");
    t.integer("train_rows", &R::train_rows, "rows it learned from");
    t.integer("holdout_rows", &R::holdout_rows, "rows it was judged on");
    return t;
  }();
  return has_failed ? failed : ended;
}

Result<RetrainResult> parse_retrain_result(const doc::Value& value) {
  return retrain_result_schema(value.find("failed") != nullptr).parse(value);
}

std::string to_json(const RetrainResult& result) {
  return doc::to_json(retrain_result_schema(!result.failed.empty()).print(result));
}

}  // namespace heddle::control
