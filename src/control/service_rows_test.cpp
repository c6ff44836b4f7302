#include "control/service_rows.hpp"
#include "control/settled_rows.hpp"
#include "control/triggers.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "doc/schema_conformance.hpp"

namespace heddle::control {
namespace {

constexpr const char* kPage = "docs/formats/control-state.md";

const Digest kA = sha256("a");
const Digest kB = sha256("b");

Snapshot sample() {
  Snapshot s;
  s.segment = 3;
  s.offset = 17;
  s.applied = 9;
  s.tick = 5;
  s.day = 0;
  s.clock_jump = ClockJump{"jump-1", 7, "two hours ahead"};
  s.findings = 4;
  s.look = CanaryLook{8,
                      watch::Judgement{watch::Verdict::kGood,
                                       400,
                                       410,
                                       2,
                                       {{"loss", 0.25, std::nan(""), watch::Verdict::kGood, ""}},
                                       {"not worse"}},
                      6, 12};
  s.look->approval = "approval-0001";
  s.next_look = 11;
  s.told_at = 10;
  s.ladder.acts = {{"i/swap", recover::SwapInForce{"sha256:c"}, "i", 3, "sha256:d"}};
  s.ladder.readmitted = {{"app", "s1"}};
  return s;
}

/// As Heddle wrote it before its rows had a schema.
constexpr std::string_view kSnapshotOfBefore =
    R"({"format":"heddle.control/2","segment":3,"offset":17,"applied":9,"tick":5,"day":0,)"
    R"("clock_jump":{"id":"jump-1","event_time":7,"reason":"two hours ahead"},"findings":4,)"
    R"("canary":{"judgement":{"verdict":"good","canary_rows":400,"baseline_rows":410,"look":2,)"
    R"("measures":[{"name":"loss","canary":0.25,"baseline":null,"verdict":"good","why":""}],)"
    R"("reasons":["not worse"],"stepped":8,"event_time":6,"entry":12,)"
    R"("approval":"approval-0001"},"next_look":11,"told_at":10},)"
    R"("ladder":{"format":"heddle.recovery/1","last_tick":-9223372036854775808,"opened":0,)"
    R"("by_hand":0,"acts":[{"id":"i/swap","kind":"swap","incident":"i","since":3,"field":"",)"
    R"("transform":"","lag_hours":0,"offsets":[],"before":"sha256:c","made":"sha256:d",)"
    R"("on_standby":false,"kept":false}],"recalibrations_taken_back":0,)"
    R"("recalibrate_again":-9223372036854775808,"deferred":[],)"
    R"("readmitted":[{"source":"s1","account":"app"}]}})";

TEST(ServiceRows, SnapshotsAreWrittenAsBefore) {
  doc::RecordConformance<Snapshot>(snapshot_schema(), sample()).run(kPage);
  const auto read = snapshot_schema().parse_text(kSnapshotOfBefore);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(doc::to_json(snapshot_schema().print(*read)), kSnapshotOfBefore);
  EXPECT_EQ(doc::to_json(snapshot_schema().print(sample())), kSnapshotOfBefore);
}

TEST(ServiceRows, ACanaryThatWasNotJudgedHasNoJudgement) {
  Snapshot s = sample();
  s.clock_jump.reset();
  s.look = CanaryLook{8};
  auto value = snapshot_schema().print(s);
  EXPECT_EQ(doc::to_json(*value.find("canary")),
            R"({"judgement":{"stepped":8},"next_look":11,"told_at":10})");
  EXPECT_TRUE(value.find("clock_jump")->is_null());
  auto read = snapshot_schema().parse(value);
  ASSERT_TRUE(read.ok()) << read.error().str();
  ASSERT_TRUE(read->look.has_value());
  EXPECT_EQ(read->look->stepped, 8U);
  EXPECT_FALSE(read->look->judgement.has_value());
  s.look.reset();
  value = snapshot_schema().print(s);
  EXPECT_TRUE(value.find("canary")->find("judgement")->is_null());
  read = snapshot_schema().parse(value);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_FALSE(read->look.has_value());
  // Half a judgement is none.
  value.find("canary")->set("judgement", *doc::parse_json(R"({"stepped":8,"look":1})"));
  EXPECT_EQ(snapshot_schema().parse(value).error().message,
            "the state of the control plane: `canary.judgement.verdict` is missing, and 6 more");
}

TEST(ServiceRows, APromotionWaitsForItsComparison) {
  Snapshot s = sample();
  s.promotion.emplace().service = "s";
  s.promotion->proposal.op_id = "s/canary/1/promote";
  s.promotion->proposal.action = "release.promote";
  s.promotion->proposal.subjects = {{"bundle", kA}};
  auto value = snapshot_schema().print(s);
  const auto read = snapshot_schema().parse(value);
  ASSERT_TRUE(read.ok()) << read.error().str();
  ASSERT_TRUE(read->promotion.has_value());
  EXPECT_EQ(read->promotion->proposal.op_id, "s/canary/1/promote");
  EXPECT_EQ(read->promotion->proposal.subjects.at(0).digest, kA);
  value.find("canary")->set("promotion", doc::Value());
  EXPECT_FALSE(snapshot_schema().parse(value)->promotion.has_value());
  value.find("canary")->set("promotion", *doc::parse_json(R"({"service":"s"})"));
  EXPECT_EQ(snapshot_schema().parse(value).error().message,
            "the state of the control plane: `canary.promotion.op_id` is missing, and 11 more");
}

/// The schema's suite, and that the bytes of before are read and written again.
template <class T>
void holds(const doc::Schema<T>& schema, const T& row, std::string_view bytes_of_before) {
  doc::RecordConformance<T>(schema, row).run(kPage);
  const auto read = schema.parse_text(bytes_of_before);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(doc::to_json(schema.print(*read)), bytes_of_before);
  EXPECT_EQ(doc::to_json(schema.print(row)), bytes_of_before);
}

TEST(ServiceRows, RowsAreWrittenAsBefore) {
  const std::string a = kA.str(), b = kB.str();
  holds<RouteRow>(route_row_schema(), {4, "release.promote", kA, {}, kB, 500, {}, 77, "ledger/12"},
                  fmt::format(R"({{"version":4,"action":"release.promote","primary":"{}",)"
                              R"("standby":"","canary":"{}","weight":500,"shadow":"",)"
                              R"("event_time":77,"decision":"ledger/12"}})",
                              a, b));
  holds<Repaired>(
      repaired_schema(), {kA, {}, kB, {}},
      fmt::format(R"({{"of_primary":"{}","of_standby":"","primary":"{}","standby":""}})", a, b));
  holds<WorkRow>(work_row_schema(), {"compare", "c", 9, "{}"},
                 R"({"command":"compare","name":"c","due":9,"request":"{}"})");
  const auto retrain =
      retrain_row_schema().parse_text(R"({"dir":"/p/runs/r","name":"r","due":9,"request":"{}"})");
  ASSERT_TRUE(retrain.ok()) << retrain.error().str();
  EXPECT_EQ(*retrain, (WorkRow{"retrain", "r", 9, "{}"})) << "of the version before";
  holds<PostmortemRow>(postmortem_row_schema(),
                       {"incident-0001", kA, doc::Value::object({{"with", 1}})},
                       fmt::format(R"({{"incident":"incident-0001","page":"{}",)"
                                   R"("proof":{{"with":1}}}})",
                                   a));
  holds<LockRow>(lock_row_schema(), {"journal-damaged", "segment 3 is damaged", 7},
                 R"({"id":"journal-damaged","error":"segment 3 is damaged","entry":7})");
  holds<TlsRow>(tls_row_schema(), {"sha256:a", "sha256:b", "2026-01-01T00:00:00Z", 4, {"act-1"}},
                R"({"certificate":"sha256:a","client_ca":"sha256:b",)"
                R"("since":"2026-01-01T00:00:00Z","entry":4,"heard":["act-1"]})");
  EXPECT_TRUE(tls_row_schema()
                  .parse_text(R"({"certificate":"","client_ca":"","since":"x","entry":4,)"
                              R"("heard":[]})")
                  .ok());
  holds<SandboxRow>(sandbox_row_schema(), {2, {{"primary", "sha256:a", "namespaces", "cgroup"}}},
                    R"({"number":2,"workers":[{"slot":"primary","bundle":"sha256:a",)"
                    R"("in_force":"namespaces","missing":"cgroup"}]})");
  holds<SettledRows>(settled_rows_schema(), {"discard", "ben", 7, {"q-1#0"}},
                     R"({"act":"discard","by":"ben","entry":7,"rows":["q-1#0"]})");
  holds<TriggerRow>(trigger_row_schema(),
                    {1,
                     "sha256:a",
                     2,
                     {"s/incident-0001"},
                     3,
                     4,
                     "its time",
                     "approval-0001",
                     true,
                     5,
                     "candidate sha256:b",
                     "sha256:b"},
                    R"({"looked":1,"data":"sha256:a","labels":2,"incidents":["s/incident-0001"],)"
                    R"("fired":3,"fired_at":4,"reason":"its time","approval":"approval-0001",)"
                    R"("runs":true,"ended_at":5,"outcome":"candidate sha256:b",)"
                    R"("candidate":"sha256:b"})");
  WaitingRow waiting;
  waiting.service = "s";
  auto& proposal = waiting.proposal;
  proposal.op_id = "s/release/1/primary/a";
  proposal.action = "release.promote";
  proposal.target = "service/s";
  proposal.actor = {policy::ActorType::kPerson, "ada", {"os-user:ada", "bob", "", ""}};
  proposal.subjects = {{"bundle", kA}};
  proposal.evidence = {{"evaluation", kB}};
  proposal.attributes = doc::Value::object({{"service", "s"}, {"slot", "primary"}});
  proposal.event_time = 5;
  proposal.reason = "release it";
  holds<WaitingRow>(
      waiting_row_schema(), waiting,
      fmt::format(R"({{"service":"s","op_id":"s/release/1/primary/a","action":"release.promote",)"
                  R"("target":"service/s","actor":"ada","proof":"os-user:ada","claimed":"bob",)"
                  R"("event_time":5,"reason":"release it","incident":"",)"
                  R"("attributes":{{"service":"s","slot":"primary"}},)"
                  R"("subjects":[{{"name":"bundle","digest":"{}"}}],)"
                  R"("evidence":[{{"name":"evaluation","digest":"{}"}}]}})",
                  a, b));
  proposal.attributes = {};
  const auto bare = waiting_row_schema().parse(waiting_row_schema().print(waiting));
  ASSERT_TRUE(bare.ok()) << "to let a service go on says nothing to rules: " << bare.error().str();
  EXPECT_TRUE(bare->proposal.attributes.is_null());
  EXPECT_EQ(waiting_row_schema().parse(waiting_row_schema().print(waiting))->proposal.actor.type,
            policy::ActorType::kPerson);
}

TEST(ServiceRows, ADecisionThatNamesNoEntryIsNone) {
  EXPECT_EQ(entry_of_decision("ledger/12"), 12U);
  for (const char* other : {"", "ledger/", "ledger/x", "ledger/1x", "ledgers", "elsewhere/7"})
    EXPECT_EQ(entry_of_decision(other), 0U) << other;
}

}  // namespace
}  // namespace heddle::control
