#include "watch/judgement_format.hpp"

#include "doc/schema_custom.hpp"

namespace heddle::watch {
namespace {

std::vector<std::pair<std::string, Verdict>> verdicts() {
  std::vector<std::pair<std::string, Verdict>> names;
  for (const Verdict verdict : {Verdict::kGood, Verdict::kBad, Verdict::kInconclusive})
    names.emplace_back(verdict_name(verdict), verdict);
  return names;
}

const doc::Schema<Measure>& measure_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<Measure>::record("the measure", "what both are compared in");
    t.text("name", &Measure::name, "its name").filled();
    doc::number_or_null(t, "canary", &Measure::canary, "the canary's; null: nothing is known");
    doc::number_or_null(t, "baseline", &Measure::baseline, "the baseline's, likewise");
    t.choice("verdict", &Measure::verdict, verdicts(), "what it says");
    t.text("why", &Measure::why, "one sentence when it is not good");
    return t;
  }();
  return schema;
}

}  // namespace

const doc::Schema<Judgement>& judgement_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<Judgement>::record("the judgement", "what a look at a canary says");
    t.refused_as(ErrorKind::kCorrupt, "judgement-malformed",
                 "bring `.heddle/state.db` back from a backup");
    t.choice("verdict", &Judgement::verdict, verdicts(), "of all measures");
    t.integer("canary_rows", &Judgement::canary_rows, "rows that the canary answered");
    t.integer("baseline_rows", &Judgement::baseline_rows, "rows that the baseline answered");
    t.integer("look", &Judgement::look, "of this step, from 1");
    t.objects("measures", &Judgement::measures, measure_schema(), "what both were compared in");
    t.texts("reasons", &Judgement::reasons, "why, one sentence each");
    return t;
  }();
  return schema;
}

}  // namespace heddle::watch
