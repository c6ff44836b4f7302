// What is answered: each reply by its schema, and the documents that are stored as they are shown.
#include <gtest/gtest.h>

#include "control/act_replies.hpp"
#include "control/canary_reply.hpp"
#include "control/replies.hpp"
#include "control/reply_schema.hpp"
#include "control/series_reply.hpp"
#include "control/status_reply.hpp"
#include "doc/schema_conformance.hpp"
#include "evaluate/evidence_format.hpp"
#include "watch/finding_format.hpp"

namespace heddle::control {
namespace {

/// Bytes of before are read, and written again the same.
template <class T>
T again(const doc::Schema<T>& schema, std::string_view bytes) {
  const auto read = schema.parse_text(bytes);
  EXPECT_TRUE(read.ok()) << read.error().str();
  if (!read.ok()) return T{};
  EXPECT_EQ(doc::to_json(schema.print(*read)), bytes);
  return *read;
}

constexpr std::string_view kFinding =
    R"({"metric":"quality/ratio","subject":"quality","value":1.25,"threshold":1.0,"alert":true,)"
    R"("from":"2001-03-05T00:00:00Z","to":"2001-03-06T00:00:00.5Z","rows":1000,"epoch":2,)"
    R"("column":"c","source":"s","account":"app","label_account":"l","detail":{"loss":0.5}})";

TEST(Replies, AFindingOfBefore) {
  const std::string with_micros =
      std::string(kFinding).replace(kFinding.find("00.5Z"), 5, "00.500000Z");
  const auto read = again(watch::finding_schema(), with_micros);
  EXPECT_EQ(read.subject, watch::Subject::kQuality);
  EXPECT_EQ(doc::to_json(read.to_value()), with_micros);
  doc::RecordConformance<watch::Finding>(watch::finding_schema(), read).run("");
  again(watch::finding_schema(),
        R"({"metric":"labels/rate","subject":"other","value":null,"threshold":0.5,"alert":false,)"
        R"("from":"2001-03-05T00:00:00Z","to":"2001-03-06T00:00:00Z","rows":1,"epoch":0})");
}

constexpr std::string_view kDigest =
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string with_digests(std::string text) {
  for (auto at = text.find("DIGEST"); at != std::string::npos; at = text.find("DIGEST"))
    text.replace(at, 6, kDigest);
  return text;
}

TEST(Replies, AProfileOfBefore) {
  const auto read =
      again(batch::profile_schema(),
            with_digests(
                R"({"format":"heddle.batch/1","bundle":"DIGEST","slot":"primary","input":"DIGEST",)"
                R"("output":"DIGEST","refused_output":"DIGEST","rows":7,"served":6,"refused":1,)"
                R"("warned":2,"rules":{"field/x/range":1},"fields":[{"name":"x","missing":3}],)"
                R"("scores":{"bins":2,"counts":[4,2]},"metrics":[{"id":"x","column":"x",)"
                R"("statistic":0.25,"threshold":0.1,"past":true,"counts":[1,5]}]})"));
  EXPECT_EQ(read.rules.at("field/x/range"), 1);
  doc::RecordConformance<batch::FileProfile>(batch::profile_schema(), read).run("");
  // What repairs changed came later: where none did, it is not there.
  auto repaired = read;
  repaired.repaired = {{"x-trim", 4}};
  const auto text = doc::to_json(batch::profile_schema().print(repaired));
  EXPECT_NE(text.find(R"("rules":{"field/x/range":1},"repaired":{"x-trim":4},)"), std::string::npos)
      << text;
  EXPECT_EQ(batch::profile_schema().parse_text(text)->repaired, repaired.repaired);
  doc::RecordConformance<batch::FileProfile>(batch::profile_schema(), repaired).run("");
  // A count that is none is refused with its rule.
  auto wrong = batch::profile_schema().print(read);
  wrong.find("rules")->set("field/x/range", "one");
  EXPECT_NE(batch::profile_schema().parse(wrong).error().message.find("`rules.field/x/range`"),
            std::string::npos);
}

TEST(Replies, AComparisonOfBefore) {
  const auto read = again(
      comparison_schema(),
      with_digests(
          R"({"format":"heddle.comparison/1","base":"DIGEST","candidate":"DIGEST",)"
          R"("compared":true,"traffic":{"bytes_read":9,"read_to_its_end":true},"loss":"log loss",)"
          R"("rows":{"of":"recorded traffic","from":"2001-01-01T00:00:00Z",)"
          R"("to":"2001-01-02T00:00:00Z","count":300,"refused_by_base":1,)"
          R"("refused_by_candidate":2,"positive":100,"note":"n"},)"
          R"("metrics":[{"name":"auc","base":0.5,"candidate":0.75,"difference":0.25,)"
          R"("standard_error":null,"low":null,"high":null}],"verdict":"better",)"
          R"("why_not_traffic":"too few"})"));
  EXPECT_EQ(read.verdict_or_none(), "better");
  doc::RecordConformance<Comparison>(comparison_schema(), read).run("");
  again(comparison_schema(),
        with_digests(R"({"format":"heddle.comparison/1","base":"","candidate":"DIGEST",)"
                     R"("compared":false,"why":"nothing is released"})"));
  for (const char* half : {R"({"format":"heddle.comparison/1","base":"","candidate":"DIGEST",)"
                           R"("compared":false})",
                           R"({"format":"heddle.comparison/1","base":"","candidate":"DIGEST",)"
                           R"("compared":true,"verdict":"better"})"})
    EXPECT_EQ(comparison_schema().parse_text(with_digests(half)).error().id,
              "comparison-malformed");
  // As a reply: while it is made there is nothing else.
  CompareReply reply;
  reply.comparison = read;
  EXPECT_EQ(doc::to_json(CompareReply::schema().print(reply)),
            doc::to_json(comparison_schema().print(read)));
  EXPECT_TRUE(CompareReply::schema().parse(CompareReply::schema().print(reply)).ok());
  again(CompareReply::schema(), R"({"comparing":{"read":1,"of":2,"rows":3}})");
  EXPECT_EQ(CompareReply::schema().parse_text("{}").error().id, "reply-of-another-version");
}

TEST(Replies, TheDifferenceOfAMetricFollowsFromBothSides) {
  const evaluate::Difference difference{"auc", false, 0.5, 0.75, 0.1};
  const auto shown = evaluate::difference_schema().print(difference);
  EXPECT_EQ(shown.double_or("difference"), 0.25);
  EXPECT_NEAR(shown.double_or("low"), 0.25 - 0.196, 1e-4);
  EXPECT_NEAR(shown.double_or("high"), 0.25 + 0.196, 1e-4);
}

AskedReply asked() {
  return {{}, Asked{true, "sha256:ab", "primary", 3, "", "why", {{"one"}}, {{"other"}}}};
}

TEST(Replies, OfWhatIsAskedFor) {
  doc::RecordConformance<AskedReply>(AskedReply::schema(), asked()).run("");
  again(AskedReply::schema(), R"({"comparing":{"read":1,"of":2,"rows":3}})");
  const auto half = AskedReply::schema().parse_text(R"({"applied":true,"entry":1})");
  EXPECT_NE(half.error().message.find("`bundle` is missing"), std::string::npos);

  ByHandReply done;
  done.applied = true;
  done.service = "s";
  done.incident = "incident-0001";
  done.state = "by-hand";
  done.in_force = std::vector<std::string>{};
  const auto text = doc::to_json(ByHandReply::schema().print(done));
  EXPECT_NE(text.find(R"("in_force":[])"), std::string::npos) << text;
  doc::RecordConformance<ByHandReply>(ByHandReply::schema(), done).run("");
  EXPECT_FALSE(ByHandReply::schema().parse_text(R"({"applied":false,"entry":1})").ok());

  ApplyReply applied;
  applied.applied = true;
  applied.changed = true;
  applied.definitions = kDigest;
  applied.warnings = std::vector<doc::Diagnostic>{{.id = "w", .message = "m"}};
  doc::RecordConformance<ApplyReply>(ApplyReply::schema(), applied).run("");
  EXPECT_EQ(doc::to_json(diagnostic_schema().print(applied.warnings->front())),
            doc::to_json(doc::to_value(applied.warnings->front())));
  EXPECT_FALSE(ApplyReply::schema().parse_text(R"({"applied":true,"commit":"c","entry":1})").ok());
  doc::RecordConformance<ApproveReply>(ApproveReply::schema(),
                                       {"approval-0001", true, 3, {{"heddle", "why"}}})
      .run("");
}

IncidentReply incident() {
  IncidentReply out;
  out.timeline = {{"2001-01-01T00:00:00Z", "what", 1, ""}};
  out.failing = {{"retrain.start", 2, "", "e"}};
  out.line = "l";
  out.page = "p";
  out.proof = doc::Value();  // there is none, and that is said
  out.next = std::vector<NextItem>{{"heddle", "why"}};
  return out;
}

ApprovalReply approval() {
  ApprovalReply out;
  out.evidence = {{"bundle", Digest::parse(kDigest).value()}};
  out.binds = doc::Value::object({{"primary", ""}});
  out.signatures = {{"ann", "armored"}};
  out.next = {{"heddle", "why"}};
  out.line = "l";
  out.unread = "u";
  out.evaluation.emplace().gates.push_back({.id = "g"});
  out.drops_repairs = {"one"};
  out.revives_repairs = {"other"};
  out.comparison.emplace().candidate = Digest::parse(kDigest).value();
  out.comparison->why = "nothing is released";
  return out;
}

TEST(Replies, OfIncidentsAndApprovals) {
  doc::RecordConformance<IncidentReply>(IncidentReply::schema(), incident()).run("");
  EXPECT_NE(doc::to_json(IncidentReply::schema().print(incident())).find(R"("proof":null)"),
            std::string::npos);
  doc::RecordConformance<ApprovalReply>(ApprovalReply::schema(), approval()).run("");
  HistoryReply history{"s", {{RouteRow{}, "", 4}}};
  history.releases[0].route.version = 1;
  history.releases[0].route.event_time = 7;  // shown as a text
  const auto shown = doc::to_json(HistoryReply::schema().print(history));
  EXPECT_NE(shown.find(R"("event_time":"")"), std::string::npos) << shown;
  doc::RecordConformance<HistoryReply>(HistoryReply::schema(), history).run("");
  again(RefusedRowsReply::schema(), R"({"service":"s","reading":true})");
  again(RefusedRowsReply::schema(),
        R"({"service":"s","rows":[{"request_id":"r","row":0,"event_time":"","source":"a",)"
        R"("account":"","outcome":"refused","rules":["x-range"],"failing":[{"rule":"x-range",)"
        R"("field":"x","value":1}],"slot":"primary","route_version":3,"bundle":"",)"
        R"("repairs":["x-clip"],"settled":"discard","fields":{"x":1}}],"before":4})");
  EXPECT_FALSE(RefusedRowsReply::schema().parse_text(R"({"service":"s"})").ok());
  RefusedRowsReply rows;
  rows.service = "s";
  auto& row = rows.rows.emplace().emplace_back();
  row.fields = doc::Value::object();
  row.failing = {{"x-required", "x", doc::Value()}};  // nothing was sent, and that is said
  rows.before = 4;
  doc::RecordConformance<RefusedRowsReply>(RefusedRowsReply::schema(), rows).run("");
  doc::RecordConformance<SettleReply>(SettleReply::schema(), SettleReply{3, 2}).run("");
}

TEST(Replies, OfAStatus) {
  StatusReply status;
  ServiceItem item;
  item.name = "s";
  auto& decided = item.decided.emplace();
  decided.clock_jump = ClockJump{"jump-1", 7, "two hours"};
  decided.tls = TlsItem{"c", "", "", 2};
  decided.sandboxes = {{"primary", "b", "seccomp", ""}};
  decided.watch.labels_given_up = {{"app", 3}};
  decided.watch.unrecorded["app"] = {1, 2, "", true, "full"};
  decided.watch.metrics = {{"quality/ratio", "labels", "2d", "", 5, false}};
  status.services = {item};
  status.quarantined = {{"s", "a", "", "r", "ann", "why", "line"}};
  status.incidents = {incident()};
  status.approvals = {approval()};
  status.triggers = {{"nightly", "m", "runs", "2026-01-01T00:00:00Z", "its time", "approval-0001",
                      "2026-01-01T00:01:00Z", "candidate sha256:a", "sha256:a", "nightly of `m`"}};
  status.next = {{"heddle", "why"}};
  doc::RecordConformance<StatusReply>(StatusReply::schema(), status).run("");
  const auto text = doc::to_json(StatusReply::schema().print(status));
  EXPECT_NE(text.find(R"("silent":false)"), std::string::npos) << text;
  // A locked service has no more than its name, state, reason and autonomy.
  status.services = {{"t", "released", LockedItem{"disk", "e", "h"}, {}, "act"}};
  again(StatusReply::schema(), doc::to_json(StatusReply::schema().print(status)));
  // A member of a map is named with its place too.
  status.services = {item};
  auto unnamed = StatusReply::schema().print(status);
  unnamed.find("services")
      ->as_array()[0]
      .find("watch")
      ->find("unrecorded")
      ->find("app")
      ->set("labels", "2");
  EXPECT_NE(StatusReply::schema().parse(unnamed).error().message.find(
                "`services[0].watch.unrecorded.app.labels` must be an integer"),
            std::string::npos)
      << StatusReply::schema().parse(unnamed).error().message;
  status.services[0].decided.reset();
  const auto half = StatusReply::schema().parse(StatusReply::schema().print(status));
  EXPECT_NE(half.error().message.find("`services[0].primary` is missing"), std::string::npos)
      << half.error().message;
}

TEST(Replies, OfACanary) {
  CanaryReply reply{"s", true, ""};
  auto& run = reply.run.emplace();
  run.steps = {500, 5000};
  run.cohorts.measures.push_back({.name = "log loss"});
  run.next = {{"heddle", "why"}};
  auto& look = run.judgement.emplace();
  look.stepped = 1;
  look.judgement.emplace().measures.push_back({.name = "log loss"});
  look.held = true;
  look.approval = "approval-0001";
  look.denied = "rule";
  doc::RecordConformance<CanaryReply>(CanaryReply::schema(), reply).run("");
  again(CanaryReply::schema(), R"({"service":"s","running":false,"shadow":""})");
  EXPECT_FALSE(
      CanaryReply::schema().parse_text(R"({"service":"s","running":true,"shadow":""})").ok());
}

}  // namespace
}  // namespace heddle::control
