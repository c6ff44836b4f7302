#include "control/work_files.hpp"

#include "doc/schema_custom.hpp"
#include "evaluate/evidence_format.hpp"

namespace heddle::control {

using doc::Schema;

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

namespace {

const Schema<RetrainResult>& metrics_schema() {
  using R = RetrainResult;
  static const auto schema = [] {
    auto t = Schema<R>::record("the metrics", "of both, by name");
    evaluate::numbers(t, "new", &R::metrics, "of the candidate");
    evaluate::numbers(t, "base", &R::base_metrics, "of what serves");
    return t;
  }();
  return schema;
}

}  // namespace

std::optional<std::string> failure_of(const doc::Value& result) {
  const doc::Value* failed = result.find("failed");
  if (failed == nullptr) return std::nullopt;
  return failed->is_string() ? failed->as_string() : "its `failed` must be a string";
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
    t.within("metrics", metrics_schema(), "of both, on the rows that it did not learn from");
    t.object("judged", &R::judged, evaluate::retrain_evidence_schema(),
             "as `retrain` in its evaluation");
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
