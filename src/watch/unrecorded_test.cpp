// What was answered and not recorded is an alert, of the account whose it was, until it is over.
#include "watch/unrecorded.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "recover/cause.hpp"
#include "watch/stream_fixture.hpp"

namespace heddle::watch {
namespace {

using fixture::Stream;

struct GapSession {
  GapSession() : watch(*Watch::open(Stream::options())) {
    watch.register_route(
        {1, sha256("primary"), "", std::make_shared<const Baseline>(stream.baseline())});
    tick(100 * kDay);
  }
  void tick(Micros at) { watch.observe(plane::TickRecord{at}, out); }
  void gap(const std::string& account, std::uint64_t requests, std::uint64_t labels = 0) {
    watch.observe(plane::GapRecord{requests, "the journal is full", labels, account}, out);
  }
  [[nodiscard]] int moved(const std::string& key, AlertStage stage) const {
    return static_cast<int>(std::count_if(
        out.moves.begin(), out.moves.end(),
        [&](const Alert& move) { return move.first.key == key && move.stage == stage; }));
  }
  Stream stream{31};
  Watch watch;
  Output out;
};

TEST(Unrecorded, BytesThatCannotBeReadAreToldAsThemselves) {
  Stream stream{31};
  Watch watch = *Watch::open(Stream::options());
  watch.register_route(
      {1, sha256("primary"), "", std::make_shared<const Baseline>(stream.baseline())});
  Output out;
  // Nothing says which event time it is yet.
  watch.observe(plane::GapRecord{0, "segment 3 cannot be read: its head is damaged", 0, ""}, out);
  EXPECT_EQ(watch.unrecorded().line(), "segment 3 cannot be read: its head is damaged");
}

TEST(Unrecorded, IsAnAlertAtOnceAndOverOnceEverythingIsRecordedAgain) {
  GapSession s;
  s.gap("app", 40, 2);
  ASSERT_EQ(s.moved("journal/app", AlertStage::kConfirmed), 1) << "it needs no second window";
  const Alert* alert = s.watch.alerts().find("journal/app");
  ASSERT_NE(alert, nullptr);
  const recover::Diagnosis why = recover::diagnose(s.watch, *alert);
  EXPECT_EQ(why.cause, &recover::unrecorded_traffic());
  EXPECT_EQ(why.account, "app");
  EXPECT_EQ(
      why.reason,
      "40 requests and 2 labels of account `app` are not in the journal: the journal is full");
  for (int second = 1; second < 60; ++second) {
    s.tick(100 * kDay + second * kSecond);
    s.gap("app", 10);
  }
  EXPECT_EQ(s.moved("journal/app", AlertStage::kConfirmed), 1) << "one, as long as it goes on";
  EXPECT_NE(s.watch.unrecorded().line().find("630 requests and 2 labels of account `app`"),
            std::string::npos)
      << s.watch.unrecorded().line();
  // A restart goes on in the middle of it.
  const auto change = s.watch.change();
  Watch again = *Watch::open(Stream::options());
  ASSERT_TRUE(again.restore({change.parts.begin(), change.parts.end()}, {}).ok());
  EXPECT_EQ(again.save(), s.watch.save());
  EXPECT_EQ(again.unrecorded().line(), s.watch.unrecorded().line());
  s.tick(100 * kDay + 40 * kMinute);
  EXPECT_NE(s.watch.alerts().find("journal/app"), nullptr);
  s.tick(100 * kDay + 80 * kMinute);
  EXPECT_EQ(s.watch.alerts().find("journal/app"), nullptr);
  EXPECT_EQ(s.watch.unrecorded().line(), "");
  EXPECT_FALSE(s.watch.unrecorded().gaps().at("app").goes_on);
  EXPECT_EQ(s.watch.unrecorded().gaps().at("app").requests, 630);
  s.gap("app", 1);
  EXPECT_EQ(s.moved("journal/app", AlertStage::kConfirmed), 2) << "the next one is another";
  EXPECT_EQ(s.watch.unrecorded().gaps().at("app").requests, 1);
}

TEST(Unrecorded, OneAccountsGapHidesNobodyElses) {
  GapSession s;
  s.gap("flood", 1'000'000);
  s.gap("app", 1);
  EXPECT_EQ(s.moved("journal/flood", AlertStage::kConfirmed), 1);
  EXPECT_EQ(s.moved("journal/app", AlertStage::kConfirmed), 1);
  // What a power loss took, and what journals of before say, is nobody's known.
  s.watch.observe(plane::GapRecord{0, "segment 3 lost 12 bytes at its end, as after a power loss"},
                  s.out);
  ASSERT_EQ(s.moved("journal", AlertStage::kConfirmed), 1);
  EXPECT_EQ(recover::diagnose(s.watch, *s.watch.alerts().find("journal")).reason,
            "something that was answered is not in the journal: segment 3 lost 12 bytes at its "
            "end, as after a power loss");
}

TEST(Unrecorded, ANewReleaseDoesNotEndIt) {
  GapSession s;
  std::vector<plane::Record> records;
  s.stream.day(100, {}, records);
  for (const auto& record : records) s.watch.observe(record, s.out);
  s.gap("app", 3);
  s.watch.register_route(
      {2, sha256("another"), "", std::make_shared<const Baseline>(s.stream.baseline())});
  records.clear();
  s.stream.day(101, {}, records, 2);
  for (std::size_t i = 0; i < 50; ++i) {
    if (!std::holds_alternative<plane::TickRecord>(records[i])) s.watch.observe(records[i], s.out);
  }
  EXPECT_NE(s.watch.alerts().find("journal/app"), nullptr);
}

}  // namespace
}  // namespace heddle::watch
