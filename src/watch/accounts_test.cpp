#include "watch/accounts.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

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
  [[nodiscard]] std::vector<Diagnosis> confirmed(const std::string& key) const {
    std::vector<Diagnosis> found;
    for (const Alert& move : out.moves) {
      if (move.stage == AlertStage::kConfirmed && move.first.key == key)
        found.push_back(watch.diagnose(move));
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
                                   {"prior/intercept", {.prior = -2.4}, 12}};
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

TEST(Accounts, ATrialSaysWhoseRowsItLosesOn) {
  const auto trial = [](double of_b) {
    Trials trials;
    const std::uint32_t number = trials.number("act");
    for (int i = 0; i < 1000; ++i) {  // it pays for both, then no more
      trials.add(number, 0.1, 0.3 + 0.1 * (i % 2), i % 4 == 0, 0, i % 3 == 0 ? "b" : "a");
    }
    for (int i = 0; i < 1000; ++i) {
      const bool is_b = i % 3 == 0;
      const double lost = (is_b ? of_b : 0.3) + 0.1 * (i % 2);
      trials.add(number, 0.1 + lost, 0.15, i % 4 == 0, 1, is_b ? "b" : "a");
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
  EXPECT_EQ(watch.diagnose(*at).only_account, "");
}

}  // namespace
}  // namespace heddle::watch
