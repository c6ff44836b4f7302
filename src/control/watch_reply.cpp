#include "control/watch_reply.hpp"

#include "control/reply_schema.hpp"
#include "doc/schema_lists.hpp"

namespace heddle::control {

using doc::Schema;

namespace {

const Schema<WatchedMetric>& metric_schema() {
  using M = WatchedMetric;
  static const auto schema = [] {
    auto t = reply_of<M>("a metric");
    t.text("metric", &M::metric, "");
    t.text("waits_for", &M::waits_for, "what makes it report");
    t.text("deadline", &M::deadline, "after `since`");
    t.text("since", &M::since, "event time of the first row after its last report; empty: none");
    t.integer("rows", &M::rows, "since then");
    t.boolean("silent", &M::silent, "it is past its deadline");
    return t;
  }();
  return schema;
}

const Schema<UnrecordedItem>& unrecorded_schema() {
  using U = UnrecordedItem;
  static const auto schema = [] {
    auto t = reply_of<U>("what is not recorded");
    t.integer("requests", &U::requests, "");
    t.integer("labels", &U::labels, "");
    t.text("since", &U::since, "");
    t.boolean("goes_on", &U::goes_on, "");
    t.text("why", &U::why, "");
    return t;
  }();
  return schema;
}

}  // namespace

const Schema<WatchReply>& watch_reply_schema() {
  using W = WatchReply;
  static const auto schema = [] {
    auto t = reply_of<W>("what the watch has seen");
    t.integer("rows", &W::rows, "that it was given");
    t.integer("in_windows", &W::in_windows, "");
    t.integer("partial", &W::partial, "of a window that one release covers too little of");
    t.integer("late", &W::late, "");
    t.integer("ahead", &W::ahead, "");
    t.integer("unwatched", &W::unwatched, "who answered has no baseline");
    t.integer("other_release", &W::other_release, "answered by a release that was replaced");
    t.integer("labels_joined", &W::labels_joined, "");
    t.integer("labels_waiting", &W::labels_waiting, "for a row that is not known so far");
    t.integer("labels_forgotten", &W::labels_forgotten, "it never came");
    t.integer("labels_malformed", &W::labels_malformed, "no value of the target");
    t.integer("labels_unknown_class", &W::labels_unknown_class, "");
    t.integer("labels_unsampled", &W::labels_unsampled, "of rows that are not in the sample");
    t.integer("labels_contested", &W::labels_contested, "rows that two accounts contradict");
    doc::counts(t, "labels_given_up", &W::labels_given_up, "by account: gave way to newer ones");
    t.number("sample", &W::sample, "share of the rows that is kept for its label");
    doc::objects_by_name(t, "unrecorded", &W::unrecorded, unrecorded_schema(),
                         "by account: `requests`, `labels`, `since`, `goes_on`, `why`: answered "
                         "and not in the journal");
    t.text("line", &W::line, "what watches it, in words");
    t.boolean("watched", &W::watched, "");
    t.text("why", &W::why, "it is not");
    t.boolean("labelled_quality", &W::labelled_quality, "");
    t.texts("silent", &W::silent, "metrics");
    t.objects("metrics", &W::metrics, metric_schema(), "");
    return t;
  }();
  return schema;
}

}  // namespace heddle::control
