// Clocks that jump: what the control plane makes of a service's, and of its own.
#include "control/service_fixture.hpp"
#include "control/wall_clock.hpp"
#include "recover/cause.hpp"

namespace heddle::control {
namespace {

class ClockTest : public fixture::ServiceTest {
 protected:
  void SetUp() override {
    ServiceTest::SetUp();
    spec::PolicyRule note;
    note.id = "agents-note";
    note.effect = spec::PolicyRule::Effect::kAllow;
    note.who = {"agent:*"};
    note.actions = {"incident.*", "postmortem.*"};
    project_.policies["p"].rules.push_back(note);
    ASSERT_TRUE(policy_->load(project_).ok());
    plane::JournalWriter::Options options;
    options.dir = home_->spool("s");
    options.fields = {"date", "origin", "distance"};
    journal_ = plane::JournalWriter::open(options).value();
  }
  void feed(const plane::Record& record) {
    std::visit([&](const auto& each) { append(each); }, record);
    ASSERT_TRUE(journal_->commit().ok());
    for (auto more = control_->pump();; more = control_->pump()) {
      ASSERT_TRUE(more.ok()) << more.error().str();
      if (!*more) break;
    }
  }
  void applied() { feed(plane::AppliedRecord{control_->releases().version(), {}}); }
  static plane::ActRecord act(const char* what, Micros at, std::string id = "jump-1") {
    return {what, "wall", at, "the wall clock says another time", std::move(id)};
  }
  std::string set(const std::string& jump, const policy::Actor& actor) {
    const auto reply = control_->set_clock(jump, "NTP was off", actor);
    return reply.ok() ? (reply->applied ? "" : "waits") : reply.error().id;
  }
  std::vector<ledger::Entry> entries(const std::string& action) {
    std::vector<ledger::Entry> found;
    EXPECT_TRUE(ledger_
                    ->read(0,
                           [&](const ledger::Entry& entry) {
                             if (entry.action == action) found.push_back(entry);
                             return true;
                           })
                    .ok());
    return found;
  }
  [[nodiscard]] std::size_t incidents(const recover::Cause& cause) const {
    std::size_t count = 0;
    for (const auto& each : control_->ladder().incidents()) count += each.diagnosis.cause == &cause;
    return count;
  }

  const policy::Actor kAda{policy::ActorType::kPerson, "ada", {"signature"}};
  const policy::Actor kRoot{policy::ActorType::kSystem, "system:root", {"os-user:root"}};
  std::unique_ptr<plane::JournalWriter> journal_;

 private:
  template <class Record>
  void append(const Record& record) {
    if constexpr (requires { journal_->append(record); }) journal_->append(record);
  }
};

TEST_F(ClockTest, AJumpIsAnEntryAndAnIncidentAndOnlyAPersonLeadsBack) {
  applied();
  feed(plane::TickRecord{20'000 * kDay});
  EXPECT_EQ(set("jump-1", kAda), "clock-agrees");
  feed(plane::TickRecord{20'100 * kDay});  // a clock that was wrong, and was believed
  feed(act("clock-jump", 20'100 * kDay));
  feed(plane::TickRecord{20'100 * kDay + kMinute});
  ASSERT_EQ(entries("clock.jump").size(), 1U);
  EXPECT_EQ(entries("clock.jump").front().rules.front(), "what-happened-is-recorded");
  EXPECT_EQ(incidents(recover::clock_jump()), 1U);
  open();  // what stands is known after a start, and recorded once
  feed(plane::TickRecord{20'100 * kDay + 2 * kMinute});
  EXPECT_EQ(entries("clock.jump").size(), 1U);
  EXPECT_EQ(control_->clock_jump()->id, "jump-1");

  // A journal alone takes nothing back.
  feed(act("clock-set", 20'000 * kDay, "jump-0"));
  EXPECT_EQ(control_->watermark(), 20'100 * kDay + 2 * kMinute);

  EXPECT_EQ(set("jump-0", kAda), "clock-other-jump");
  EXPECT_EQ(set("jump-1", kRoot), "clock-denied");
  EXPECT_EQ(set("jump-1", kBen), "clock-denied") << "no rule lets him, and he did not sign";
  EXPECT_EQ(set("jump-1", kAda), "");
  ASSERT_EQ(entries("clock.set").back().result, "applied");
  EXPECT_EQ(entries("clock.set").back().rules.front(), "clock-by-a-signature");
  EXPECT_TRUE(control_->releases().acknowledged("jump-1"));

  applied();
  feed(act("clock-set", 20'001 * kDay));
  EXPECT_EQ(control_->watermark(), 20'001 * kDay);
  EXPECT_FALSE(control_->clock_jump());
  for (int i = 1; i < 4; ++i) feed(plane::TickRecord{20'001 * kDay + i * kMinute});
  EXPECT_EQ(control_->watermark(), 20'001 * kDay + 3 * kMinute) << "decisions go on from there";
  EXPECT_EQ(control_->ladder().last_tick(), 20'001 * kDay + 3 * kMinute);
  open();
  EXPECT_LE(control_->ladder().last_tick(), 20'001 * kDay + 3 * kMinute) << "of the snapshot";
  feed(plane::TickRecord{20'002 * kDay});
  EXPECT_EQ(control_->watermark(), 20'002 * kDay);
  const auto all = *control_->incidents();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_FALSE(all.front().open()) << "event time and clock agree: it is over";
}

TEST_F(ClockTest, TheControlPlanesOwnClockIsLookedAfter) {
  WallClock clock(clock_);
  const auto look = [&](Micros by) {
    clock_.at += by;
    EXPECT_TRUE(clock.look(*state_, *ledger_).ok());
    return entries("clock.jump").size();
  };
  EXPECT_EQ(look(0), 0U);
  EXPECT_EQ(look(kDay), 0U) << "both clocks went: it was not called for a day";
}

/// A wall clock beside a steady one.
class TwoClocks final : public Clock {
 public:
  Micros at = 1'000'000 * kSecond;
  std::int64_t mono = 0;
  [[nodiscard]] Micros wall() const override { return at; }
  [[nodiscard]] std::int64_t mono_ns() const override { return mono; }
};

TEST_F(ClockTest, AJumpOfTheWallClockIsAnEntryEachWay) {
  TwoClocks two;
  two.at = clock_.at;
  WallClock clock(two);
  const auto look = [&](Micros by) {
    two.at += by + kSecond;
    two.mono += 1'000'000'000;
    EXPECT_TRUE(clock.look(*state_, *ledger_).ok());
    return entries("clock.jump").size();
  };
  EXPECT_EQ(look(0), 0U);
  EXPECT_EQ(look(4 * kMinute), 0U);
  EXPECT_EQ(look(8 * kDay), 1U);
  EXPECT_EQ(look(0), 1U);
  EXPECT_EQ(look(-8 * kDay), 2U);
  // A process that starts behind the newest entry says so once.
  clock_.at += 10 * kDay;
  ASSERT_TRUE(ledger_->record({}).ok());
  WallClock after(two);
  EXPECT_TRUE(after.look(*state_, *ledger_).ok());
  EXPECT_EQ(entries("clock.jump").size(), 3U);
  EXPECT_TRUE(after.look(*state_, *ledger_).ok());
  EXPECT_EQ(entries("clock.jump").size(), 3U);
}

}  // namespace
}  // namespace heddle::control
