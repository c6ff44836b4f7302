#include "batch/profile_format.hpp"

#include "doc/schema_custom.hpp"
#include "doc/schema_lists.hpp"

namespace heddle::batch {
namespace {

using doc::Schema;

const Schema<FieldCount>& field_schema() {
  static const auto schema = [] {
    auto t = Schema<FieldCount>::record("the field", "a field of the contract");
    t.text("name", &FieldCount::name, "its name").filled();
    t.integer("missing", &FieldCount::missing, "served rows without a value");
    return t;
  }();
  return schema;
}

const Schema<ScoreCounts>& scores_schema() {
  static const auto schema = [] {
    auto t = Schema<ScoreCounts>::record("the scores", "how they fall over [0, 1]");
    t.integer("bins", &ScoreCounts::bins, "of equal width", 1);
    t.integers("counts", &ScoreCounts::counts, "one a bin");
    return t;
  }();
  return schema;
}

const Schema<MetricCounts>& metric_schema() {
  using M = MetricCounts;
  static const auto schema = [] {
    auto t = Schema<M>::record("the metric", "a metric of the baseline over the served rows");
    t.text("id", &M::id, "its name").filled();
    t.text("column", &M::column, "of which column").filled();
    doc::number_or_null(t, "statistic", &M::statistic, "its distance from the reference");
    doc::number_or_null(t, "threshold", &M::threshold, "of the monitor");
    t.boolean("past", &M::past, "it is above it");
    t.integers("counts", &M::counts, "rows in each bin of the reference");
    return t;
  }();
  return schema;
}

}  // namespace

const Schema<FileProfile>& profile_schema() {
  using P = FileProfile;
  static const auto schema = [] {
    auto t = Schema<P>::record("the batch's profile", "what came of a scored file");
    t.of_format("heddle.batch/1")
        .refused_as(ErrorKind::kInvalid, "batch-malformed", "see docs/score.md");
    t.digest("bundle", &P::bundle, "what scored it").filled();
    t.text("slot", &P::slot, "that it was released as");
    t.digest("input", &P::input, "of the file").filled();
    t.digest("output", &P::output, "of the served rows").filled();
    t.digest("refused_output", &P::refused_output, "of the refused rows").filled();
    t.custom(
         "joined", doc::Shape::kMap,
         "digests of the sources that `upstream` fields were computed from, by their names; "
         "default: the file had them",
         [](P& into, const doc::Value& value, doc::Reader& reader) {
           for (const auto& [name, text] : value.as_object()) {
             const auto digest = Digest::parse(text.is_string() ? text.as_string() : "");
             if (!digest.ok()) return reader.refuse(name, "is no digest");
             into.joined.emplace(name, *digest);
           }
         },
         [](const P& from) -> std::optional<doc::Value> {
           auto out = doc::Value::object();
           for (const auto& [name, digest] : from.joined) out.set(name, digest.str());
           return out;
         })
        .optional();
    t.integer("rows", &P::rows, "of the file");
    t.integer("served", &P::served, "that were answered");
    t.integer("refused", &P::refused, "that were not");
    t.integer("warned", &P::warned, "served, although they broke a rule");
    doc::counts(t, "rules", &P::rules, "rows that broke each rule");
    doc::counts(t, "repaired", &P::repaired, "values that each repair changed; default: none did")
        .optional();
    t.objects("fields", &P::fields, field_schema(), "of the contract");
    t.object("scores", &P::scores, scores_schema(), "of probabilities; a regression has none");
    t.objects("metrics", &P::metrics, metric_schema(), "of the baseline");
    return t;
  }();
  return schema;
}

}  // namespace heddle::batch
