// What people and others do to what the ladder works on, and what it makes of that.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "doc/json.hpp"
#include "recover/cause.hpp"
#include "recover/ladder_fixture.hpp"

namespace heddle::recover {
namespace {

using fixture::options;
using fixture::Scene;
using watch::fixture::Stream;

/// What `ann` does by hand, in this order, once each.
ByHand by_hand(ByHand::Kind kind, const Ladder& ladder, std::string incident = {}) {
  ByHand act;
  act.kind = kind;
  act.number = ladder.by_hand() + 1;
  act.after = ladder.last_tick();
  act.by = "ann";
  act.text = "because";
  act.entry = 7;
  act.incident = std::move(incident);
  return act;
}

std::string timeline(const Incident& incident) {
  std::string out;
  for (const TimelineEntry& each : incident.timeline) out += each.what + "\n";
  return out;
}

TEST(ByHand, AReleaseByHandEndsTheWaitForCleanRows) {
  Scene s(22);
  s.play(100, 103, {});
  s.play(103, 104, {.distance_ratio = 1.609344});
  ASSERT_EQ(s.ladder.incidents()[0].step, Step::kAwaitReadmit);
  s.world.shut.clear();
  ByHand release = by_hand(ByHand::Kind::kRelease, s.ladder);
  release.source = "s1";
  release.account = "app";
  s.ladder.take(release);
  s.ladder.take(release);  // read again after a restart
  s.play(104, 106, {});
  const Incident& i = s.ladder.incidents()[0];
  EXPECT_EQ(i.step, Step::kDone) << timeline(i);
  EXPECT_NE(i.recovered_at, 0);
  EXPECT_FALSE(s.did("source.release"));
  const std::string said = timeline(i);
  const std::string line = "source `s1` of account `app` let in by `ann`: because";
  EXPECT_NE(said.find(line), said.npos) << said;
  EXPECT_EQ(said.find(line), said.rfind(line)) << "once";
  EXPECT_NE(said.find("is not under quarantine any more"), said.npos) << said;
}

TEST(ByHand, ASourceThatSomebodyElseLetInIsNotAskedForAgain) {
  Scene s(22);
  s.world.overtaken = {"source.release"};
  s.play(100, 103, {});
  s.play(103, 104, {.distance_ratio = 1.609344});
  s.world.day(104, {}, s.watch, s.ladder,
              {{"source-readmit", "s1", 104 * kDay, "clean", "a3", "app"}});
  EXPECT_EQ(s.ladder.incidents()[0].step, Step::kDone);
  EXPECT_EQ(std::count(s.world.asked.begin(), s.world.asked.end(), "source.release"), 1);
  EXPECT_NE(
      timeline(s.ladder.incidents()[0]).find("source.release overtaken: somebody else did it"),
      std::string::npos);
}

TEST(ByHand, ASourceThatIsShutOutAlreadyIsWaitedFor) {
  Scene s(22);
  s.world.overtaken = {"source.quarantine"};
  s.world.shut = {{"s1", "", 0, "", "ann", "the feed is broken"}};
  s.play(100, 103, {});
  s.play(103, 108, {.distance_ratio = 1.609344});
  ASSERT_FALSE(s.ladder.incidents().empty());
  EXPECT_EQ(s.ladder.incidents()[0].step, Step::kAwaitReadmit);
  EXPECT_EQ(std::count(s.world.asked.begin(), s.world.asked.end(), "source.quarantine"), 1);
  EXPECT_TRUE(s.did("incident.escalate"));
  const std::string next = s.world.attributes("incident.escalate").string_or("next");
  EXPECT_EQ(
      next,
      "`ann` shut out source `s1` by hand: `heddle quarantine release trips s1 --reason TEXT` "
      "lets it in");
}

TEST(ByHand, WhatAPersonShutOutIsLetInByAPerson) {
  Scene s(22);
  s.world.shut = {{"s1", "", 0, "app", "ann", "the feed is broken"}};
  s.play(100, 101, {});
  s.play(101, 112, {.held_back = true});
  ASSERT_FALSE(s.ladder.incidents().empty());
  const Incident& i = s.ladder.incidents()[0];
  EXPECT_EQ(i.diagnosis.cause, &costly_quarantine());
  EXPECT_EQ(i.step, Step::kAwaitReadmit);
  EXPECT_FALSE(s.did("source.release")) << "whatever it costs";
  ASSERT_TRUE(s.did("incident.escalate")) << "a person is told at once, and again";
  EXPECT_NE(s.world.last["incident.escalate"].reason.find("--account app"), std::string::npos);
  EXPECT_LE(std::count(s.world.asked.begin(), s.world.asked.end(), "incident.escalate"), 4);
  s.world.shut.clear();
  s.play(112, 115, {});
  EXPECT_EQ(i.step, Step::kDone) << timeline(i);
}

TEST(ByHand, AnOpenedIncidentIsAPersonsAndTakesNoAlertOfOthers) {
  Scene s(22);
  s.play(100, 101, {});
  ByHand open = by_hand(ByHand::Kind::kOpen, s.ladder, s.ladder.next_id());
  s.ladder.take(open);
  ASSERT_EQ(s.ladder.incidents().size(), 1U);
  EXPECT_EQ(s.ladder.incidents()[0].id, "incident-0001");
  EXPECT_EQ(s.ladder.incidents()[0].opened_by, "ann");
  s.play(101, 103, {});
  s.play(103, 104, {.distance_ratio = 1.609344});
  ASSERT_EQ(s.ladder.incidents().size(), 2U) << "what an alert is of gets its own response";
  EXPECT_EQ(s.ladder.incidents()[1].id, "incident-0002");
  EXPECT_TRUE(s.did("incident-0002/source.quarantine"));
  s.play(104, 107, {});
  EXPECT_EQ(s.ladder.incidents()[0].step, Step::kByHand) << "it does not end by itself";
  EXPECT_FALSE(s.did("incident-0001/postmortem.write"));
  EXPECT_TRUE(s.did("incident-0001/incident.escalate")) << "a person is asked";

  // A restart keeps what was taken.
  s.ladder.restore(fixture::read_back(s.ladder.state()));
  EXPECT_EQ(s.ladder.by_hand(), 1U);
  s.ladder.take(by_hand(ByHand::Kind::kClose, s.ladder, "incident-0001"));
  const Incident& i = s.ladder.incidents()[0];
  EXPECT_EQ(i.step, Step::kDone);
  EXPECT_EQ(i.closed_by, "ann");
  EXPECT_EQ(i.recovered_at, 0) << "nobody measured it";
  s.play(107, 108, {});
  EXPECT_TRUE(s.did("incident-0001/postmortem.write"));
  EXPECT_FALSE(s.did("incident-0001/incident.close")) << "a person did";
  const std::string page = s.world.done.empty() ? "" : timeline(i);
  EXPECT_NE(page.find("closed by `ann`: because"), page.npos) << page;
}

TEST(ByHand, AnAcknowledgedIncidentIsNotToldAgain) {
  for (const bool acknowledged : {false, true}) {
    SCOPED_TRACE(acknowledged);
    Scene s(22);
    s.play(100, 103, {});
    s.play(103, 104, {.distance_ratio = 1.609344});
    ASSERT_EQ(s.ladder.incidents()[0].step, Step::kAwaitReadmit);
    if (acknowledged) s.ladder.take(by_hand(ByHand::Kind::kAcknowledge, s.ladder, "incident-0001"));
    s.play(104, 109, {});
    EXPECT_EQ(s.did("incident.escalate"), !acknowledged);
    const std::string said = timeline(s.ladder.incidents()[0]);
    EXPECT_EQ(said.find("`ann` knows of it: correct source") != said.npos, acknowledged) << said;
  }
}

TEST(ByHand, ClosingSaysWhatStaysInForceAndItIsFollowed) {
  Scene s(22);
  s.play(100, 103, {});
  s.play(103, 104, {.distance_ratio = 1.609344});
  ByHand close = by_hand(ByHand::Kind::kClose, s.ladder, "incident-0001");
  close.in_force = {"quarantine of source `s1` of account `app`, until 5 clean rows"};
  close.shut_out = true;
  s.ladder.take(close);
  EXPECT_TRUE(timeline(s.ladder.incidents()[0])
                  .ends_with("closed by `ann`: because; stays in force: quarantine of source `s1` "
                             "of account `app`, until 5 "
                             "clean rows\n"));
  s.play(104, 112, {});
  EXPECT_TRUE(s.ladder.finished().empty()) << "its source is still shut out";
  EXPECT_FALSE(s.did("source.release"));
  s.world.day(112, {}, s.watch, s.ladder,
              {{"source-readmit", "s1", 112 * kDay, "clean", "a3", "app"}});
  EXPECT_TRUE(s.did("incident-0001/source.release"));
  s.play(113, 114, {});
  EXPECT_EQ(s.ladder.finished(), std::vector<std::string>{"incident-0001"});
}

TEST(ByHand, ActsOfAClosedIncidentStayAndAreVerified) {
  Scene s(24);
  s.play(100, 103, {});
  s.play(103, 109, {.shift_hours = 5});
  ASSERT_EQ(s.ladder.acts().size(), 1U);
  EXPECT_EQ(s.ladder.in_force("incident-0001"),
            std::vector<std::string>{"transform `at-shift` of `at`"});
  EXPECT_TRUE(s.ladder.in_force("incident-0002").empty());
}

TEST(Ladder, AnActThatAReleaseReplacedIsForgotten) {
  Scene s(24);
  s.play(100, 103, {});
  s.play(103, 109, {.shift_hours = 5});
  ASSERT_EQ(s.ladder.acts().size(), 1U);
  s.world.gone = {s.ladder.acts()[0].id};
  s.play(109, 110, {.shift_hours = 5});
  EXPECT_TRUE(s.ladder.acts().empty());
  EXPECT_FALSE(s.did("transform.withdraw")) << "it is not there to be taken back";
  EXPECT_NE(timeline(s.ladder.incidents()[0])
                .find("transform `at-shift` of `at` is not in force any more"),
            std::string::npos);
}

/// Each wish of the ladder that somebody else fulfilled or made impossible: it is asked for once,
/// and the step ends.
TEST(Ladder, WhatSomebodyElseDidIsNotAskedForAgain) {
  struct Case {
    const char* type;
    Stream::Fault fault;
    int days;
  };
  const Case cases[] = {{"retrain.start", {.inverted = true}, 6},
                        {"release.promote", {.inverted = true}, 6},
                        {"release.recalibrate", {.prior = -1.2}, 12}};
  for (const Case& each : cases) {
    SCOPED_TRACE(each.type);
    Scene s(27);
    s.world.overtaken = {each.type};
    s.world.approval_after = 6 * kHour;
    s.play(100, 103, {});
    s.play(103, 103 + each.days, each.fault);
    ASSERT_FALSE(s.ladder.incidents().empty());
    const auto times = std::count(s.world.asked.begin(), s.world.asked.end(), each.type);
    EXPECT_GE(times, 1);
    EXPECT_LE(times, static_cast<std::ptrdiff_t>(s.ladder.incidents().size()))
        << "once an incident";
  }
}

TEST(Ladder, ARepairThatSomebodyElseMadeIsVerifiedNotRetrained) {
  Scene s(24);
  s.world.overtaken = {"transform.propose"};
  s.play(100, 103, {});
  s.play(103, 106, {.shift_hours = 5});
  EXPECT_FALSE(s.did("retrain"));
  EXPECT_FALSE(s.ladder.incidents()[0].repair_refused);
  s.play(106, 112, {});  // repaired by others: the rows are right again
  EXPECT_EQ(s.ladder.incidents()[0].step, Step::kDone);
}

TEST(Ladder, OneQuestionIsAskedAboutASwap) {
  Scene s(24);
  s.world.unanswered = {"slot.swap", "transform.propose"};
  s.play(100, 103, {});
  s.play(103, 108, {.shift_hours = 5});
  EXPECT_EQ(s.world.op_ids["slot.swap"], std::set<std::string>{"incident-0001/slot.swap/1"});
  EXPECT_GT(std::count(s.world.asked.begin(), s.world.asked.end(), "slot.swap"), 1)
      << "put again at each tick, so that the answer is followed";
  s.ladder.restore(fixture::read_back(s.ladder.state()));
  // The yes comes: it is done at the next tick.
  s.world.unanswered.erase("slot.swap");
  s.play(108, 109, {.shift_hours = 5});
  EXPECT_TRUE(s.did("incident-0001/slot.swap/1"));
}

TEST(Ladder, AQuestionAboutASwapLapsesWhenTheIncidentGoesOnWithoutIt) {
  Scene s(24);
  s.world.unanswered = {"slot.swap", "transform.propose"};
  s.play(100, 103, {});
  s.play(103, 106, {.shift_hours = 5});
  ASSERT_FALSE(s.world.op_ids["slot.swap"].empty());
  EXPECT_FALSE(s.did("incident.lapse/slot.swap"));
  s.play(106, 110, {});
  EXPECT_TRUE(s.did("incident.lapse/slot.swap"));
  EXPECT_FALSE(s.ladder.incidents()[0].swap_asked);
}

TEST(Ladder, ARetrainThatNobodyAnswersLapses) {
  Scene s(26);
  s.world.unanswered = {"retrain.start", "slot.swap"};
  s.play(100, 103, {});
  s.play(103, 115, {.inverted = true});
  EXPECT_TRUE(s.did("incident.lapse/retrain.start"));
  EXPECT_NE(s.ladder.incidents()[0].step, Step::kRetrain);
}

std::int64_t count(const std::vector<std::string>& all, std::string_view part) {
  return std::count_if(all.begin(), all.end(),
                       [&](const std::string& each) { return each.find(part) != each.npos; });
}

TEST(Ladder, WhatErrorsKeepBackIsTriedSixTimesAndThenAskedOfAPerson) {
  Scene s(22);
  s.world.failing = {"source.quarantine"};
  s.play(100, 103, {});
  s.play(103, 110, {.distance_ratio = 1.609344});
  // Six tries, with pauses of 5 minutes to 21 hours between them, and never again after that.
  EXPECT_EQ(count(s.world.asked, "source.quarantine"), 6);
  EXPECT_EQ(count(s.world.applied, "incident.retry/source.quarantine/1/"), 6);
  EXPECT_EQ(count(s.world.applied, "incident-0001/incident.escalate/quarantine/errors"), 1);
  const auto& last = s.world.last_of<RetryLater>();
  EXPECT_EQ(last.action, "source.quarantine");
  EXPECT_EQ(last.tries, 6);
  EXPECT_EQ(last.error, "the disk is full");
  EXPECT_EQ(last.again, 0);
  const Incident& i = s.ladder.incidents()[0];
  EXPECT_EQ(i.step, Step::kAwaitQuiet) << "as after a refusal";
  EXPECT_TRUE(i.failing.empty());
  std::string timeline;
  for (const TimelineEntry& entry : i.timeline) timeline += entry.what + "\n";
  EXPECT_NE(timeline.find("source.quarantine could not be carried out: the disk is full; it is "
                          "tried again at 1970-04-14T"),
            timeline.npos)
      << timeline;
  EXPECT_NE(timeline.find("source.quarantine failed: the disk is full; tried 6 times since"),
            timeline.npos)
      << timeline;
}

TEST(Ladder, WhatErrorsKeptBackIsDoneOnceItCanBeAlsoAfterARestart) {
  Scene s(22);
  s.world.failing = {"source.quarantine"};
  s.play(100, 103, {});
  s.play(103, 104, {.distance_ratio = 1.609344});
  ASSERT_EQ(s.ladder.incidents()[0].failing.size(), 1U);
  const Failing& failing = s.ladder.incidents()[0].failing[0];
  EXPECT_EQ(failing.type, "source.quarantine");
  EXPECT_EQ(failing.error, "the disk is full");
  EXPECT_GT(failing.again, failing.since);
  Ladder again(fixture::options());
  again.restore(fixture::read_back(s.ladder.state()));
  EXPECT_EQ(again.state(), s.ladder.state());
  s.ladder = std::move(again);
  s.world.failing.clear();
  s.play(104, 106, {.distance_ratio = 1.609344});
  EXPECT_TRUE(s.did("incident-0001/source.quarantine/1"));
  EXPECT_LE(count(s.world.asked, "source.quarantine"), 6);
  EXPECT_TRUE(s.ladder.incidents()[0].failing.empty());
  EXPECT_EQ(count(s.world.applied, "incident-0001/incident.escalate/quarantine/errors"), 0);
}

TEST(Ladder, ThatPeopleAreToldIsRecordedOnceItCanBe) {
  Scene s(22);
  s.world.failing = {"source.quarantine", "incident.escalate"};
  s.play(100, 103, {});
  s.play(103, 106, {.distance_ratio = 1.609344});
  EXPECT_EQ(count(s.world.applied, "incident-0001/incident.escalate"), 0);
  ASSERT_EQ(s.ladder.incidents()[0].failing.size(), 1U);
  Ladder again(fixture::options());
  again.restore(fixture::read_back(s.ladder.state()));
  s.ladder = std::move(again);
  s.world.failing.clear();
  s.play(106, 108, {.distance_ratio = 1.609344});
  EXPECT_EQ(count(s.world.applied, "incident-0001/incident.escalate/quarantine/errors"), 1);
  EXPECT_TRUE(s.ladder.incidents()[0].failing.empty());
}

}  // namespace
}  // namespace heddle::recover
