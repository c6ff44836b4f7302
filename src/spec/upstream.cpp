#include "spec/upstream.hpp"

#include <algorithm>

#include "doc/schema.hpp"

namespace heddle::spec {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;

void read_upstream_key(Upstream& into, const Value& value, Reader& reader) {
  for (const auto& [field, column] : value.as_object()) {
    if (!column.is_string() || column.as_string().empty()) {
      reader.report(column.position(), "bad-upstream",
                    fmt::format("`key` of `upstream` names no column for `{}`", field),
                    "write the field and the column of the source: `key: {origin: station}`");
      continue;
    }
    into.key.emplace_back(field, column.as_string());
  }
  // In whatever order they are written, it is one key.
  std::sort(into.key.begin(), into.key.end());
}

std::optional<Value> print_upstream_key(const Upstream& from) {
  Value out = Value::object();
  for (const auto& [field, column] : from.key) out.set(field, column);
  return out;
}

Schema<Upstream> with_upstream_keys(Schema<Upstream> t, bool is_record) {
  t.text("source", &Upstream::source, "a source of heddle.yaml").required().filled();
  t.custom("key", Shape::kMap,
           "fields of the contract, each with the column of the source that is equal to it; none: "
           "every row sees all rows of the source",
           read_upstream_key, print_upstream_key)
      .optional();
  t.text("time", &Upstream::time, "the column of the source that says when").required().filled();
  t.text("value", &Upstream::value,
         "the column that is taken; a `count` without it counts rows, with it those with a value")
      .optional();
  t.choice("aggregate", &Upstream::aggregate,
           {{"last", Aggregate::kLast},
            {"count", Aggregate::kCount},
            {"sum", Aggregate::kSum},
            {"mean", Aggregate::kMean},
            {"min", Aggregate::kMin},
            {"max", Aggregate::kMax}},
           "what is made of the rows that are seen; default: `last`, the newest one's")
      .optional();
  // `7d` cannot be printed back as it was written; microseconds can, and mean the same.
  if (is_record) {
    t.micros("window", &Upstream::window, "microseconds: how far back rows are seen");
    t.micros("delay", &Upstream::delay, "microseconds from a row's time to when it is known");
  } else {
    t.duration("window", &Upstream::window,
               "how far back rows are seen; of `last` it may be left out");
    t.duration("delay", &Upstream::delay, "from a row's time to when it is known; default: none");
  }
  t.finally([](Upstream& into, const Value& value, Reader&) { into.position = value.position(); });
  return t;
}

}  // namespace

const Schema<Upstream>& upstream_keys() {
  static const auto schema = with_upstream_keys(
      {"upstream", "a field that requests bring, and how it is computed for rows without it"},
      false);
  return schema;
}

const Schema<Upstream>& stored_upstream() {
  static const auto schema = with_upstream_keys(
      Schema<Upstream>::record("the upstream", "how the field is computed for rows without it"),
      true);
  return schema;
}

}  // namespace heddle::spec
