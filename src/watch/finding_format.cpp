#include "watch/finding_format.hpp"

#include "doc/schema_custom.hpp"

namespace heddle::watch {
namespace {

std::vector<std::pair<std::string, Subject>> subjects() {
  std::vector<std::pair<std::string, Subject>> names;
  for (int i = 0; i <= static_cast<int>(Subject::kOther); ++i) {
    const auto subject = static_cast<Subject>(i);
    names.emplace_back(subject_name(subject), subject);
  }
  return names;
}

}  // namespace

const doc::Schema<Finding>& finding_schema() {
  using F = Finding;
  static const auto schema = [] {
    auto t = doc::Schema<F>::record("the finding", "one metric of one window");
    t.refused_as(ErrorKind::kCorrupt, "finding-malformed",
                 "bring `.heddle/state.db` back from a backup");
    t.text("metric", &F::key, "one alert a key").filled();
    t.choice("subject", &F::subject, subjects(), "what the number is about");
    doc::number_or_null(t, "value", &F::value, "of the window; null: not known");
    doc::number_or_null(t, "threshold", &F::threshold, "that it was held against");
    t.boolean("alert", &F::alert, "past the threshold");
    t.time("from", &F::from, "event time of the window, half open");
    t.time("to", &F::to, "its end");
    t.integer("rows", &F::rows, "in the window");
    t.integer("epoch", &F::epoch, "of the watch: route version that began it");
    t.text("column", &F::column, "of a column's metric").optional();
    t.text("source", &F::source, "whose rows").optional();
    t.text("account", &F::account, "who sent the rows, or whose alone show it").optional();
    t.text("label_account", &F::label_account, "whose labels alone show it").optional();
    t.custom(
         "detail", doc::Shape::kMap, "what a diagnosis needs and a page shows",
         [](F& into, const doc::Value& value, doc::Reader&) { into.detail = value; },
         [](const F& from) -> std::optional<doc::Value> {
           if (from.detail.is_null()) return std::nullopt;
           return from.detail;
         })
        .optional();
    return t;
  }();
  return schema;
}

}  // namespace heddle::watch
