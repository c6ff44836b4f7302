// A disk that fails at each write of an act in turn: what belongs together is there together.
#include "control/service_fixture.hpp"

namespace heddle::control {
namespace {

class CrashTest : public fixture::ServiceTest {
 protected:
  void SetUp() override {
    // On a port where nobody listens: what is to be told stays in the outbox.
    receivers_ = {{"s", {{"http://127.0.0.1:9/told", "secret", 1'000'000}}}};
    fixture::ServiceTest::SetUp();
  }
  /// The keys of a collection.
  std::vector<std::string> keys(const std::string& collection) {
    std::vector<std::string> found;
    EXPECT_TRUE(state_
                    ->read([&](store::Txn& txn) {
                      return txn.scan(collection, "", [&](std::string_view key, std::string_view) {
                        found.emplace_back(key);
                        return true;
                      });
                    })
                    .ok());
    return found;
  }
  [[nodiscard]] bool is_told(const std::string& id) {
    const auto known = keys("outbox-known");
    return std::find(known.begin(), known.end(), id) != known.end();
  }
  /// `act` with a disk that fails from its first write on, then from its second, and so on until it
  /// is done; after each the process is another one, and `check` is called.
  void at_each_write(const std::function<bool()>& act, const std::function<void()>& check) {
    bool done = false;
    for (int writes = 0; !done; ++writes) {
      SCOPED_TRACE(fmt::format("the disk fails after {} writes", writes));
      ASSERT_LT(writes, 50);
      disk_->left = writes;
      done = act();
      disk_->left = -1;
      open_parts();
      open();
      check();
      if (HasFailure()) return;
    }
  }
  /// Each question that waits is told, and what it asks for is kept.
  void questions_are_whole(bool kept) {
    const auto waiting = keys("waiting");
    const auto open = policy_->open_approvals().value();
    for (const auto& approval : open) {
      EXPECT_TRUE(is_told("approval/" + approval.id)) << approval.id;
      if (!kept) continue;
      EXPECT_NE(std::find(waiting.begin(), waiting.end(), approval.id), waiting.end())
          << approval.id << " would carry nothing out";
    }
  }
  std::size_t entries(const std::string& action) {
    std::size_t count = 0;
    EXPECT_TRUE(ledger_
                    ->read(0,
                           [&](const ledger::Entry& entry) {
                             count += entry.action == action && entry.result == "applied" ? 1 : 0;
                             return true;
                           })
                    .ok());
    return count;
  }
};

TEST_F(CrashTest, AQuestionHasWhatItsYesCarriesOut) {
  at_each_write([&] { return ask(2).starts_with("approval-"); },
                [&] { questions_are_whole(true); });
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(yes(newest()), "");
  EXPECT_EQ(control_->releases().primary(), bundles_[2]);
}

TEST_F(CrashTest, AQuestionOfRecoveryIsTold) {
  // Of another incident each time: what a round before has written (the repaired bundles) is not
  // written again, and the disk would never fail between the question and what people are told.
  int incident = 0;
  at_each_write(
      [&] {
        recover::Action action;
        action.incident = fmt::format("incident-{:04}", ++incident);
        action.op_id = action.incident + "/transform.propose";
        action.what = recover::ProposeTransform{"shift", "distance", 0, "distance + 1"};
        action.target = "service/s";
        action.reason = "because";
        const auto outcome = control_->effects().perform(action);
        return outcome.ok() && outcome->status == recover::Outcome::Status::kWaiting;
      },
      [&] { questions_are_whole(false); });
}

TEST_F(CrashTest, AnIncidentThatAPersonOpenedIsTold) {
  spec::PolicyRule rule;
  rule.id = "people-write";
  rule.effect = spec::PolicyRule::Effect::kAllow;
  rule.who = {"person:*", "agent:*"};
  rule.actions = {"incident.*"};
  project_.policies["p"].rules.push_back(rule);
  ASSERT_TRUE(policy_->load(project_).ok());
  const auto check = [&](const char* action, const std::string& id) {
    EXPECT_EQ(is_told(id), entries(action) > 0) << id;
  };
  at_each_write(
      [&] {
        recover::ByHand act;
        act.kind = recover::ByHand::Kind::kOpen;
        act.text = "looks odd";
        const auto reply = control_->act_by_hand(act, kBen);
        return reply.ok() && reply->applied;
      },
      [&] { check("incident.open", "incident/s/incident-0001"); });
  at_each_write(
      [&] {
        recover::Action action;
        action.op_id = "incident-0001/escalate/1";
        action.what = recover::Escalate{};
        action.incident = "incident-0001";
        action.target = "incident/incident-0001";
        action.reason = "nobody answered";
        const auto outcome = control_->effects().perform(action);
        return outcome.ok() && outcome->status == recover::Outcome::Status::kApplied;
      },
      [&] { check("incident.escalate", "escalation/s/incident-0001/escalate/1"); });
}

}  // namespace
}  // namespace heddle::control
