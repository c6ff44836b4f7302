#include "recover/stored.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "doc/schema_conformance.hpp"
#include "recover/cause.hpp"

namespace heddle::recover {
namespace {

constexpr const char* kPage = "docs/formats/recovery.md";

Incident sample() {
  Incident i;
  i.id = "incident-0003";
  i.step = Step::kVerifyAct;
  i.diagnosis.cause = &time_shift();
  i.diagnosis.column = "at";
  i.diagnosis.source = "s1";
  i.diagnosis.account = "app";
  i.diagnosis.only_account = "app";
  i.diagnosis.only_label_account = "lab";
  i.diagnosis.rule = "at-in-order";
  i.diagnosis.good_rows = 12;
  i.diagnosis.ratio = 1.609344;
  i.diagnosis.ratio_name = "kilometres as miles";
  i.diagnosis.lag_hours = -5;
  i.diagnosis.offsets = {0.25, -1.0 / 3};
  i.diagnosis.change_from = -7;
  i.diagnosis.task = stats::TaskKind::kRegression;
  i.diagnosis.reason = "`at` is 5 hours behind";
  i.keys = {"column/at", "quality"};
  i.evidence = {sha256("finding")};
  i.timeline = {{0, "opened", 0, ""}, {42, "closed by `ann`: done", 7, "ann"}};
  i.response = "transform";
  i.raised_at = 1;
  i.confirmed_at = 2;
  i.responded_at = 3;
  i.recovered_at = 4;
  i.step_since = 5;
  i.rows_raised = 6;
  i.rows_confirmed = 7;
  i.rows_responded = 8;
  i.refused_share = 0.5;
  i.swapped = true;
  i.swaps = 1;
  i.failing = {
      {"incident-0003/label.accept/1", "label.accept", Step::kAskLabels, 2, 10, 11, "disk full"}};
  i.failing.push_back({"incident-0003/incident.lapse/1", "incident.lapse", Step::kDone, 1, 12, 13,
                       "disk full", Lapse{"incident-0003/slot.swap/1"}, "nobody answered"});
  i.opened_by = "ann";
  i.page_due = true;
  i.candidate = "sha256:ab";
  i.quiet = {{"column/at", {9, 2, 1}}};
  i.reconsidered = 1;
  i.why = "it came back";
  i.act = "incident-0003/transform";
  i.clock = 7 * kHour;
  return i;
}

/// As Heddle wrote it before its rows had a schema.
constexpr std::string_view kIncidentOfBefore =
    R"({"id":"incident-0003","step":"verify-act","diagnosis":{"cause":"time shift","column":"at",)"
    R"("source":"s1","account":"app","only_account":"app","only_label_account":"lab",)"
    R"("rule":"at-in-order","good_rows":12,"ratio":1.609344,"ratio_name":"kilometres as miles",)"
    R"("lag_hours":-5,"offsets":[0.25,-0.3333333333333333],"change_from":-7,"task":"regression",)"
    R"("reason":"`at` is 5 hours behind"},"keys":["column/at","quality"],"evidence":[)"
    R"("sha256:8bf18252cb6dadd5f42fca108271e688696209cdb6fae22e32318b204e6eb37d"],"timeline":[)"
    R"({"at":0,"what":"opened","entry":0,"by":""},)"
    R"({"at":42,"what":"closed by `ann`: done","entry":7,"by":"ann"}],"response":"transform",)"
    R"("raised_at":1,"confirmed_at":2,"responded_at":3,"recovered_at":4,"step_since":5,)"
    R"("rows_raised":6,"rows_confirmed":7,"rows_responded":8,"refused_share":0.5,"swapped":true,)"
    R"("swap_refused":false,"swap_asked":false,"swaps":1,"failing":[)"
    R"({"op_id":"incident-0003/label.accept/1","type":"label.accept","step":"ask-labels",)"
    R"("tries":2,"since":10,"again":11,"error":"disk full"},)"
    R"({"op_id":"incident-0003/incident.lapse/1","type":"incident.lapse","step":"done",)"
    R"("tries":1,"since":12,"again":13,"error":"disk full",)"
    R"("record":{"op_id":"incident-0003/slot.swap/1"},"reason":"nobody answered"}],)"
    R"("opened_by":"ann","acknowledged_by":"","closed_by":"","closed_at":0,"page_due":true,)"
    R"("shut_out":false,"release_refused":false,"repair_refused":false,"compared_until":0,)"
    R"("candidate":"sha256:ab","candidate_metrics":"","retrain_started":0,)"
    R"("quiet":[{"key":"column/at","seen":9,"windows":2,"whole":1}],"stands":false,)"
    R"("unverified":false,"reconsidered":1,"let_in_at":0,"escalations":0,"why":"it came back",)"
    R"("act":"incident-0003/transform","clock":25200000000})";

std::vector<Act> acts() {
  return {
      {"i/transform", TransformInForce{"at", "at-shift", 5, 7 * kHour}, "i", 1, "sha256:a", true},
      {"i/recalibration", RecalibrationInForce{{0.25}}, "i", 2, "sha256:b"},
      {"i/swap", SwapInForce{"sha256:c"}, "i", 3, "sha256:d"},
      {"i/release", ReleaseInForce{"sha256:e", true}, "i", 4, "sha256:f"}};
}

LadderState state() {
  LadderState state;
  state.last_tick = 5;
  state.opened = 3;
  state.by_hand = 2;
  state.acts = acts();
  state.recalibrations_taken_back = 1;
  state.deferred = {"quality"};
  state.readmitted = {{"app", "s1"}};
  return state;
}

constexpr std::string_view kStateOfBefore =
    R"({"format":"heddle.recovery/1","last_tick":5,"opened":3,"by_hand":2,"acts":[)"
    R"({"id":"i/transform","kind":"transform","incident":"i","since":1,"field":"at",)"
    R"("transform":"at-shift","lag_hours":5,"offsets":[],"before":"","made":"sha256:a",)"
    R"("on_standby":false,"kept":true,"clock":25200000000},)"
    R"({"id":"i/recalibration","kind":"recalibration","incident":"i","since":2,"field":"",)"
    R"("transform":"","lag_hours":0,"offsets":[0.25],"before":"","made":"sha256:b",)"
    R"("on_standby":false,"kept":false},)"
    R"({"id":"i/swap","kind":"swap","incident":"i","since":3,"field":"","transform":"",)"
    R"("lag_hours":0,"offsets":[],"before":"sha256:c","made":"sha256:d","on_standby":false,)"
    R"("kept":false},)"
    R"({"id":"i/release","kind":"release","incident":"i","since":4,"field":"","transform":"",)"
    R"("lag_hours":0,"offsets":[],"before":"sha256:e","made":"sha256:f","on_standby":true,)"
    R"("kept":false}],"recalibrations_taken_back":1,"recalibrate_again":-9223372036854775808,)"
    R"("deferred":["quality"],"readmitted":[{"source":"s1","account":"app"}]})";

ByHand closing() {
  ByHand act;
  act.kind = ByHand::Kind::kClose;
  act.number = 4;
  act.after = INT64_MIN;
  act.by = "ann";
  act.text = "because";
  act.entry = 7;
  act.incident = "incident-0004";
  act.source = "s1";
  act.in_force = {"a", "b"};
  act.shut_out = true;
  return act;
}

constexpr std::string_view kByHandOfBefore =
    R"({"kind":"close","number":4,"after":-9223372036854775808,"by":"ann","text":"because",)"
    R"("entry":7,"incident":"incident-0004","source":"s1","account":"","in_force":["a","b"],)"
    R"("shut_out":true})";

TEST(StoredIncident, SchemaConformance) {
  doc::RecordConformance<Incident>(incident_schema(), sample()).run(kPage);
}

TEST(StoredIncident, BytesOfBeforeAreReadAndWrittenAgain) {
  const auto read = incident_schema().parse_text(kIncidentOfBefore);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(*read, sample());
  EXPECT_EQ(doc::to_json(incident_schema().print(*read)), kIncidentOfBefore);
}

/// `value` changed at one place below `diagnosis` or `failing[1]`, and what is said of it.
std::string refusal(const char* part, const char* member, doc::Value to) {
  auto value = *doc::parse_json(kIncidentOfBefore);
  doc::Value* of = value.find(part);
  if (of->is_array()) of = &of->as_array()[1];
  of->set(member, std::move(to));
  const auto read = incident_schema().parse(value);
  return read.ok() ? "read" : read.error().id + ": " + read.error().message;
}

/// An unknown task used to read as binary.
TEST(StoredIncident, WhatNoTableHasIsNamed) {
  EXPECT_EQ(refusal("diagnosis", "task", "ranking"),
            "recover-state: the incident: `ranking` is not a value of `diagnosis.task`");
  EXPECT_EQ(refusal("diagnosis", "cause", "magic"),
            "recover-state: the incident: `diagnosis.cause` is `magic`, a cause that this Heddle "
            "does not have");
  EXPECT_EQ(refusal("failing", "type", "source.sell"),
            "recover-state: the incident: `failing[1].record` is no action of its type: recovery "
            "has no action `source.sell`");
  EXPECT_EQ(refusal("failing", "tries", 0),
            "recover-state: the incident: `failing[1].tries` must be at least 1");
}

TEST(StoredAct, SchemaConformance) {
  for (const Act& act : acts()) {
    const auto as_stored = stored(act);
    EXPECT_EQ(act_of(as_stored), act) << act.id;
    doc::RecordConformance<StoredAct>(act_schema(), as_stored).run("");
  }
}

TEST(StoredAct, MembersOfAnotherKindAreEmpty) {
  auto swap = stored(acts()[2]);
  swap.offsets = {0.5};
  EXPECT_EQ(act_schema().parse(act_schema().print(swap)).error().message,
            "the act: `kind` is `swap`, and a member of another kind is not empty");
  auto recalibration = stored(acts()[1]);
  recalibration.offsets.clear();
  EXPECT_EQ(act_schema().parse(act_schema().print(recalibration)).error().message,
            "the act: `offsets` must have a number for each output");
}

TEST(StoredByHand, SchemaConformance) {
  doc::RecordConformance<ByHand>(by_hand_schema(), closing()).run(kPage);
}

TEST(StoredByHand, BytesOfBeforeAreReadAndWrittenAgain) {
  const auto read = by_hand_schema().parse_text(kByHandOfBefore);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(*read, closing());
  EXPECT_EQ(doc::to_json(by_hand_schema().print(*read)), kByHandOfBefore);
}

TEST(StoredRecovery, SchemaConformance) {
  doc::RecordConformance<LadderState>(ladder_state_schema(), state()).run(kPage);
}

TEST(StoredRecovery, BytesOfBeforeAreReadAndWrittenAgain) {
  const auto read = ladder_state_schema().parse_text(kStateOfBefore);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(*read, state());
  EXPECT_EQ(doc::to_json(ladder_state_schema().print(*read)), kStateOfBefore);
}

}  // namespace
}  // namespace heddle::recover
