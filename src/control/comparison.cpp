#include "control/comparison.hpp"

#include "doc/schema_lists.hpp"
#include "evaluate/evidence_format.hpp"

namespace heddle::control {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Value;

const Schema<ComparedTraffic>& traffic_schema() {
  static const auto schema = [] {
    auto t = Schema<ComparedTraffic>::record("the traffic", "how far the journal was read");
    t.integer("bytes_read", &ComparedTraffic::bytes_read, "the newest, so many");
    t.boolean("read_to_its_end", &ComparedTraffic::read_to_its_end, "all of it was read");
    return t;
  }();
  return schema;
}

const Schema<ComparedRows>& rows_schema() {
  using R = ComparedRows;
  static const auto schema = [] {
    auto t = Schema<R>::record("the rows", "labelled rows that both were asked about");
    t.text("of", &R::of, "`recorded traffic`, `the candidate's held-out rows`");
    t.text("from", &R::from, "event time of the first; empty: without times");
    t.text("to", &R::to, "of the last, likewise");
    t.integer("count", &R::count, "how many both answered");
    t.integer("refused_by_base", &R::refused_by_base, "not compared");
    t.integer("refused_by_candidate", &R::refused_by_candidate, "not compared");
    t.integer("positive", &R::positive, "of a binary task");
    t.text("note", &R::note, "what is to be known of them").optional();
    return t;
  }();
  return schema;
}

}  // namespace

const Schema<Comparison>& comparison_schema() {
  using C = Comparison;
  static const auto schema = [] {
    auto t = Schema<C>::record("the comparison", "two bundles on the same labelled rows");
    t.of_format("heddle.comparison/1")
        .refused_as(ErrorKind::kCorrupt, "comparison-malformed", "compare the two again");
    t.digest("base", &C::base, "the primary; empty: there was none");
    t.digest("candidate", &C::candidate, "what is to serve").filled();
    t.boolean("compared", &C::compared, "whether they were");
    t.text("why", &C::why, "not compared");
    t.object("traffic", &C::traffic, traffic_schema(), "where it was read");
    t.text("loss", &C::loss, "compared: what the loss of the task is called");
    t.object("rows", &C::rows, rows_schema(), "compared: on these");
    doc::objects_or_absent(t, "metrics", &C::metrics, evaluate::difference_schema(),
                           "compared: both sides");
    t.text("verdict", &C::verdict, "compared: of the loss of the task")
        .one_of({"better", "worse", "unclear"});
    t.text("why_not_traffic", &C::why_not_traffic, "why held-out rows were taken");
    t.finally([](C& into, const Value& value, Reader& reader) {
      // Which members there are follows from `compared`; the
      // schema alone would take a comparison without its rows.
      const bool says_why = value.find("why") != nullptr;
      if (!into.compared && !says_why) return reader.refuse("why", "is missing");
      if (!into.compared) return;
      for (const char* member : {"loss", "rows", "metrics", "verdict"}) {
        if (value.find(member) == nullptr) return reader.refuse(member, "is missing");
      }
    });
    return t;
  }();
  return schema;
}

const Schema<ComparisonProgress>& comparison_progress_schema() {
  using P = ComparisonProgress;
  static const auto schema = [] {
    auto t = Schema<P>::record("the progress", "how far a comparison is");
    t.refused_as(ErrorKind::kCorrupt, "comparison-malformed", "compare the two again");
    t.integer("read", &P::read, "bytes of the journal");
    t.integer("of", &P::of, "at most");
    t.integer("rows", &P::rows, "labelled ones found");
    return t;
  }();
  return schema;
}

}  // namespace heddle::control
