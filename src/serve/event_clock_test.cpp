#include "serve/event_clock.hpp"

#include <gtest/gtest.h>

#include "plane/journal.hpp"

namespace heddle::serve {
namespace {

constexpr Micros kNow = 20'000 * kDay;        // 2024-10-04
constexpr Micros kEventThen = 11'382 * kDay;  // 2001-03-01
constexpr std::int64_t kSecondNs = 1'000'000'000;

/// Requests and ticks of a second each, as a data plane has them.
struct Live {
  EventClock clock{false, INT64_MIN};
  Micros wall = kNow;
  std::int64_t mono = 0;
  std::optional<Micros> second(bool asked = true) {
    if (asked) {
      EXPECT_TRUE(clock.of_request({}, wall).ok());
    }
    const auto tick = clock.wall_tick(wall, mono);
    wall += kSecond;
    mono += kSecondNs;
    return tick;
  }
  void until_live() {
    for (int i = 0; i <= 60; ++i) (void)second();
  }
};

std::string id_of(const Result<Micros>& time) { return time.ok() ? "" : time.error().id; }
std::string id_of(const Result<void>& done) { return done.ok() ? "" : done.error().id; }

TEST(EventClock, FollowsTheWallClockOnceRequestsCameForAMinute) {
  Live live;
  for (int i = 0; i < 60; ++i) {
    EXPECT_EQ(*live.clock.of_request({}, live.wall), live.wall);
    EXPECT_FALSE(live.second().has_value()) << i;
  }
  EXPECT_EQ(live.second(), kNow + 60 * kSecond);
  EXPECT_EQ(live.second(false),
            kNow + 61 * kSecond);  // also when nobody asks: windows end by themselves
}

TEST(EventClock, AReplayIntoWhatWasOnlyTriedGoesItsWay) {
  Live live;
  for (int i = 0; i < 5; ++i) (void)live.second();
  for (int i = 0; i < 600; ++i) EXPECT_FALSE(live.second(false).has_value());
  ASSERT_TRUE(live.clock.tick(kEventThen, live.wall).ok());
  EXPECT_EQ(*live.clock.of_request(kEventThen + kHour, live.wall), kEventThen + kHour);
  // Who asks without a time now is of the replay's: no tick of the present comes between its rows.
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(*live.clock.of_request({}, live.wall), kEventThen + kHour);
    EXPECT_FALSE(live.clock.wall_tick(live.wall, live.mono).has_value());
    live.wall += kSecond;
    live.mono += kSecondNs;
  }
  ASSERT_TRUE(live.clock.tick(kEventThen + kDay, live.wall).ok());
  EXPECT_EQ(*live.clock.of_request({}, live.wall), kEventThen + kDay);
  EXPECT_EQ(*live.clock.of_label({}, live.wall), kEventThen + kDay);
}

TEST(EventClock, AReplayIntoALiveServiceIsRefused) {
  Live live;
  live.until_live();
  EXPECT_EQ(id_of(live.clock.tick(kEventThen, live.wall)), "replay-into-live");
  EXPECT_EQ(id_of(live.clock.of_request(kEventThen, live.wall)), "event-time-outside");
  EXPECT_TRUE(live.second().has_value());  // and changes nothing
}

TEST(EventClock, AReplayThatEndedDoesNotHoldTheServiceInThePast) {
  Live live;
  ASSERT_TRUE(live.clock.tick(kEventThen, live.wall).ok());
  live.wall += 5 * kMinute;
  EXPECT_EQ(*live.clock.of_request({}, live.wall), kEventThen);
  live.wall += 6 * kMinute;
  live.until_live();
  EXPECT_TRUE(live.second().has_value());
  // What the operator asked for stays: everything is of the replay.
  EventClock always(true, kEventThen);
  EXPECT_EQ(*always.of_request({}, kNow), kEventThen);
  EXPECT_TRUE(always.replayed());
}

TEST(EventClock, ATickNeverGoesBack) {
  EventClock clock(false, kEventThen + 30 * kDay);  // of the journal
  EXPECT_EQ(id_of(clock.tick(kEventThen, kNow)), "replay-behind");
  EXPECT_TRUE(clock.tick(kEventThen + 30 * kDay, kNow).ok());
  EXPECT_TRUE(
      clock.tick(kEventThen + 30 * kDay, kNow).ok());  // the same again: its answer was lost
  EXPECT_EQ(id_of(clock.tick(kEventThen + 29 * kDay, kNow)), "replay-behind");
}

TEST(EventClock, AReplayGoesOnInADataPlaneThatWasStartedAgain) {
  EventClock clock(false, kEventThen);
  EXPECT_EQ(*clock.of_request({}, kNow), kNow);  // somebody tries it meanwhile
  EXPECT_EQ(*clock.of_request(kEventThen + kHour, kNow), kEventThen + kHour);
  EXPECT_TRUE(clock.replayed());
  EventClock other(false, kEventThen);
  EXPECT_EQ(id_of(other.of_request(kEventThen + 30 * kDay, kNow)), "event-time-outside");
}

TEST(EventClock, NoTimeThatBlindsTheWatchIsTaken) {
  for (const Micros time : {INT64_MAX, INT64_MIN, plane::kLatestEvent, plane::kEarliestEvent - 1}) {
    for (const bool replayed : {false, true}) {
      EventClock clock(replayed, INT64_MIN);
      EXPECT_EQ(id_of(clock.tick(time, kNow)), "event-time-outside") << time;
      EXPECT_EQ(id_of(clock.of_request(time, kNow)), "event-time-outside") << time;
      EXPECT_EQ(id_of(clock.of_label(time, kNow)), "event-time-outside") << time;
    }
  }
  EventClock replay(true, INT64_MIN);
  ASSERT_TRUE(replay.tick(kEventThen, kNow).ok());
  EXPECT_TRUE(replay.of_request(kEventThen + kDay, kNow).ok());
  EXPECT_EQ(id_of(replay.of_request(kEventThen + 365 * kDay, kNow)), "event-time-outside");
  Live live;
  live.until_live();
  EXPECT_EQ(id_of(live.clock.of_request(live.wall + kHour, live.wall)), "event-time-outside");
  EXPECT_EQ(id_of(live.clock.of_request(live.wall - 8 * kDay, live.wall)), "event-time-outside");
  EXPECT_EQ(id_of(live.clock.of_label(live.wall + kHour, live.wall)), "event-time-outside");
  EXPECT_EQ(*live.clock.of_request(live.wall - kDay, live.wall), live.wall - kDay);
  EXPECT_EQ(*live.clock.of_label(live.wall - 300 * kDay, live.wall), live.wall - 300 * kDay);
}

TEST(EventClock, BeforeTheFirstTickNoRequestSaysHowLateItIs) {
  EventClock clock(true, INT64_MIN);
  for (const Micros time : {kNow + kHour, kNow + 365 * kDay, plane::kLatestEvent - 1})
    EXPECT_EQ(id_of(clock.of_request(time, kNow)), "event-time-outside") << time;
  EXPECT_EQ(*clock.of_request({}, kNow), kNow);
  EXPECT_EQ(*clock.of_request(kEventThen, kNow), kEventThen);
  // It begins there: rows of every day since 1900 would each open a window.
  for (const Micros time : {kEventThen - 3 * kDay, kEventThen + 3 * kDay, kNow})
    EXPECT_EQ(id_of(clock.of_request(time, kNow)), "event-time-outside") << time;
  EXPECT_EQ(*clock.of_request(kEventThen + kDay, kNow), kEventThen + kDay);
  EXPECT_EQ(*clock.of_request({}, kNow), kEventThen + kDay);
}

TEST(EventClock, WhatCameBeforeTheFirstTickDoesNotHoldTheReplayInItsFuture) {
  EventClock clock(true, INT64_MIN);
  EXPECT_EQ(*clock.of_request(kNow, kNow), kNow);  // somebody tries it, of now
  ASSERT_TRUE(clock.tick(kEventThen, kNow).ok());
  EXPECT_EQ(*clock.of_request({}, kNow), kEventThen) << "else nobody looks at who gives no time";
  EXPECT_EQ(*clock.of_label({}, kNow), kEventThen);
}

TEST(EventClock, WhileAWallClockIsAheadEventTimeGoesOnByTheSteadyOne) {
  Live live;
  live.until_live();
  const Micros before = live.clock.last_tick();
  live.wall += 8 * kDay;  // wrong for two seconds
  for (int i = 1; i <= 2; ++i) {
    EXPECT_EQ(live.clock.wall_tick(live.wall, live.mono), before + i * kSecond);
    EXPECT_TRUE(live.clock.held());
    // What is answered meanwhile is of now, and not a week ahead of every window.
    EXPECT_EQ(*live.clock.of_request({}, live.wall), before + i * kSecond);
    EXPECT_EQ(*live.clock.of_label({}, live.wall), before + i * kSecond);
    EXPECT_EQ(id_of(live.clock.of_request(live.wall, live.wall)), "event-time-outside");
    live.wall += kSecond;
    live.mono += kSecondNs;
  }
  live.wall -= 8 * kDay;
  EXPECT_TRUE(live.second().has_value());
  EXPECT_FALSE(live.clock.jump().has_value());
  EXPECT_LT(live.clock.last_tick(), before + kMinute);
}

TEST(EventClock, AWallClockThatStaysAheadIsBelievedAfterTenMinutes) {
  Live live;
  live.until_live();
  const Micros before = live.clock.last_tick();
  live.wall += 8 * kDay;  // for good: the machine had slept
  int seconds = 0;
  for (; live.clock.last_tick() < before + kDay; ++seconds) {
    ASSERT_LT(seconds, 700);
    ASSERT_TRUE(live.second(false).has_value()) << "deaf after " << seconds;
  }
  EXPECT_GE(seconds, 600);
  EXPECT_FALSE(live.clock.jump().has_value());
  EXPECT_EQ(live.clock.last_tick(), live.wall - kSecond);
}

TEST(EventClock, AWallClockThatIsBehindIsNotFollowedUntilAPersonSaysSo) {
  for (const bool restarted : {false, true}) {
    SCOPED_TRACE(restarted);
    Live live;
    live.until_live();
    const Micros before = live.clock.last_tick();
    if (restarted) live.clock = EventClock(false, before);  // as the journal has it
    live.wall -= 100 * kDay;
    if (restarted) live.until_live();
    std::optional<Micros> last;
    for (int i = 0; i < 1'000; ++i) {
      const auto tick = live.second();
      // The first second after a start begins at the last tick.
      ASSERT_TRUE(tick.has_value() || (restarted && i == 0)) << "deaf after " << i;
      if (tick) {
        EXPECT_GT(*tick, last.value_or(before));
        last = tick;
      }
    }
    ASSERT_TRUE(live.clock.held());
    EXPECT_LT(*last, before + 2'000 * kSecond);
    EXPECT_EQ(live.clock.set(live.wall, live.mono), live.wall);
    EXPECT_FALSE(live.clock.jump().has_value());
    EXPECT_EQ(live.clock.last_tick(), live.wall);
    live.wall += kSecond;
    live.mono += kSecondNs;
    const Micros now = live.wall;
    EXPECT_EQ(live.second(), now);
    EXPECT_FALSE(live.clock.set(live.wall, live.mono).has_value()) << "no jump stands";
  }
}

TEST(EventClock, ManySmallStepsBackAreAJumpToo) {
  Live live;
  live.until_live();
  const Micros before = live.clock.last_tick();
  for (int i = 0; i < 60; ++i) {
    live.wall -= 4 * kMinute;
    (void)live.second();
  }
  EXPECT_TRUE(live.clock.held());
  EXPECT_GT(live.clock.last_tick(), before + 30 * kSecond);
}

TEST(EventClock, ATickOfAReplayThatLeavesAWeekOutIsAJump) {
  EventClock clock(true, INT64_MIN);
  ASSERT_TRUE(clock.tick(kEventThen, kNow).ok());  // a first one leaves nothing out
  ASSERT_TRUE(clock.tick(kEventThen + 7 * kDay, kNow).ok());
  EXPECT_FALSE(clock.jump().has_value());
  ASSERT_TRUE(clock.tick(kEventThen + 3'000 * kDay, kNow).ok());
  ASSERT_TRUE(clock.tick(kEventThen + 6'000 * kDay, kNow).ok());
  ASSERT_TRUE(clock.jump().has_value());
  EXPECT_TRUE(clock.jump()->of_replay);
  EXPECT_FALSE(clock.held());
  EXPECT_EQ(id_of(clock.tick(kEventThen + 8 * kDay, kNow)), "replay-behind");
  EventClock after(true, kEventThen + 6'000 * kDay);  // started again
  after.stands(*clock.jump());
  EXPECT_EQ(after.set(kNow, 0), kEventThen + 7 * kDay);
  EXPECT_TRUE(after.tick(kEventThen + 8 * kDay, kNow).ok());
}

TEST(EventClock, AWallClockSetBackDoesNotHoldAReplayThatEnded) {
  Live live;
  ASSERT_TRUE(live.clock.tick(kEventThen, live.wall).ok());
  live.wall -= 10 * kDay;
  (void)live.second();
  live.wall += 11 * kMinute;
  live.until_live();
  EXPECT_FALSE(live.clock.replayed());
}

}  // namespace
}  // namespace heddle::serve
