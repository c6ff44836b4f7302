#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>

#include "doc/json.hpp"
#include "recover/cause.hpp"
#include "recover/ladder_fixture.hpp"
#include "recover/postmortem.hpp"

namespace heddle::recover {
namespace {

using fixture::options;
using fixture::Scene;
using fixture::World;
using watch::Alert;
using watch::Watch;
using watch::fixture::Stream;

TEST(Ladder, CleanTrafficOpensNoIncidentButPriorShift) {
  Scene s(21);
  s.play(100, 125, {});
  for (const Incident& i : s.ladder.incidents()) EXPECT_EQ(i.diagnosis.cause, &prior_shift());
}

TEST(Ladder, UnitChangeQuarantinesTheSourceAndLetsItInAgain) {
  Scene s(22);
  s.play(100, 103, {});
  s.play(103, 104, {.distance_ratio = 1.609344});
  ASSERT_EQ(s.ladder.incidents().size(), 1U);
  EXPECT_EQ(s.ladder.incidents()[0].step, Step::kAwaitReadmit);
  EXPECT_EQ(s.world.attributes("source.quarantine").string_or("source"), "s1");
  EXPECT_EQ(s.world.attributes("source.quarantine").string_or("rule"), "place-fixes-distance");
  EXPECT_EQ(s.world.attributes("source.quarantine").string_or("account"), "app");
  // The end of another account's quarantine, or of one for all, is not the end of this one.
  s.world.day(104, {}, s.watch, s.ladder,
              {{"source-readmit", "s1", 104 * kDay, "clean", "a1", "other"},
               {"source-readmit", "s1", 104 * kDay, "clean", "a2"}});
  EXPECT_EQ(s.ladder.incidents()[0].step, Step::kAwaitReadmit);
  s.ladder.restore(fixture::read_back(s.ladder.state()));
  s.world.day(105, {}, s.watch, s.ladder,
              {{"source-readmit", "s1", 105 * kDay, "clean", "a3", "app"}});
  EXPECT_EQ(s.world.attributes("source.release").string_or("account"), "app");
  const Incident& i = s.ladder.incidents()[0];
  EXPECT_EQ(i.step, Step::kDone);
  EXPECT_EQ(s.world.applied,
            (std::vector<std::string>{
                "incident-0001/incident.open/1", "incident-0001/source.quarantine/1",
                "incident-0001/source.release/1", "incident-0001/postmortem.write/1",
                "incident-0001/incident.close/1"}));
  const doc::Value& proof = s.world.last_of<WritePostmortem>().proof;
  EXPECT_LT(proof.find("with")->int_or("rows"), proof.find("without")->int_or("rows"));
  EXPECT_EQ(proof.find("with")->int_or("false_alerts"), 0);
  EXPECT_EQ(s.world.attributes("postmortem.write").string_or("addition_path"), "refused_rows");
}

TEST(Ladder, AQuarantineThatNobodyAllowedLeavesTheRowsRefused) {
  for (const bool denied : {false, true}) {
    SCOPED_TRACE(denied);
    Scene s(22);
    (denied ? s.world.denied : s.world.unanswered).insert("source.quarantine");
    s.play(100, 103, {});
    s.play(103, 104, {.distance_ratio = 1.609344});
    ASSERT_EQ(s.ladder.incidents().size(), 1U);
    EXPECT_EQ(s.ladder.incidents()[0].step, denied ? Step::kAwaitQuiet : Step::kQuarantine);
    s.play(104, 106, {});
    const Incident& i = s.ladder.incidents()[0];
    EXPECT_EQ(i.step, Step::kDone) << step_name(i.step);
    EXPECT_EQ(i.response, "rows refused by the contract");
    EXPECT_NE(i.recovered_at, 0);
    EXPECT_EQ(s.did("incident.lapse"), !denied);  // nobody can allow it any more once it is over
    EXPECT_FALSE(s.did("source.release"));
  }
}

TEST(Ladder, AQuarantineThatNobodyAnswersIsAskedForAWeek) {
  Scene s(22);
  s.world.unanswered.insert("source.quarantine");
  s.play(100, 103, {});
  s.play(103, 112, {.distance_ratio = 1.609344});
  EXPECT_EQ(s.ladder.incidents()[0].step, Step::kAwaitQuiet);
  EXPECT_TRUE(s.did("incident.escalate"));
  EXPECT_TRUE(s.did("incident.lapse"));
}

TEST(Ladder, AQuarantineThatCostsTooManyGoodRowsIsToBeReleased) {
  for (const bool denied : {false, true}) {
    SCOPED_TRACE(denied);
    Scene s(22);
    if (denied) s.world.denied.insert("source.release");
    s.play(100, 103, {});
    s.play(103, 104, {.distance_ratio = 1.609344});
    ASSERT_EQ(s.ladder.incidents()[0].step, Step::kAwaitReadmit);
    for (int day = 104; day < 110 && !s.world.last.contains("source.release"); ++day)
      s.play(day, day + 1, {.held_back = true});
    ASSERT_EQ(s.ladder.incidents().size(), 1U);
    EXPECT_TRUE(s.did("incident.escalate"));
    EXPECT_EQ(s.world.attributes("source.release").string_or("account"), "app");
    EXPECT_NE(s.world.last["source.release"].reason.find("the budget is 1000"), std::string::npos);
    EXPECT_EQ(s.ladder.incidents()[0].step, denied ? Step::kAwaitReadmit : Step::kAwaitQuiet);
    s.play(110, 112, {});
    EXPECT_EQ(s.ladder.incidents()[0].step, denied ? Step::kAwaitReadmit : Step::kDone);
    const auto times =
        std::count_if(s.world.applied.begin(), s.world.applied.end(),
                      [](const std::string& a) { return a.find("source.release") != a.npos; });
    EXPECT_EQ(times, 1);
  }
}

TEST(Ladder, AQuarantineOfNobodysIncidentHasABudgetToo) {
  Scene s(22);
  s.world.shut = {{"s1", "place-fixes-distance", 5, "app"}};
  s.play(100, 101, {});
  s.play(101, 105, {.held_back = true});
  ASSERT_EQ(s.ladder.incidents().size(), 1U);
  EXPECT_EQ(s.ladder.incidents()[0].diagnosis.cause, &costly_quarantine());
  EXPECT_TRUE(s.did("source.release"));
  s.play(105, 107, {});
  EXPECT_EQ(s.ladder.incidents()[0].step, Step::kDone);
}

TEST(Ladder, AQuarantineSaysWhatItWouldCost) {
  Scene s(22);
  s.play(100, 103, {});
  s.play(103, 104, {.distance_ratio = 1.609344});
  ASSERT_TRUE(s.did("source.quarantine"));
  EXPECT_EQ(s.world.attributes("source.quarantine").int_or("good_rows", -1), 0)
      << "every row of it is wrong";
  s.ladder.restore(fixture::read_back(s.ladder.state()));
  EXPECT_EQ(s.ladder.incidents()[0].diagnosis.good_rows, 0);
  // One row in three: the wrong ones show the unit, and most are well.
  Scene t(22);
  t.play(100, 103, {});
  std::vector<plane::Record> records;
  Stream wrong(23);
  (void)wrong.baseline();
  wrong.day(103, {.distance_ratio = 1.609344}, records);
  int seen = 0;
  for (auto& record : records) {
    auto* request = std::get_if<plane::RequestRecord>(&record);
    if (request != nullptr && request->rows[0].outcome == plane::RowOutcome::kRefused &&
        seen++ % 3 != 0) {
      request->rows[0].outcome = plane::RowOutcome::kServed;
      request->rows[0].rules.clear();
    }
    watch::Output out;
    t.watch.observe(record, out);
    for (const Alert& move : out.moves) t.world.moves.push_back(move);
    if (const auto* tick = std::get_if<plane::TickRecord>(&record);
        tick != nullptr && tick->event_time > t.ladder.last_tick()) {
      (void)t.ladder.on_tick(tick->event_time, t.world.moves, {}, t.watch, t.world);
      t.world.moves.clear();
    }
  }
  ASSERT_TRUE(t.did("source.quarantine"));
  EXPECT_GT(t.world.attributes("source.quarantine").int_or("good_rows"), 200);
}

TEST(Ladder, WhatIsNotRecordedIsAnIncidentThatPeopleAreToldOf) {
  Scene s(22);
  s.play(100, 101, {});
  watch::Output out;
  s.watch.observe(plane::GapRecord{40, "the journal is full", 2, "app"}, out);
  s.watch.observe(plane::GapRecord{1, "the journal is full", 0, "other"}, out);
  s.world.moves = out.moves;
  s.play(101, 102, {});
  ASSERT_EQ(s.ladder.incidents().size(), 2U) << "each account's is its own";
  const Incident& i = s.ladder.incidents()[0];
  EXPECT_EQ(i.diagnosis.cause, &unrecorded_traffic());
  EXPECT_EQ(i.diagnosis.account, "app");
  EXPECT_TRUE(s.did("incident-0001/incident.open")) << "in the ledger";
  EXPECT_TRUE(s.did("incident-0001/incident.escalate"));
  EXPECT_EQ(i.response, "none");
  EXPECT_EQ(i.step, Step::kDone) << "a day without";
  // Within the cool-down of an alert it would be deferred: what is missing is told each time.
  out = {};
  s.watch.observe(plane::GapRecord{7, "the journal is full", 0, "app"}, out);
  s.world.moves = out.moves;
  s.play(102, 103, {});
  EXPECT_EQ(s.ladder.incidents().size(), 3U);
}

TEST(Ladder, AServiceThatAnswersNobodyTellsAPersonAtOnce) {
  Scene s(22);
  s.play(100, 101, {});
  s.play(101, 102, {.nobody = true});
  const auto of =
      std::find_if(s.ladder.incidents().begin(), s.ladder.incidents().end(),
                   [](const Incident& i) { return i.diagnosis.cause == &no_answers(); });
  ASSERT_NE(of, s.ladder.incidents().end());
  EXPECT_TRUE(s.did(of->id + "/incident.escalate"));
  s.play(102, 104, {});
  const auto now =
      std::find_if(s.ladder.incidents().begin(), s.ladder.incidents().end(),
                   [](const Incident& i) { return i.diagnosis.cause == &no_answers(); });
  EXPECT_EQ(now->step, Step::kDone);
}

TEST(Ladder, ContractFaultIsRefusedAndNothingMore) {
  Scene s(23);
  s.play(100, 102, {});
  s.play(102, 103, {.malformed = 0.1});
  s.play(103, 105, {});
  ASSERT_EQ(s.ladder.incidents().size(), 5U) << "one a source";
  for (const Incident& incident : s.ladder.incidents()) {
    EXPECT_EQ(incident.diagnosis.cause, &contract_fault());
    EXPECT_EQ(incident.step, Step::kDone);
  }
  EXPECT_FALSE(s.did("source.quarantine"));
  EXPECT_FALSE(s.did("retrain"));
}

TEST(Ladder, ABrokenSourceIsShutOutWhileTheIncidentOfAnotherIsOpen) {
  using Sender = std::pair<std::string, std::string>;  // account and source
  const Sender app1 = {"app", "s1"};
  const Sender app2 = {"app", "s2"};
  const Sender other1 = {"other", "s1"};
  struct Case {
    bool unit_first;  ///< the distances of `app1` come in another unit; else its times are missing
    Sender second;
    bool unit_second;
  };
  for (const Case& c :
       {Case{false, app2, false}, Case{false, other1, false}, Case{true, app2, false},
        Case{true, other1, false}, Case{false, other1, true}, Case{true, other1, true}}) {
    SCOPED_TRACE(
        fmt::format("{} {} {} {}", c.unit_first, c.second.first, c.second.second, c.unit_second));
    const Stream::Fault other_unit{.distance_ratio = 1.609344};
    Scene s(23);
    s.world.others = std::make_unique<Stream>(33);
    s.play(100, 102, {});
    if (!c.unit_first) s.world.broken = {app1};
    const Stream::Fault first = c.unit_first ? other_unit : Stream::Fault{};
    s.play(102, 103, first);
    ASSERT_EQ(s.ladder.incidents().size(), 1U);
    EXPECT_EQ(s.ladder.incidents()[0].step, Step::kAwaitReadmit);
    if (c.unit_second) {
      s.world.others_fault = other_unit;
    } else {
      s.world.broken.insert(c.second);
    }
    s.play(103, 104, first);
    ASSERT_EQ(s.ladder.incidents().size(), 2U);
    const Incident& second = s.ladder.incidents()[1];
    EXPECT_EQ(second.diagnosis.cause, c.unit_second ? &unit_change() : &contract_fault());
    EXPECT_EQ(second.step, Step::kAwaitReadmit) << step_name(second.step);
    ASSERT_EQ(s.world.shut.size(), 2U);
    EXPECT_TRUE(s.world.shut[1].is(c.second.first, c.second.second));
  }
}

TEST(Ladder, AFaultThatGrowsWhileItsIncidentIsOpenIsShutOut) {
  for (const bool denied : {false, true}) {
    SCOPED_TRACE(denied);
    Scene s(23);
    if (denied) s.world.denied = {"source.quarantine"};
    s.play(100, 102, {});
    s.world.broken = {{"app", "s1"}};
    for (const double share : {0.1, 0.3}) {
      s.world.broken_share = share;
      s.play(share < 0.2 ? 102 : 103, share < 0.2 ? 103 : 104, {});
      ASSERT_EQ(s.ladder.incidents().size(), 1U);
      EXPECT_EQ(s.ladder.incidents()[0].step, Step::kAwaitQuiet);
      EXPECT_FALSE(s.did("source.quarantine")) << share;
    }
    s.ladder.restore(fixture::read_back(s.ladder.state()));
    s.world.broken_share = 1;
    s.play(104, 106, {});
    ASSERT_EQ(s.ladder.incidents().size(), 1U);
    const Incident& i = s.ladder.incidents()[0];
    EXPECT_EQ(i.step, denied ? Step::kAwaitQuiet : Step::kAwaitReadmit) << step_name(i.step);
    EXPECT_EQ(s.world.op_ids["source.quarantine"].size(), 1U) << "a no is not asked again";
    EXPECT_EQ(s.world.shut.size(), denied ? 0U : 1U);
  }
}

TEST(Ladder, FewBadRowsOfASecondSourceHaveAnIncidentOfTheirOwn) {
  Scene s(23);
  s.play(100, 102, {});
  s.world.broken_share = 0.1;
  s.world.broken = {{"app", "s1"}};
  s.play(102, 103, {});
  s.world.broken.insert({"app", "s2"});
  s.play(103, 104, {});
  ASSERT_EQ(s.ladder.incidents().size(), 2U);
  EXPECT_EQ(s.ladder.incidents()[0].diagnosis.source, "s1");
  EXPECT_EQ(s.ladder.incidents()[1].diagnosis.source, "s2");
  // The one that grows is shut out, and only that one.
  s.world.broken = {{"app", "s2"}};
  s.world.broken_share = 1;
  s.play(104, 105, {});
  ASSERT_EQ(s.world.shut.size(), 1U);
  EXPECT_TRUE(s.world.shut[0].is("app", "s2"));
}

TEST(Ladder, ThatAQuarantineIsOverIsVerifiedByLaterRows) {
  const auto letting_in = [](Scene& s, int day) {
    s.world.broken.clear();
    s.world.day(day, {}, s.watch, s.ladder,
                {{"source-readmit", "s1", day * kDay, "clean", "a1", "app"}});
  };
  const auto shut_out = [](Scene& s) {
    s.play(100, 102, {});
    s.world.broken = {{"app", "s1"}};
    s.play(102, 103, {});
    ASSERT_EQ(s.ladder.incidents()[0].step, Step::kAwaitReadmit);
  };
  Scene well(23);
  shut_out(well);
  letting_in(well, 103);
  EXPECT_EQ(well.ladder.incidents()[0].step, Step::kDone);
  EXPECT_GT(well.ladder.incidents()[0].recovered_at, 103 * kDay) << "by rows since";

  Scene back(23);  // five clean rows, and then as before
  shut_out(back);
  back.world.day(103, {}, back.watch, back.ladder,
                 {{"source-readmit", "s1", 103 * kDay, "clean", "a1", "app"}});
  ASSERT_EQ(back.ladder.incidents().size(), 1U) << "it is the same fault";
  EXPECT_EQ(back.ladder.incidents()[0].step, Step::kAwaitReadmit);
  EXPECT_EQ(back.world.op_ids["source.quarantine"],
            (std::set<std::string>{"incident-0001/source.quarantine/1",
                                   "incident-0001/source.quarantine/2"}));

  Scene quiet(23);  // nothing comes of it any more
  shut_out(quiet);
  quiet.world.silent = {"app", "s1"};
  letting_in(quiet, 103);
  EXPECT_EQ(quiet.ladder.incidents()[0].step, Step::kAwaitQuiet);
  quiet.play(104, 112, {});
  EXPECT_EQ(quiet.ladder.incidents()[0].step, Step::kDone);
  EXPECT_EQ(quiet.ladder.incidents()[0].recovered_at, 0);
  EXPECT_TRUE(quiet.ladder.incidents()[0].unverified);
}

TEST(Ladder, AShiftThatBecomesAnotherWhileItsRepairWaitsIsAskedAboutAnew) {
  Scene s(24);
  s.world.approval_after = 1000 * kDay;
  s.play(100, 103, {});
  s.play(103, 106, {.shift_hours = 5});
  ASSERT_EQ(s.ladder.incidents()[0].step, Step::kProposeRepair);
  s.play(106, 107, {.shift_hours = 8});
  EXPECT_EQ(s.ladder.incidents()[0].diagnosis.lag_hours, 8);
  EXPECT_TRUE(s.did("incident.lapse"));
  EXPECT_EQ(s.world.op_ids["transform.propose"],
            (std::set<std::string>{"incident-0001/transform.propose/1",
                                   "incident-0001/transform.propose/2"}));
}

TEST(Ladder, AYesToARepairWaitsWhileTheRowsDoNotAgreeAboutTheClock) {
  Scene s(24);
  s.world.approval_after = 1000 * kDay;
  s.play(100, 103, {});
  s.play(103, 106, {.shift_hours = 5});
  ASSERT_EQ(s.ladder.incidents()[0].step, Step::kProposeRepair);
  // Half of the newest rows are right again when the yes comes.
  std::vector<plane::Record> records;
  s.world.stream.day(106, {.shift_hours = 5}, records);
  std::size_t requests = 0;
  const auto asked = [&] {
    return std::count(s.world.asked.begin(), s.world.asked.end(), "transform.propose");
  };
  const auto before = asked();
  s.world.approval_after = 0;
  for (auto& record : records) {
    if (auto* request = std::get_if<plane::RequestRecord>(&record);
        request != nullptr && requests++ % 2 == 0)
      request->rows[0].fields[0].i -= 5 * kHour;
    watch::Output out;
    s.watch.observe(record, out);
    if (requests < 400) continue;
    const auto* tick = std::get_if<plane::TickRecord>(&record);
    if (tick != nullptr && tick->event_time > s.ladder.last_tick())
      (void)s.ladder.on_tick(tick->event_time, {}, {}, s.watch, s.world);
  }
  EXPECT_EQ(asked(), before);
  EXPECT_EQ(s.ladder.incidents()[0].step, Step::kProposeRepair);
  s.play(107, 108, {.shift_hours = 5});
  EXPECT_TRUE(s.did("transform.propose")) << "they agree again";
}

TEST(Ladder, TimeShiftSwapsProposesARepairAndNeverRetrains) {
  Scene s(24);
  s.play(100, 103, {});
  s.play(103, 110, {.shift_hours = 5});
  ASSERT_EQ(s.ladder.incidents().size(), 1U);
  const Incident& i = s.ladder.incidents()[0];
  EXPECT_EQ(i.diagnosis.cause, &time_shift());
  EXPECT_EQ(i.step, Step::kDone) << step_name(i.step);
  EXPECT_TRUE(s.did("slot.swap"));
  EXPECT_TRUE(s.did("slot.swap/back"));
  EXPECT_FALSE(s.did("retrain"));
  EXPECT_EQ(s.world.attributes("transform.propose").string_or("expression"),
            "at - duration(\"5h\")");
  EXPECT_EQ(i.responded_at, 105 * kDay);
}

TEST(Ladder, ARefusedRepairLeadsToARetrain) {
  Scene s(25);
  s.world.denied = {"transform.propose"};
  s.play(100, 103, {});
  s.play(103, 112, {.shift_hours = 5});
  ASSERT_FALSE(s.ladder.incidents().empty());
  EXPECT_TRUE(s.ladder.incidents()[0].repair_refused);
  const auto at = [&](std::string_view op) {
    return std::find_if(s.world.applied.begin(), s.world.applied.end(),
                        [&](const auto& a) { return a.find(op) != a.npos; });
  };
  ASSERT_NE(at("retrain.start"), s.world.applied.end());
  EXPECT_LT(at("transform.propose"), at("retrain.start"));
}

TEST(Ladder, ARetrainGoesByThePolicyThatWasAppliedLast) {
  Scene s(26);
  s.play(100, 103, {});
  s.ladder.bound_retrain(3000);
  s.play(103, 108, {.inverted = true});
  EXPECT_EQ(s.world.last_of<StartRetrain>().rows, 3000);
}

TEST(Ladder, ConceptShiftRetrainsOnRowsSinceTheChangeAndPromotesAfterApproval) {
  Scene s(26);
  s.world.approval_after = 6 * kHour;
  s.play(100, 103, {});
  s.play(103, 112, {.inverted = true});
  ASSERT_EQ(s.ladder.incidents().size(), 1U);
  const Incident& i = s.ladder.incidents()[0];
  EXPECT_EQ(i.diagnosis.cause, &concept_shift());
  EXPECT_EQ(i.step, Step::kDone) << step_name(i.step);
  EXPECT_EQ(s.world.attributes("retrain.start").int_or("from") / kDay, 103);
  EXPECT_EQ(s.world.attributes("release.promote").string_or("bundle"), sha256("retrained").str());
  EXPECT_EQ(s.world.attributes("postmortem.write").string_or("addition_path"), "gates[]");
  EXPECT_EQ(s.world.attributes("postmortem.write").string_or("addition_file"),
            "evaluations/trips.yaml");
}

TEST(Ladder, ARetrainThatGaveNothingSaysWhy) {
  for (const bool by_gates : {true, false}) {
    Scene s(26);
    if (by_gates) {
      s.world.failed_gates = {"retrain-beats-base", "retrain-holds-for-other-labels"};
    } else {
      s.world.failed["retrain.start"] = "the commit is not in the repository (applied-missing)";
    }
    s.play(100, 103, {});
    s.play(103, 109, {.inverted = true});
    ASSERT_TRUE(s.did("retrain.start"));
    const std::string why =
        by_gates ? "no candidate passed its gates: `retrain-beats-base`, "
                   "`retrain-holds-for-other-labels` failed"
                 : "there is no candidate: the commit is not in the repository (applied-missing)";
    EXPECT_EQ(s.world.last["incident.escalate"].reason, "look at the retrain: " + why);
    const auto& timeline = s.ladder.incidents()[0].timeline;
    EXPECT_TRUE(std::any_of(timeline.begin(), timeline.end(), [&](const TimelineEntry& entry) {
      return entry.what == why + ": what serves stays; a person decides";
    }));
  }
}

TEST(Ladder, ACandidateThatCannotBeTriedIsAPersonsToDecide) {
  Scene s(26);
  s.world.worker_scores = true;
  s.play(100, 103, {});
  s.play(103, 118, {.inverted = true});
  ASSERT_TRUE(s.did("retrain.start"));
  EXPECT_FALSE(s.did("release.promote"));
  const std::string& asked = s.world.last["incident.escalate"].reason;
  EXPECT_NE(asked.find("no newer labelled row was scored by the candidate"), std::string::npos)
      << asked;
  EXPECT_NE(asked.find("--bundle " + sha256("retrained").str()), std::string::npos) << asked;
}

TEST(Ladder, WhatARetrainWasNotTaughtIsInItsIncident) {
  Scene s(26);
  s.world.left_out = {{"lost", 40}, {"stolen", 2}};
  s.play(100, 103, {});
  s.play(103, 109, {.inverted = true});
  ASSERT_TRUE(s.did("retrain.start"));
  const auto& timeline = s.ladder.incidents()[0].timeline;
  EXPECT_TRUE(std::any_of(timeline.begin(), timeline.end(), [](const TimelineEntry& entry) {
    return entry.what ==
           "the retrain: it was not taught 42 labelled rows of classes that the model does not "
           "have: `lost` (40), `stolen` (2)";
  }));
}

/// The data plane leaves the primary in the morning of `day`.
void fail_over(Scene& s, int day) {
  watch::Route route = s.world.known.back();
  ++route.version;
  route.primary = sha256("standby");
  s.world.known.push_back(route);
  s.watch.register_route(route);
  s.world.day(day, {}, s.watch, s.ladder,
              {{"fail-over", sha256("primary").str(), day * kDay, "5 of 5 requests failed",
                fmt::format("f{}", day)}});
}

TEST(Ladder, AFailOverIsVerifiedByLaterRowsAndSoIsItsEnd) {
  // The standby knows no hours: what was left is better on the rows that both answer.
  Scene worse(26);
  worse.play(100, 103, {});
  fail_over(worse, 103);
  ASSERT_EQ(worse.ladder.incidents().size(), 1U);
  EXPECT_EQ(worse.ladder.incidents()[0].diagnosis.cause, &recover::fail_over());
  EXPECT_EQ(worse.ladder.incidents()[0].step, Step::kVerifyAct);
  worse.ladder.restore(fixture::read_back(worse.ladder.state()));
  worse.play(104, 109, {});
  EXPECT_TRUE(worse.did("slot.swap/back"));
  EXPECT_EQ(worse.ladder.incidents()[0].step, Step::kDone);
  EXPECT_GT(worse.ladder.incidents()[0].recovered_at, worse.world.last["slot.swap"].event_time);

  // Somebody releases another bundle: a day of its rows tells, and a second fail-over says no.
  Scene ended(26);
  ended.play(100, 103, {});
  fail_over(ended, 103);
  ended.world.gone = {"incident-0001/swap/1"};
  watch::Route back = ended.world.known.back();
  ++back.version;
  back.primary = sha256("primary");
  ended.world.known.push_back(back);
  ended.watch.register_route(back);
  ended.world.day(104, {}, ended.watch, ended.ladder);
  ASSERT_EQ(ended.ladder.incidents().size(), 1U);
  EXPECT_EQ(ended.ladder.incidents()[0].step, Step::kVerifyAct) << "rows of a day are wanted";
  fail_over(ended, 105);
  ASSERT_EQ(ended.ladder.incidents().size(), 1U);
  EXPECT_EQ(ended.ladder.incidents()[0].step, Step::kVerifyAct);
  EXPECT_EQ(ended.ladder.incidents()[0].swaps, 2);
  ended.world.gone.insert("incident-0001/swap/2");
  ++back.version;
  ++back.version;
  ended.world.known.push_back(back);
  ended.watch.register_route(back);
  ended.play(106, 109, {});
  EXPECT_EQ(ended.ladder.incidents()[0].step, Step::kDone);
  EXPECT_NE(ended.ladder.incidents()[0].recovered_at, 0);
}

TEST(Ladder, PriorShiftRecalibratesByHalf) {
  Scene s(27);
  s.play(100, 113, {.prior = -1.2});
  ASSERT_EQ(s.ladder.incidents().size(), 1U);
  EXPECT_EQ(s.ladder.incidents()[0].step, Step::kDone);
  EXPECT_GT(s.ladder.incidents()[0].recovered_at, s.ladder.incidents()[0].responded_at + kDay)
      << "measured on labels that came after";
  EXPECT_NEAR(s.world.last_of<Recalibrate>().offsets[0], -0.6, 0.2);
  EXPECT_FALSE(s.did("retrain"));
}

TEST(Ladder, DeniedActionsNeverLoop) {
  for (const char* type :
       {"incident.open", "source.quarantine", "slot.swap", "retrain.start", "release.promote",
        "release.recalibrate", "postmortem.write", "incident.close"}) {
    Scene s(28);
    s.world.denied = {type};
    s.play(100, 102, {});
    s.play(102, 104, {.distance_ratio = 1.609344, .shift_hours = 5});
    s.play(104, 112, {.inverted = true});
    std::set<std::string> once(s.world.applied.begin(), s.world.applied.end());
    EXPECT_EQ(once.size(), s.world.applied.size()) << type;
  }
}

/// Every set of refusals, for the two causes that have a choice: a refused act is never done, a
/// retrain for a time shift needs the repair refused first, nothing is promoted that was not
/// retrained, and the ladder always gets to its end.
TEST(Ladder, WhateverIsRefusedTheOrderHolds) {
  const std::vector<std::string> types{"slot.swap", "transform.propose", "retrain.start",
                                       "release.promote"};
  for (const bool shift : {true, false}) {
    for (unsigned mask = 0; mask < 1U << types.size(); ++mask) {
      SCOPED_TRACE(fmt::format("{} refused set {}", shift ? "time shift" : "concept shift", mask));
      Scene s(34);
      for (std::size_t i = 0; i < types.size(); ++i) {
        if ((mask >> i & 1U) != 0) s.world.denied.insert(types[i]);
      }
      s.world.approval_after = kDay;
      s.play(100, 102, {});
      s.play(102, 112, shift ? Stream::Fault{.shift_hours = 5} : Stream::Fault{.inverted = true});
      ASSERT_FALSE(s.ladder.incidents().empty());
      const auto& applied = s.world.applied;
      const auto first = [&](const std::string& op) {
        return std::find_if(applied.begin(), applied.end(),
                            [&](const std::string& a) { return a.find(op) != a.npos; });
      };
      for (const std::string& type : s.world.denied) {
        for (const std::string& a : applied) {
          if (a.find(type) == a.npos) continue;
          EXPECT_TRUE(a.ends_with(" denied")) << a;
        }
      }
      const auto retrain = first("incident-0001/retrain.start");
      if (shift && retrain != applied.end()) {
        ASSERT_NE(first("incident-0001/transform.propose"), applied.end());
        EXPECT_TRUE(first("incident-0001/transform.propose")->ends_with(" denied"));
        EXPECT_LT(first("incident-0001/transform.propose"), retrain);
      }
      const auto promote = first("incident-0001/release.promote");
      if (promote != applied.end()) {
        EXPECT_LT(retrain, promote);
      }
      const Step step = s.ladder.incidents()[0].step;
      EXPECT_TRUE(step == Step::kDone || step == Step::kAwaitQuiet)
          << step_name(step);  // quiet never comes while it lasts
    }
  }
}

TEST(Ladder, RestartAtAnyTickRepeatsNothing) {
  Scene whole(29);
  whole.play(100, 102, {});
  whole.play(102, 109, {.shift_hours = 5});

  Scene s(29);
  const auto restart = [&] {  // as after kill -9: state of the last tick, the journal read again
                              // from a place before it
    Ladder fresh(options());
    fresh.restore(fixture::read_back(s.ladder.state()));
    EXPECT_EQ(fresh.state(), s.ladder.state());
    Watch again = *Watch::open(Stream::options());
    std::vector<plane::ActRecord> none;
    std::vector<Alert> moves;
    for (watch::Route& route : s.world.routes()) again.register_route(route);
    const std::size_t before = s.world.asked.size();
    for (const auto& record : s.world.journal) {
      watch::Output out;
      again.observe(record, out);
      moves.insert(moves.end(), out.moves.begin(), out.moves.end());
      if (const auto* tick = std::get_if<plane::TickRecord>(&record)) {
        EXPECT_TRUE(fresh.on_tick(tick->event_time, moves, none, again, s.world).empty());
        moves.clear();
      }
    }
    EXPECT_EQ(s.world.asked.size(), before);  // ticks that were done ask for nothing
    EXPECT_EQ(again.save(), s.watch.save());
    s.ladder = std::move(fresh);
    s.watch = std::move(again);
  };
  for (int day = 100; day < 109; ++day) {
    s.play(day, day + 1, {.shift_hours = day < 102 ? 0 : 5});
    restart();
  }
  EXPECT_EQ(s.world.applied, whole.world.applied);
}

TEST(Ladder, AnActWhoseOutcomeWasLostIsAskedForAgainUnderTheSameId) {
  Scene s(30);
  s.play(100, 102, {});
  const LadderState before = s.ladder.state();
  s.play(102, 103, {.distance_ratio = 1.609344});
  const auto applied = s.world.applied;
  Ladder fresh(options());  // the state of the day before, as if nothing after it had been saved
  fresh.restore(fixture::read_back(before));
  Watch again = *Watch::open(Stream::options());
  again.register_route(s.world.known[0]);
  std::vector<Alert> moves;
  for (const auto& record : s.world.journal) {
    watch::Output out;
    again.observe(record, out);
    moves.insert(moves.end(), out.moves.begin(), out.moves.end());
    if (const auto* tick = std::get_if<plane::TickRecord>(&record)) {
      (void)fresh.on_tick(tick->event_time, moves, {}, again, s.world);
      moves.clear();
    }
  }
  EXPECT_EQ(s.world.applied, applied);
  EXPECT_EQ(fresh.state(), s.ladder.state());
}

TEST(Ladder, TheSameMetricOpensNoIncidentDuringItsCoolDown) {
  Ladder::Options slow = options();
  slow.monitor.cool_down = 10 * kDay;
  World world(33);
  Watch watch = *Watch::open(Stream::options());
  watch.register_route(world.known[0]);
  Ladder ladder(slow);
  // Nothing is repaired: what a repair in force says of its own clock would not wait.
  world.denied = {"transform.propose", "slot.swap", "retrain.start"};
  for (int day = 100; day < 110; ++day)
    world.day(day, {.shift_hours = day < 103 || day >= 106 ? 0 : 5}, watch, ladder);
  ASSERT_EQ(ladder.incidents().size(), 1U);
  ASSERT_EQ(ladder.incidents()[0].step, Step::kDone);
  const Micros until = ladder.incidents()[0].recovered_at + slow.monitor.cool_down;
  for (int day = 110; day < 122; ++day) world.day(day, {.shift_hours = 9}, watch, ladder);
  ASSERT_EQ(ladder.incidents().size(), 2U);
  EXPECT_GE(ladder.incidents()[1].confirmed_at, until);
  EXPECT_LT(ladder.incidents()[1].confirmed_at, until + kDay);
}

TEST(Ladder, ARepairThatOutlivesItsFaultIsTakenBackWithinRows) {
  Scene s(24);
  s.play(100, 103, {});
  s.play(103, 110, {.shift_hours = 5});
  ASSERT_EQ(s.ladder.acts().size(), 1U);
  s.play(110, 111, {});
  EXPECT_TRUE(s.ladder.acts().empty());
  ASSERT_TRUE(s.did("transform.withdraw"));
  const Incident& end = s.ladder.incidents().back();
  EXPECT_EQ(end.diagnosis.cause, &outlived_repair());
  EXPECT_LE(end.rows_responded - 10 * Stream::kRows, 700) << "200 rows and the next tick";
  s.play(111, 116, {});
  EXPECT_EQ(s.ladder.incidents().back().step, Step::kDone);
  EXPECT_NE(s.ladder.incidents().back().recovered_at, 0);
}

TEST(Ladder, AProposalLapsesWhenItsShiftIsOver) {
  Scene s(24);
  s.play(100, 103, {});
  s.play(103, 105, {.shift_hours = 5});
  s.play(105, 112, {});
  ASSERT_EQ(s.ladder.incidents().size(), 1U);
  EXPECT_FALSE(s.did("incident-0001/transform.propose"));
  EXPECT_TRUE(s.did("incident.lapse"));
  EXPECT_TRUE(s.ladder.acts().empty()) << "a swap is undone with it";
  EXPECT_EQ(s.ladder.incidents()[0].step, Step::kDone);
}

TEST(Ladder, ASecondShiftSupersedesTheFirstByWhatIsTrueOfTheRows) {
  Scene s(24);
  s.play(100, 103, {});
  s.play(103, 109, {.shift_hours = 5});
  s.play(109, 114, {.shift_hours = 8});
  ASSERT_EQ(s.ladder.acts().size(), 1U);
  EXPECT_EQ(s.ladder.acts()[0].as<TransformInForce>()->lag_hours, 8);
  EXPECT_EQ(s.world.attributes("transform.propose").string_or("expression"),
            "at - duration(\"8h\")");
  s.play(114, 116,
         {.shift_hours = -3});  // neither explains it; without one the rows are nearer to the truth
  EXPECT_TRUE(s.ladder.acts().empty());
}

TEST(Ladder, ARecalibrationIsTakenBackWhenTheBaseRateReturns) {
  Scene s(27);
  s.play(100, 112, {.prior = -1.2});
  ASSERT_TRUE(s.did("release.recalibrate"));
  s.play(112, 118, {});
  EXPECT_TRUE(s.did("recalibration.withdraw"));
  EXPECT_TRUE(s.ladder.acts().empty());
}

TEST(Ladder, LabelsThatAreTurnedOverTeachNothing) {
  Scene s(26);
  s.play(100, 103, {});
  s.play(103, 106, {.wrong_labels = true});
  s.play(106, 114, {});
  ASSERT_FALSE(s.ladder.incidents().empty());
  EXPECT_EQ(s.ladder.incidents()[0].diagnosis.cause, &label_fault());
  EXPECT_EQ(s.ladder.incidents()[0].step, Step::kDone);
  EXPECT_TRUE(s.did("incident.escalate")) << "a person is asked";
  EXPECT_EQ(s.ladder.incidents()[0].why, "the labels fit the scores again");
  EXPECT_TRUE(s.did("incident.lapse")) << "the question is taken back";
  for (const char* act : {"slot.swap", "retrain", "recalibrate"}) EXPECT_FALSE(s.did(act)) << act;
}

/// The days that the intercept is averaged over have turned labels among them: they are none of
/// its.
TEST(Ladder, LabelsThatWereTurnedOverMoveNoBaseRate) {
  for (const auto& [seed, days] : {std::pair{21, 2}, {24, 4}, {29, 2}}) {
    SCOPED_TRACE(seed);
    Scene s(static_cast<unsigned>(seed));
    s.play(100, 103, {});
    s.play(103, 103 + days, {.wrong_labels = true});
    s.play(103 + days, 114, {});
    ASSERT_FALSE(s.ladder.incidents().empty());
    for (const Incident& incident : s.ladder.incidents())
      EXPECT_EQ(incident.diagnosis.cause, &label_fault()) << incident.diagnosis.reason;
    EXPECT_FALSE(s.did("recalibrate"));
  }
}

TEST(Ladder, APersonWhoSaysThatTurnedLabelsAreRightEndsTheWait) {
  Scene s(26);
  s.world.labels_are_right = true;
  s.play(100, 103, {});
  s.play(103, 108, {.wrong_labels = true});
  ASSERT_FALSE(s.ladder.incidents().empty());
  EXPECT_EQ(s.ladder.incidents()[0].diagnosis.cause, &concept_shift());
  EXPECT_TRUE(s.did("retrain.start")) << "within days, not after two weeks";
}

TEST(Ladder, APersonWhoSaysThatLabelsAreWrongIsBelieved) {
  Scene s(26);
  s.world.denied = {"label.accept"};
  s.play(100, 103, {});
  s.play(103, 122, {.wrong_labels = true});
  ASSERT_FALSE(s.ladder.incidents().empty());
  EXPECT_EQ(s.ladder.incidents()[0].step, Step::kDone) << step_name(s.ladder.incidents()[0].step);
  EXPECT_TRUE(s.ladder.incidents()[0].stands);
  EXPECT_FALSE(s.did("retrain.start"));
}

TEST(Ladder, AnActForAllSaysWhenOneAccountAloneIsItsReason) {
  for (const bool alone : {true, false}) {
    Scene s(27);
    s.world.others = std::make_unique<Stream>(78U);
    (void)s.world.others->baseline();
    if (!alone) s.world.others_fault = {.prior = -2.4};
    s.play(100, 110, {.prior = -2.4});
    ASSERT_TRUE(s.did("release.recalibrate"));
    EXPECT_EQ(s.world.attributes("release.recalibrate").string_or("only_account", "none"),
              alone ? "app" : "");
  }
}

/// Four in ten labels are of `two`, which calls a share of them true that is not; `one` sends the
/// others.
auto labels_of_two(double lies) {
  return [lies](const plane::LabelRecord& label) {
    plane::LabelRecord said = label;
    const bool of_two = watch::fixture::is_of(0.4, label.row_id);
    said.account = of_two ? "two" : "one";
    if (of_two && watch::fixture::is_of(lies, "lie" + label.row_id)) said.label = true;
    return std::vector<plane::LabelRecord>{said};
  };
}

TEST(Ladder, WhatTheLabelsOfOneAccountAloneMoveIsAskedOfAPerson) {
  // The base rate moves by the labels of `two` alone.
  Scene liar(27);
  liar.world.labelled_by = labels_of_two(0.5);
  liar.play(100, 112, {});
  ASSERT_TRUE(liar.did("release.recalibrate"));
  const auto asked = liar.world.attributes("release.recalibrate");
  EXPECT_EQ(asked.string_or("only_label_account"), "two");
  EXPECT_TRUE(asked.bool_or("labels_disputed")) << "the two contradict each other";
  const auto conflict =
      std::find_if(liar.ladder.incidents().begin(), liar.ladder.incidents().end(),
                   [](const Incident& i) { return i.diagnosis.cause == &label_conflict(); });
  ASSERT_NE(conflict, liar.ladder.incidents().end());
  EXPECT_TRUE(liar.did(conflict->id + "/incident.escalate"));
  EXPECT_EQ(conflict->step, Step::kAwaitQuiet);
  // The world moved: both say so.
  Scene world(27);
  world.world.labelled_by = labels_of_two(0);
  world.play(100, 110, {.prior = -2.4});
  ASSERT_TRUE(world.did("release.recalibrate"));
  const auto free = world.world.attributes("release.recalibrate");
  EXPECT_EQ(free.string_or("only_label_account", "none"), "");
  EXPECT_FALSE(free.bool_or("labels_disputed", true));
}

TEST(Ladder, SwapRetrainAndPromotionSayWhoseLabelsTheyRestOn) {
  for (const bool alone : {true, false}) {
    SCOPED_TRACE(alone);
    Scene s(26);
    // Who sends a few labels now and then is there, and shows nothing.
    s.world.labelled_by = [alone](const plane::LabelRecord& label) {
      plane::LabelRecord said = label;
      said.account = watch::fixture::is_of(alone ? 0.1 : 0.4, label.row_id) ? "two" : "one";
      return std::vector<plane::LabelRecord>{said};
    };
    s.play(100, 103, {});
    s.play(103, 118, {.inverted = true});
    for (const char* act : {"slot.swap", "retrain.start", "release.promote"}) {
      ASSERT_TRUE(s.world.last.contains(act)) << act;
      EXPECT_EQ(s.world.attributes(act).string_or("only_label_account", "none"), alone ? "one" : "")
          << act;
      EXPECT_FALSE(s.world.attributes(act).bool_or("labels_disputed", true)) << act;
    }
  }
}

TEST(Ladder, LabelsThatNobodyVouchedForSwapNothing) {
  Scene s(26);
  s.play(100, 103, {});
  s.play(103, 122, {.wrong_labels = true});
  EXPECT_TRUE(s.did("retrain.start")) << "after two weeks without an answer";
  EXPECT_FALSE(s.did("slot.swap"));
}

TEST(Ladder, WhatOneAccountAloneShowsIsEverybodysOnceOthersShowIt) {
  Scene s(26);
  s.play(100, 103, {});
  // Another account uses the service too, in a world of its own that does not change.
  s.world.others = std::make_unique<Stream>(77U);
  (void)s.world.others->baseline();
  s.world.approval_after = 1000 * kDay;
  s.play(103, 105, {});
  s.play(105, 108, {.shift_hours = 5});
  ASSERT_FALSE(s.ladder.incidents().empty());
  EXPECT_EQ(s.ladder.incidents()[0].diagnosis.only_account, "app");
  // It goes through its state, and is everybody's when the others show it.
  s.ladder.restore(fixture::read_back(s.ladder.state()));
  EXPECT_EQ(s.ladder.incidents()[0].diagnosis.only_account, "app");
  s.world.others_fault = {.shift_hours = 5};
  s.play(108, 111, {.shift_hours = 5});
  EXPECT_EQ(s.ladder.incidents()[0].diagnosis.only_account, "");
}

TEST(Ladder, ARetrainThatNobodyAnswersAboutHasADeadline) {
  Scene s(26);
  s.world.unanswered = {"retrain.start", "slot.swap"};
  s.play(100, 103, {});
  s.play(103, 118, {.inverted = true});
  ASSERT_FALSE(s.ladder.incidents().empty());
  EXPECT_NE(s.ladder.incidents()[0].step, Step::kRetrain);
  EXPECT_EQ(s.ladder.incidents()[0].why, "nobody answered in time");
}

TEST(Ladder, ARetrainOfSomethingThatPassedIsNotReleased) {
  Scene s(26);
  s.play(100, 103, {});
  s.play(103, 106, {.inverted = true});
  s.play(106, 116, {});
  EXPECT_FALSE(s.did("release.promote"));
  EXPECT_TRUE(s.ladder.acts().empty());
  for (const Incident& i : s.ladder.incidents())
    EXPECT_FALSE(i.open()) << i.id << " " << step_name(i.step);
}

TEST(Ladder, NobodyAnswersAndTheNextBestStepFollows) {
  Scene s(25);
  s.world.approval_after = 1000 * kDay;
  s.play(100, 103, {});
  s.play(103, 114, {.shift_hours = 5});
  EXPECT_TRUE(s.did("incident.escalate"));
  EXPECT_TRUE(s.did("retrain.start"));
  EXPECT_TRUE(s.ladder.incidents()[0].repair_refused);
}

TEST(Ladder, WhatDoesNotGoAwayIsClosedAsItStands) {
  Scene s(25);
  s.world.denied = {"transform.propose", "retrain.start", "slot.swap"};
  s.play(100, 103, {});
  s.play(103, 124, {.shift_hours = 5});
  ASSERT_FALSE(s.ladder.incidents().empty());
  const Incident& i = s.ladder.incidents()[0];
  EXPECT_EQ(i.step, Step::kDone);
  EXPECT_TRUE(i.stands);
  EXPECT_EQ(i.recovered_at, 0);
  EXPECT_TRUE(s.world.last["incident.close"].reason.starts_with("not recovered"))
      << s.world.last["incident.close"].reason;
}

TEST(Ladder, ARuleThatSawATimeShiftFirstIsGivenItsCauseLater) {
  Ladder::Options with_rule = options();
  with_rule.monitor.rules = {
      {"clock-of-at",
       {"at - event_time > duration(\"1h\") || event_time - at > duration(\"1h\")", {}},
       0.01,
       500}};
  World world(32);
  Watch watch = *Watch::open({with_rule.monitor, with_rule.contract, with_rule.fields});
  watch.register_route(world.known[0]);
  Ladder ladder(with_rule);
  for (int day = 100; day < 110; ++day)
    world.day(day, {.shift_hours = day < 103 ? 0 : 5}, watch, ladder);
  ASSERT_EQ(ladder.incidents().size(), 1U);
  EXPECT_EQ(ladder.incidents()[0].keys.front(), "rule/clock-of-at");
  EXPECT_LE(ladder.incidents()[0].rows_confirmed - 3 * Stream::kRows, 1500);
  EXPECT_EQ(ladder.incidents()[0].diagnosis.cause, &time_shift());
  EXPECT_EQ(ladder.incidents()[0].step, Step::kDone) << step_name(ladder.incidents()[0].step);
}

}  // namespace
}  // namespace heddle::recover
