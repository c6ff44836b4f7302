#include "watch/accounts.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "recover/cause.hpp"
#include "watch/stream_fixture.hpp"

namespace heddle::watch {
namespace {

using fixture::Stream;

TEST(Accounts, SeveralAreTwoThatSendEnoughOfLate) {
  Accounts accounts(500);
  accounts.add("a", 10 * kDay, 10'000);
  accounts.add("b", 10 * kDay, 400);
  EXPECT_FALSE(accounts.several()) << "a few tries are no use";
  accounts.add("b", 11 * kDay, 100);
  EXPECT_TRUE(accounts.several());
  StateWriter out;
  accounts.save(out);
  const std::string bytes = out.take();
  Accounts back(500);
  StateReader in(bytes);
  back.load(in);
  EXPECT_TRUE(in.done());
  EXPECT_TRUE(back.several());
  back.prune(11 * kDay);
  EXPECT_FALSE(back.several()) << "of `b` one day is left";
  back.prune(20 * kDay);
  EXPECT_FALSE(back.several());
}

/// Two accounts, each with a stream of its own.
struct Two {
  Two() : watch(*Watch::open(Stream::options())) {
    watch.register_route(
        {1, sha256("primary"), "", std::make_shared<const Baseline>(one.baseline())});
    (void)two.baseline();
  }
  void play(int from, int to, const Stream::Fault& of_one, const Stream::Fault& of_two) {
    for (int day = from; day < to; ++day) {
      std::vector<plane::Record> records;
      one.day(day, of_one, records);
      fixture::beside(two, "other", day, of_two, records);
      for (const auto& record : records) watch.observe(record, out);
    }
  }
  /// The latest confirmed alert of a metric, diagnosed.
  [[nodiscard]] std::vector<recover::Diagnosis> confirmed(const std::string& key) const {
    std::vector<recover::Diagnosis> found;
    for (const Alert& move : out.moves) {
      if (move.stage == AlertStage::kConfirmed && move.first.key == key)
        found.push_back(recover::diagnose(watch, move));
    }
    return found;
  }
  Stream one{41};
  Stream two{42};
  Watch watch;
  Output out;
};

struct Seen {
  std::string metric;
  Stream::Fault fault;
  int days;
};

TEST(Accounts, AFaultOfOneAccountIsNamedAsThatAndOfBothAsNobodys) {
  const std::vector<Seen> cases = {{"column/hour_of_day", {.shift_hours = 5}, 3},
                                   {"quality/ratio", {.inverted = true}, 4},
                                   {"prior/offsets", {.prior = -2.4}, 12}};
  for (const Seen& seen : cases) {
    SCOPED_TRACE(seen.metric);
    Two alone;
    alone.play(100, 103, {}, {});
    alone.play(103, 103 + seen.days, {}, seen.fault);
    const auto of_one = alone.confirmed(seen.metric);
    ASSERT_FALSE(of_one.empty());
    EXPECT_EQ(of_one.back().only_account, "other");
    EXPECT_NE(of_one.back().reason.find("only the rows of account `other` show it"),
              std::string::npos)
        << of_one.back().reason;
    Two both;
    both.play(100, 103, {}, {});
    both.play(103, 103 + seen.days, seen.fault, seen.fault);
    const auto of_both = both.confirmed(seen.metric);
    ASSERT_FALSE(of_both.empty());
    EXPECT_EQ(of_both.back().only_account, "");
  }
}

/// Readings of a clock: `rows` of an account, each `offset` from its event.
void send(ClockRuns& clocks, const std::string& account, Micros offset, int rows,
          Micros at = 100 * kDay) {
  for (int i = 0; i < rows; ++i)
    clocks.add(account, "at", at + i * kSecond + offset, at + i * kSecond);
}
constexpr int kReading = static_cast<int>(ClockRuns::kRows);

TEST(Accounts, AClockIsWhereMostAccountsSayItIs) {
  ClockRuns clocks;
  send(clocks, "app", 0, kReading);
  EXPECT_EQ(clocks.offset("at"), Micros{0}) << "who is alone is the service";
  send(clocks, "loud", 5 * kHour, 50 * kReading);
  EXPECT_EQ(clocks.offset("at"), std::nullopt) << "one against one is no reading";
  send(clocks, "third", 0, kReading);
  EXPECT_EQ(clocks.offset("at"), Micros{0}) << "however many rows one of them sends";
  send(clocks, "few", 5 * kHour, kReading - 1);
  EXPECT_EQ(clocks.offset("at"), Micros{0}) << "too few rows are no reading";
  // Rows that agree on nothing are against it, and one account's stay one account's.
  for (int i = 0; i < 10 * kReading; ++i)
    clocks.add("noise", "at", 100 * kDay + (i % 24) * kHour, 100 * kDay);
  EXPECT_EQ(clocks.offset("at"), std::nullopt);
  send(clocks, "fourth", 0, kReading);
  EXPECT_EQ(clocks.offset("at"), Micros{0});
  StateWriter out;
  clocks.save(out);
  const std::string bytes = out.take();
  ClockRuns back;
  StateReader in(bytes);
  back.load(in);
  EXPECT_TRUE(in.done());
  EXPECT_EQ(back.offset("at"), Micros{0});
  StateWriter again;
  back.save(again);
  EXPECT_EQ(again.take(), bytes);
}

TEST(Accounts, WhoSaysThatItIsLaterMakesNobodySilent) {
  ClockRuns clocks;
  for (const char* account : {"a", "b"}) send(clocks, account, 0, kReading);
  send(clocks, "ahead", 5 * kHour, kReading, 100 * kDay + plane::kFarthestAhead);
  EXPECT_EQ(clocks.offset("at"), Micros{0});
  // Who has sent nothing for days has no reading any more.
  send(clocks, "ahead", 5 * kHour, kReading, 110 * kDay);
  EXPECT_EQ(clocks.offset("at"), 5 * kHour);
}

TEST(Accounts, ARepairIsNotTakenForOutlivedByOneAccountsRows) {
  Two two;
  two.play(100, 101, {.shift_hours = 5}, {.shift_hours = 5});
  EXPECT_EQ(two.watch.clock("at"), 5 * kHour);
  // One of them sends right times now, and most rows.
  std::vector<plane::Record> records;
  Stream loud(44);
  for (int i = 0; i < 3; ++i) fixture::beside(loud, "other", 101, {}, records);
  for (const auto& record : records) two.watch.observe(record, two.out);
  EXPECT_EQ(two.watch.clock("at"), std::nullopt);
}

TEST(Accounts, WhatAnAccountCallsItsSourceIsNoOtherAccounts) {
  // Both have a source `s1`; the labels of one are turned over.
  Two two;
  two.play(100, 103, {}, {});
  two.play(103, 107, {}, {.wrong_labels = true});
  const auto found = two.confirmed("quality/ratio");
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found.back().cause, &recover::label_fault()) << found.back().reason;
  LabelJoin join;
  for (const char* account : {"a", "b"}) {
    for (int i = 0; i < 10; ++i) {
      const std::string id = std::string(account) + std::to_string(i);
      const float margin = 0;
      join.add_row({.id = id,
                    .event_time = kDay,
                    .epoch = 1,
                    .margins = {&margin, 1},
                    .source = "s1",
                    .account = account});
      (void)join.add_label(id, account[0] == 'a' ? 1 : 0, 2 * kDay);
    }
  }
  const auto senders = join.by_sender(0, 3 * kDay, 1);
  ASSERT_EQ(senders.size(), 2u);
  EXPECT_EQ(senders.at({"a", "s1"}).codes, std::vector<double>(10, 1));
  EXPECT_EQ(senders.at({"b", "s1"}).codes, std::vector<double>(10, 0));
}

TEST(Accounts, AStandbyThatOneAccountAloneFavoursIsNamedAsThat) {
  for (const bool both : {false, true}) {
    SCOPED_TRACE(both);
    Two two;
    two.play(100, 103, {}, {});
    // The standby ignores the hour: it is the better one where hours are wrong.
    two.play(103, 106, {.shift_hours = both ? 5 : 0}, {.shift_hours = 5});
    const auto& seen = two.watch.comparison();
    ASSERT_TRUE(seen.has_value());
    EXPECT_GT(seen->z, kPairedZ);
    EXPECT_EQ(seen->only_account, both ? "" : "other");
  }
}

TEST(Accounts, RowsOfADayAreCountedBySender) {
  SourceWindows windows(0.02, 50, {});
  std::vector<Finding> out;
  plane::RowRecord good, bad;
  bad.outcome = plane::RowOutcome::kRefused;
  bad.rules = {"r"};
  const auto none = [](const std::string&) { return expr::Datum::null(); };
  for (int i = 0; i < 1000; ++i) windows.add("app", "s1", good, 100 * kDay, nullptr, none, out);
  for (int i = 0; i < 10; ++i) windows.add("other", "s1", good, 101 * kDay, nullptr, none, out);
  out.clear();
  for (int i = 0; i < 50; ++i)
    windows.add("app", "s1", i % 10 == 0 ? bad : good, 101 * kDay, nullptr, none, out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_TRUE(out[0].alert);
  EXPECT_EQ(out[0].detail.int_or("rows_a_day"), 1000) << "of yesterday, today has just begun";
  StateWriter saved;
  windows.save(saved);
  const std::string bytes = saved.take();
  SourceWindows back(0.02, 50, {});
  StateReader in(bytes);
  back.load(in);
  EXPECT_TRUE(in.done());
  StateWriter again;
  back.save(again);
  EXPECT_EQ(again.take(), bytes);
}

/// A row on which what is served loses so much, and the alternative so much.
void add(Trials& trials, std::uint32_t number, double served, double other, std::int64_t chunk,
         const char* account) {
  TrialRow row;
  row.margins = {static_cast<float>(served)};  // of a regression whose labels are all 0
  row.alternatives = {{number, {static_cast<float>(other)}}};
  row.account = account;
  trials.add(stats::Task{stats::TaskKind::kRegression}, row, chunk, 0);
}

TEST(Accounts, ATrialSaysWhoseRowsItLosesOn) {
  const auto trial = [](double of_b) {
    Trials trials;
    const std::uint32_t number = trials.number("act");
    for (int i = 0; i < 1000; ++i) {  // it pays for both, then no more
      add(trials, number, 0.1, 0.3 + 0.1 * (i % 2), 0, i % 3 == 0 ? "b" : "a");
    }
    for (int i = 0; i < 1000; ++i) {
      const bool is_b = i % 3 == 0;
      const double lost = (is_b ? of_b : 0.3) + 0.1 * (i % 2);
      add(trials, number, 0.1 + lost, 0.15, 1, is_b ? "b" : "a");
    }
    return trials;
  };
  EXPECT_EQ(trial(0.3).only_account("act"), "");
  EXPECT_EQ(trial(0.0).only_account("act"), "a");
  EXPECT_EQ(trial(-0.3).only_account("act"), "a");
  EXPECT_EQ(trial(0.3).only_account("another"), "");
  StateWriter out;
  trial(0.0).save(out);
  const std::string bytes = out.take();
  Trials back;
  StateReader in(bytes);
  back.load(in);
  EXPECT_TRUE(in.done());
  EXPECT_EQ(back.only_account("act"), "a");
}

TEST(Accounts, WhoIsAloneIsTheService) {
  Stream stream(43);
  Watch watch = *Watch::open(Stream::options());
  watch.register_route(
      {1, sha256("primary"), "", std::make_shared<const Baseline>(stream.baseline())});
  Output out;
  std::vector<plane::Record> records;
  for (int day = 100; day < 106; ++day)
    stream.day(day, {.shift_hours = day < 103 ? 0 : 5}, records);
  for (const auto& record : records) watch.observe(record, out);
  const auto at = std::find_if(out.moves.begin(), out.moves.end(), [](const Alert& move) {
    return move.stage == AlertStage::kConfirmed && move.first.key == "column/hour_of_day";
  });
  ASSERT_NE(at, out.moves.end());
  EXPECT_EQ(recover::diagnose(watch, *at).only_account, "");
}

}  // namespace
}  // namespace heddle::watch
