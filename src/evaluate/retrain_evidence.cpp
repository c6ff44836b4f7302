#include "evaluate/retrain_evidence.hpp"

#include "doc/schema_lists.hpp"
#include "evaluate/evidence_format.hpp"

namespace heddle::evaluate {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Value;

const Schema<BesideBase>& beside_schema() {
  using B = BesideBase;
  static const auto schema = [] {
    auto t = Schema<B>::record("the comparison", "a candidate beside what serves");
    t.integer("rows", &B::rows, "that both answer");
    t.text("verdict", &B::verdict, "of the loss of the task")
        .one_of({"better", "worse", "unclear"});
    t.objects("metrics", &B::metrics, difference_schema(), "both sides");
    return t;
  }();
  return schema;
}

const Schema<BeforeChange>& before_schema() {
  using B = BeforeChange;
  static const auto schema = [] {
    auto t = Schema<B>::record("the past", "a candidate on rows from before the change");
    t.integer("rows", &B::rows, "that both answer");
    t.text("verdict", &B::verdict, "of the loss of the task; `none`: it was not looked at")
        .one_of({"better", "worse", "unclear", "none"});
    doc::objects_or_absent(t, "metrics", &B::metrics, difference_schema(), "both sides");
    t.text("of", &B::of,
           "which rows, in words: at most 10,000 of the recorded traffic, else those that the run "
           "of what serves held out");
    t.text("why", &B::why, "of `none`: why not");
    t.finally([](B& into, const Value&, Reader& reader) {
      if (into.verdict == "none") {
        if (!into.why) reader.refuse("why", "is missing");
        return;
      }
      if (!into.metrics) reader.refuse("metrics", "is missing");
      if (!into.of) reader.refuse("of", "is missing");
    });
    return t;
  }();
  return schema;
}

const Schema<LabelBacking>& backing_schema() {
  using L = LabelBacking;
  static const auto schema = [] {
    auto t = Schema<L>::record("the labels", "whose labels it rests on");
    t.text("most", &L::most, "who labelled most of the training rows; empty: not known");
    t.integer("train_rows", &L::train_rows, "how many of them");
    t.text("only", &L::only,
           "that account, where others label but too few held-out rows to tell; else empty");
    t.object("others", &L::others, beside_schema(),
             "the candidate beside what serves, on held-out rows that others labelled");
    return t;
  }();
  return schema;
}

const Schema<LeftOutClass>& left_out_schema() {
  static const auto schema = [] {
    auto t = Schema<LeftOutClass>::record("the class", "rows of a class that it was not taught");
    t.text("class", &LeftOutClass::name, "its name");
    t.integer("rows", &LeftOutClass::rows, "how many");
    return t;
  }();
  return schema;
}

}  // namespace

const Schema<RetrainEvidence>& retrain_evidence_schema() {
  using R = RetrainEvidence;
  static const auto schema = [] {
    auto t = Schema<R>::record("the evidence of a retrain", "what is known of it besides");
    t.refused_as(ErrorKind::kCorrupt, "evidence-malformed",
                 "build the bundle again with `heddle run`");
    t.object("before_change", &R::before_change, before_schema(),
             "the candidate beside what serves on rows from before the change, with the labels "
             "that were known by then");
    t.object("label_accounts", &R::label_accounts, backing_schema(), "whose labels it rests on");
    t.objects("left_out", &R::left_out, left_out_schema(),
              "labelled rows that it was not taught, because what serves does not have their "
              "class; at most 20 classes")
        .optional();
    return t;
  }();
  return schema;
}

}  // namespace heddle::evaluate
