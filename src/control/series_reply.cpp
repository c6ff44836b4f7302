#include "control/series_reply.hpp"

#include "control/reply_schema.hpp"
#include "doc/schema_lists.hpp"
#include "watch/finding_format.hpp"

namespace heddle::control {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;

const Schema<SeriesReply>& SeriesReply::schema() {
  using S = SeriesReply;
  static const auto schema = [] {
    auto t = reply_of<S>("every metric of every window");
    t.text("service", &S::service, "");
    t.objects("findings", &S::findings, watch::finding_schema(),
              "every metric of every window, with its threshold");
    t.objects("batches", &S::batches, batch::profile_schema(),
              "the [profiles](score.md) of scored files, oldest first");
    return t;
  }();
  return schema;
}

const Schema<RefusedRowsReply>& RefusedRowsReply::schema() {
  using R = RefusedRowsReply;
  static const auto failing = [] {
    using F = FailingValue;
    auto t = reply_of<F>("a value that failed");
    t.text("rule", &F::rule, "");
    t.text("field", &F::field, "");
    t.value("value", &F::value, Shape::kAny, "as it was sent; null: nothing was");
    return t;
  }();
  static const auto row = [] {
    using Row = RefusedRowItem;
    auto t = reply_of<Row>("a refused row");
    t.text("request_id", &Row::request_id, "");
    t.integer("row", &Row::row, "of the request, from 0");
    t.text("event_time", &Row::event_time, "");
    t.text("source", &Row::source, "");
    t.text("account", &Row::account, "");
    t.text("outcome", &Row::outcome, "`refused`, `failed` or `quarantined`");
    t.texts("rules", &Row::rules, "that it broke");
    t.objects("failing", &Row::failing, failing, "values that they are about");
    t.text("slot", &Row::slot, "whose contract it met");
    t.integer("route_version", &Row::route_version, "");
    t.text("bundle", &Row::bundle, "of that slot by then; empty: it is not known");
    doc::texts_or_absent(t, "repairs", &Row::repairs,
                         "that its contract made before the checks; absent: the bundle is not "
                         "known, or cannot be read");
    t.text("settled", &Row::settled,
           "what a person did with it: `accept`, `reprocess` or `discard`; empty: it waits");
    t.value("fields", &Row::fields, Shape::kMap, "as they were sent");
    return t;
  }();
  static const auto schema = [] {
    auto t = reply_of<R>("refused rows");
    t.text("service", &R::service, "");
    t.boolean("reading", &R::reading, "true while they are read: ask again");
    doc::objects_or_absent(t, "rows", &R::rows, row,
                           "then the newest, oldest first, without those that a person settled");
    t.integer("before", &R::before,
              "at most 32 MiB of the journal are read for one answer, older rows are asked for "
              "with this");
    t.finally([](R& into, const Value&, Reader& reader) {
      if (!into.reading && !into.rows) reader.refuse("rows", "is missing");
    });
    return t;
  }();
  return schema;
}

}  // namespace heddle::control
