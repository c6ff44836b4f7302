// When a trigger starts a run, and what is known of it after.
#include "control/triggers.hpp"

#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "control/core_fixture.hpp"
#include "control/service_locks.hpp"
#include "control/status_reply.hpp"

namespace heddle::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Lines = std::vector<std::string>;

/// `heddle run` is a script that leaves what the test says, and its words in a file.
class TriggersTest : public fixture::CoreTest {
 protected:
  void SetUp() override {
    fixture::CoreTest::SetUp();
    ASSERT_FALSE(HasFatalFailure());
    program_ = home_->dir() + "/program";
    wiring_.executable = program_;
    // --project ROOT --json --document FILE run WORDS...
    ASSERT_TRUE(write_file_atomic(program_,
                                  "#!/bin/sh\nresult=$5\nshift 5\necho \"$@\" >> " + home_->dir() +
                                      "/words\nwhile [ -e " + home_->dir() +
                                      "/hold ]; do sleep 0.01; done\ncat " + home_->dir() +
                                      "/says > \"$result\"\n",
                                  0700)
                    .ok());
    says(R"({"ran": 3, "candidate": {"bundle": "sha256:new"}})");
    data_ = home_->root() + "/rows.csv";
    write_data("a\n1\n", 100);
    project_.root = home_->root();
    project_.sources["rows"] = table::Input("rows.csv");
    project_.models["m"].source = "rows";
    project_.policies["p"].rules[1].actions.push_back("run.start");
  }
  void says(const std::string& document) {
    ASSERT_TRUE(write_file_atomic(home_->dir() + "/says", document).ok());
  }
  /// Written so many seconds before the clock's now.
  void write_data(const std::string& text, int seconds_ago) {
    ASSERT_TRUE(write_file_atomic(data_, text).ok());
    const Micros at = clock_.at - seconds_ago * kSecond;
    const timespec times[2] = {{at / kSecond, 0}, {at / kSecond, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, data_.c_str(), times, 0), 0);
  }
  /// A core with this trigger, which has looked once.
  void define(spec::Trigger trigger) {
    trigger.name = "t";
    trigger.model = "m";
    project_.triggers = {std::move(trigger)};
    ASSERT_TRUE(policy_->load(project_).ok());
    make_core();
    ASSERT_TRUE(open_services(*core_).ok());
    look();
  }
  static spec::Trigger by_schedule(const char* line) {
    spec::Trigger out;
    out.schedule = Cron::parse(line).value();
    return out;
  }
  void look() {
    const auto looked = look_at_triggers(*core_);
    ASSERT_TRUE(looked.ok()) << looked.error().str();
  }
  TriggerRow row() { return shown_triggers(*core_)->front().row; }
  /// Looks until its run has ended.
  TriggerRow ended() {
    for (int i = 0; i < 1000 && row().runs; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      look();
    }
    EXPECT_FALSE(row().runs);
    return row();
  }
  Lines started() {
    const auto text = read_file(home_->dir() + "/words");
    Lines out;
    if (!text.ok()) return out;
    for (std::size_t begin = 0; begin < text->size();) {
      const auto end = text->find('\n', begin);
      out.push_back(text->substr(begin, end - begin));
      begin = end + 1;
    }
    return out;
  }
  Lines entries() {
    Lines found;
    EXPECT_TRUE(core_->ledger
                    ->read(0,
                           [&](const ledger::Entry& entry) {
                             if (entry.action.starts_with("run."))
                               found.push_back(fmt::format("{} {} {} {}", entry.actor, entry.action,
                                                           entry.target, entry.result));
                             return true;
                           })
                    .ok());
    return found;
  }

  const policy::Actor kAda{policy::ActorType::kPerson, "ada", {"os-user:ada"}};
  std::string program_;
  std::string data_;
};

TEST_F(TriggersTest, ATimeStartsARefitOnce) {
  clock_.at = *parse_time("2026-11-30T02:00:00Z");
  define(by_schedule("30 2 * * *"));
  EXPECT_EQ(row().fired, 0);
  clock_.at = *parse_time("2026-11-30T02:29:59Z");
  look();
  EXPECT_THAT(started(), ElementsAre());
  clock_.at = *parse_time("2026-11-30T02:30:01Z");
  look();
  const TriggerRow done = ended();
  EXPECT_EQ(done.fired, 1);
  EXPECT_EQ(done.reason, "its time, 2026-11-30T02:30:00Z");
  EXPECT_EQ(done.candidate, "sha256:new");
  EXPECT_EQ(done.outcome, "candidate sha256:new");
  EXPECT_EQ(done.ended_at, clock_.at);
  look();
  EXPECT_THAT(started(), ElementsAre("run --model=m --refit"));
  EXPECT_THAT(entries(), ElementsAre("agent:trigger run.start model/m applied",
                                     "system:control-plane run.ended model/m recorded"));
  // Four days without a control plane: one run.
  clock_.at = *parse_time("2026-12-04T12:00:00Z");
  look();
  EXPECT_EQ(ended().fired, 2);
  look();
  EXPECT_EQ(row().fired, 2);
}

TEST_F(TriggersTest, AClockThatWasAheadStartsNothingForIt) {
  clock_.at = *parse_time("2030-01-01");
  define(by_schedule("* * * * *"));
  clock_.at = *parse_time("2026-11-30T00:00:30Z");
  look();
  EXPECT_EQ(row().fired, 0);
  clock_.at = *parse_time("2026-11-30T00:01:00Z");
  look();
  EXPECT_EQ(ended().fired, 1);
}

TEST_F(TriggersTest, OtherFilesStartARunOnceTheyAreWritten) {
  spec::Trigger trigger;
  trigger.new_data = kMinute;
  trigger.refit = false;
  define(trigger);
  clock_.at += 10 * kMinute;
  look();
  EXPECT_EQ(row().fired, 0);
  write_data("a\n1\n2\n", 1);
  clock_.at += 2 * kMinute;
  write_data("a\n1\n2\n3\n", 2);
  look();
  EXPECT_EQ(row().fired, 0) << "it may be half written";
  clock_.at += 10 * kSecond;
  look();
  EXPECT_EQ(ended().reason, "source `rows` has other files");
  EXPECT_THAT(started(), ElementsAre("run --model=m"));
  clock_.at += 10 * kMinute;
  look();
  EXPECT_EQ(row().fired, 1) << "they are known now";
}

TEST_F(TriggersTest, WhatPolicyDeniesIsDeniedOnce) {
  project_.policies["p"].rules[1].actions.pop_back();
  clock_.at = *parse_time("2026-11-30T00:00:30Z");
  define(by_schedule("0 * * * *"));
  clock_.at += kHour;
  look();
  look();
  EXPECT_EQ(row().fired, 1);
  EXPECT_THAT(row().outcome, HasSubstr("denied: "));
  EXPECT_THAT(started(), ElementsAre());
  EXPECT_THAT(entries(), ElementsAre("agent:trigger run.start model/m denied"));
}

TEST_F(TriggersTest, APersonIsAskedWherePolicySaysSo) {
  project_.policies["p"].rules[1].actions.pop_back();
  project_.policies["p"].rules[0].actions.push_back("run.start");
  clock_.at = *parse_time("2026-11-30T00:00:30Z");
  define(by_schedule("0 * * * *"));
  clock_.at += kHour;
  look();
  look();
  const std::string asked = row().approval;
  ASSERT_FALSE(asked.empty());
  EXPECT_THAT(started(), ElementsAre());
  const auto approval = core_->policy->approval(asked);
  ASSERT_TRUE(core_->policy->approve(asked, "ada", ada_->sign(approval->statement)).ok());
  look();
  EXPECT_EQ(ended().candidate, "sha256:new");
  EXPECT_EQ(row().approval, "");
  EXPECT_EQ(row().fired, 1);
  EXPECT_THAT(started(), ElementsAre("run --model=m --refit"));
  // A no ends it, until the next time.
  clock_.at += kHour;
  look();
  ASSERT_NE(row().approval, "");
  ASSERT_TRUE(core_->policy->reject(row().approval, kAda, "not today").ok());
  look();
  EXPECT_EQ(row().outcome, "not started: approval-0004 is rejected");
  look();
  EXPECT_EQ(row().fired, 2);
  EXPECT_EQ(started().size(), 1U);
}

TEST_F(TriggersTest, ARunThatFailsSaysWhy) {
  says(R"({"error": {"id": "gate-failed", "kind": "unprocessable", "message": "`better` failed",
           "hint": "", "where": ""}})");
  clock_.at = *parse_time("2026-11-30T00:00:30Z");
  define(by_schedule("0 * * * *"));
  clock_.at += kHour;
  look();
  EXPECT_EQ(ended().outcome, "failed: `better` failed (gate-failed)");
  EXPECT_EQ(row().candidate, "");
  says(R"({"ran": 0, "candidate": {"bundle": "sha256:old"}})");
  clock_.at += kHour;
  look();
  EXPECT_EQ(ended().outcome, "nothing to do: the rows and definitions are those of before");
  EXPECT_EQ(row().candidate, "");
  EXPECT_EQ(row().fired, 2);
  says(R"({"candidate": {"bundle": "sha256:new"}})");
  clock_.at += kHour;
  look();
  EXPECT_EQ(ended().outcome, "failed: `heddle run` left a result that names no candidate");
  EXPECT_EQ(row().candidate, "");
}

TEST_F(TriggersTest, NothingStartsWhileItsServiceIsStopped) {
  clock_.at = *parse_time("2026-11-30T00:00:30Z");
  define(by_schedule("0 * * * *"));
  const auto& control = core_->services.at("s");
  ASSERT_TRUE(control->set_stopped(true, kBen).ok());
  clock_.at += kHour;
  look();
  EXPECT_EQ(row().fired, 0);
  ASSERT_TRUE(control->set_stopped(false, kBen).ok());
  look();
  EXPECT_EQ(ended().fired, 1) << "what was missed is made up for";
}

TEST_F(TriggersTest, ARunThatWasCutOffIsStartedAgain) {
  clock_.at = *parse_time("2026-11-30T00:00:30Z");
  ASSERT_TRUE(write_file_atomic(home_->dir() + "/hold", "").ok());
  define(by_schedule("0 * * * *"));
  clock_.at += kHour;
  look();
  EXPECT_TRUE(row().runs);
  look();
  EXPECT_TRUE(row().runs);
  // The control plane that comes after knows of it, and nothing of the process.
  core_->working.~Working();
  new (&core_->working) Working(core_->home, program_);
  std::filesystem::remove(home_->dir() + "/hold");
  look();
  EXPECT_EQ(ended().fired, 1);
  EXPECT_THAT(entries(), ElementsAre("agent:trigger run.start model/m applied",
                                     "system:control-plane run.ended model/m recorded"));
}

TEST_F(TriggersTest, ATriggerThatIsGoneIsForgotten) {
  clock_.at = *parse_time("2026-11-30T00:00:30Z");
  define(by_schedule("0 * * * *"));
  const auto triggers = std::exchange(core_->project.triggers, {});
  look();
  clock_.at += 3 * kHour;
  core_->project.triggers = triggers;
  look();
  EXPECT_EQ(row().fired, 0) << "it begins anew";
  clock_.at += kHour;
  look();
  EXPECT_EQ(ended().fired, 1);
}

TEST_F(TriggersTest, ARowThatIsDamagedIsAnErrorWithItsName) {
  clock_.at = *parse_time("2026-11-30T00:00:30Z");
  define(by_schedule("0 * * * *"));
  ASSERT_TRUE(
      core_->state->write([](store::Txn& txn) { return txn.put("triggers", "t", "{}"); }).ok());
  const auto looked = look_at_triggers(*core_);
  ASSERT_FALSE(looked.ok());
  EXPECT_THAT(looked.error().message, HasSubstr("row `t` of `triggers`"));
  const auto status = status_of(*core_);
  ASSERT_TRUE(status.ok()) << status.error().str();
  ASSERT_EQ(status->triggers.size(), 1U);
  EXPECT_THAT(status->triggers[0].line, HasSubstr("nothing is started: row `t` of `triggers`"));
  EXPECT_EQ(status->services.size(), 1U);
}

}  // namespace
}  // namespace heddle::control
