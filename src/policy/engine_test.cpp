#include "policy/engine.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "adapters/sqlite/state.hpp"
#include "policy/ssh_key_fixture.hpp"

namespace heddle::policy {
namespace {

using Kind = spec::PolicyRule::Effect;

class TestClock final : public Clock {
 public:
  [[nodiscard]] Micros wall() const override { return now; }
  [[nodiscard]] std::int64_t mono_ns() const override { return now * 1000; }
  Micros now = *parse_time("2026-01-01T00:00:00Z");
};

class EngineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ada_ = std::make_unique<SshKey>("ada");
    ben_ = std::make_unique<SshKey>("ben");
    eve_ = std::make_unique<SshKey>("eve");
  }
  static void TearDownTestSuite() { ada_.reset(), ben_.reset(), eve_.reset(); }

  void SetUp() override {
    std::string name = testing::TempDir() + "/engine.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    auto& policy = project_.policies["default"];
    spec::PolicyRule ask;
    ask.id = "promotion-needs-a-person";
    ask.effect = Kind::kRequireApproval;
    ask.who = {"*"};
    ask.actions = {"release.promote"};
    ask.approver_role = "approver";
    ask.approval_within = 7 * kDay;
    spec::PolicyRule allow;
    allow.id = "agents-act";
    allow.effect = Kind::kAllow;
    allow.who = {"agent:*", "person:*"};
    allow.actions = {"slot.swap", "source.*", "incident.*"};
    policy.rules = {ask, allow};
    policy.budgets = {{"swaps-a-day", "slot.swap", 2, kDay}};
    project_.services["delay"].autonomy = "act";
    project_.people = {{"ada", {"approver"}, {ada_->public_key()}},
                       {"ben", {"ml-engineer"}, {ben_->public_key()}},
                       {"eve", {"approver"}, {eve_->public_key()}}};
    project_.service_accounts = {{"replayer", {"predict"}, ""}};
    open();
  }
  void open() {
    engine_.reset();
    ledger_.reset();
    state_.reset();
    state_ = adapters::open_sqlite_state(root_ + "/state.db").value();
    ledger::Ledger::Options options{root_ + "/tiles", "flights", Ed25519Key::from_seed(std::string(32, '\3')).value(), &clock_};
    ledger_ = ledger::Ledger::open(*state_, options).value();
    engine_ = LocalEngine::open(*state_, *ledger_, project_, clock_).value();
  }
  static Proposal proposal(std::string op_id, std::string action, Actor actor = {ActorType::kAgent, "agent:recover"}) {
    Proposal made;
    made.op_id = std::move(op_id);
    made.action = std::move(action);
    made.target = "service/delay";
    made.actor = std::move(actor);
    made.event_time = *parse_time("2001-04-10T00:00:00Z");
    made.reason = "because";
    return made;
  }
  static Proposal promotion(std::string op_id = "promote-1") {
    auto made = proposal(std::move(op_id), "release.promote");
    made.subjects = {{"bundle", sha256("new")}, {"rollback", sha256("old")}};
    made.evidence = {{"gates", sha256("gates")}};
    made.attributes = doc::Value::object({{"slot", "primary"}});
    return made;
  }
  Decision act(const Proposal& what) {
    auto decision = engine_->act(what, [&](store::Txn& txn) -> Result<void> {
      ++applied_;
      HEDDLE_ASSIGN_OR_RETURN(const auto size, txn.log_size());
      own_entry_ = size - 1;
      return txn.put("test", what.op_id, "done");
    });
    EXPECT_TRUE(decision.ok()) << decision.error().str();
    return decision.ok() ? *decision : Decision{};
  }
  ledger::Entry entry(std::uint64_t number) {
    ledger::Entry found;
    EXPECT_TRUE(ledger_->read(number, [&](const ledger::Entry& each) {
                         found = each;
                         return false;
                       }).ok());
    return found;
  }
  std::string approve_error(const std::string& id, const std::string& person, const std::string& armored) {
    const auto result = engine_->approve(id, person, armored);
    return result.ok() ? "accepted" : result.error().id;
  }
  /// A pending promotion and its statement.
  Approval asked(const std::string& op_id = "promote-1") {
    const auto decision = act(promotion(op_id));
    EXPECT_EQ(decision.effect, Effect::kRequireApproval);
    EXPECT_FALSE(decision.applied);
    return engine_->approval(decision.approval).value();
  }

  static inline std::unique_ptr<SshKey> ada_, ben_, eve_;
  TestClock clock_;
  spec::Project project_;
  std::string root_;
  std::unique_ptr<store::State> state_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<LocalEngine> engine_;
  int applied_ = 0;
  std::uint64_t own_entry_ = 99;
};

TEST_F(EngineTest, AnAllowedActIsAppliedOnceAlsoAfterAReopen) {
  const auto first = act(proposal("op-1", "source.quarantine"));
  EXPECT_TRUE(first.applied);
  EXPECT_FALSE(first.repeated);
  EXPECT_EQ(first.effect, Effect::kAllow);
  EXPECT_EQ(own_entry_, first.entry);
  for (int i = 0; i < 2; ++i) {
    const auto again = act(proposal("op-1", "source.quarantine"));
    EXPECT_TRUE(again.applied);
    EXPECT_TRUE(again.repeated);
    EXPECT_EQ(again.entry, first.entry);
    EXPECT_EQ(again.rules, first.rules);
    open();
  }
  EXPECT_EQ(applied_, 1);
  EXPECT_EQ(ledger_->size().value(), 1U);
  const auto recorded = entry(0);
  EXPECT_EQ(recorded.decision, "allow");
  EXPECT_EQ(recorded.result, "applied");
  EXPECT_EQ(recorded.policy, engine_->policy_digest());
  EXPECT_EQ(recorded.rules, std::vector<std::string>{"agents-act"});
}

TEST_F(EngineTest, AnotherActUnderTheSameOpIdIsAConflict) {
  act(proposal("op-1", "source.quarantine"));
  const auto other = engine_->act(proposal("op-1", "source.release"), [](store::Txn&) { return Result<void>(); });
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().id, "op-id-reused");
}

TEST_F(EngineTest, WhatFailsToApplyLeavesNoTrace) {
  const auto result = engine_->act(proposal("op-1", "source.quarantine"), [](store::Txn& txn) -> Result<void> {
    HEDDLE_TRY(txn.put("test", "x", "half"));
    return Error{ErrorKind::kIo, "test-failed", "no"};
  });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().id, "test-failed");
  EXPECT_EQ(ledger_->size().value(), 0U);
  EXPECT_TRUE(act(proposal("op-1", "source.quarantine")).applied);
}

TEST_F(EngineTest, ADenialIsRecordedOnce) {
  const auto first = act(proposal("op-1", "definition.apply"));
  EXPECT_EQ(first.effect, Effect::kDeny);
  EXPECT_EQ(first.rules, std::vector<std::string>{"default-deny"});
  EXPECT_EQ(act(proposal("op-1", "definition.apply")).entry, first.entry);
  EXPECT_EQ(ledger_->size().value(), 1U);
  EXPECT_EQ(entry(0).result, "denied");
  EXPECT_EQ(applied_, 0);
}

TEST_F(EngineTest, ABudgetStopsAgentsAndRefillsWithEventTime) {
  auto swap = [&](int number, Micros after) {
    auto what = proposal(fmt::format("swap-{}", number), "slot.swap");
    what.event_time += after;
    return act(what);
  };
  EXPECT_TRUE(swap(1, 0).applied);
  EXPECT_TRUE(swap(2, 20 * kHour).applied);
  const auto third = swap(3, 21 * kHour);
  EXPECT_EQ(third.effect, Effect::kDeny);
  EXPECT_EQ(third.rules.front(), "budget:swaps-a-day");
  // The first one is a day ago now; and the same op_id may try again.
  EXPECT_TRUE(swap(3, kDay).applied);
  EXPECT_FALSE(swap(4, kDay + kHour).applied);
  auto person = proposal("swap-5", "slot.swap", {ActorType::kPerson, "ben"});
  person.event_time += kDay + kHour;
  EXPECT_TRUE(act(person).applied);
}

TEST_F(EngineTest, AStopBlocksEverythingUntilAPersonResumes) {
  EXPECT_TRUE(act(proposal("stop-1", "service.stop", {ActorType::kAgent, "agent:anyone"})).applied);
  open();  // it outlives a restart
  EXPECT_EQ(engine_->stopped().value(), std::vector<std::string>{"delay"});
  for (const char* action : {"slot.swap", "incident.open"}) {
    EXPECT_EQ(act(proposal(fmt::format("while-{}", action), action)).rules.front(), "stop");
    EXPECT_EQ(act(proposal(fmt::format("person-{}", action), action, {ActorType::kPerson, "ada"})).rules.front(), "stop");
  }
  auto elsewhere = proposal("elsewhere", "slot.swap");
  elsewhere.target = "service/other";
  EXPECT_TRUE(act(elsewhere).applied);
  EXPECT_EQ(act(proposal("resume-1", "service.resume")).rules.front(), "resume-needs-a-person");
  EXPECT_EQ(act(proposal("resume-2", "service.resume", {ActorType::kPerson, "replayer"})).rules.front(), "resume-needs-a-person");
  EXPECT_TRUE(act(proposal("resume-3", "service.resume", {ActorType::kPerson, "ada"})).applied);
  EXPECT_TRUE(engine_->stopped().value().empty());
  EXPECT_TRUE(act(proposal("after", "slot.swap")).applied);
}

TEST_F(EngineTest, AStopOfEverythingStopsEveryService) {
  auto stop = proposal("stop-all", "service.stop", {ActorType::kPerson, "ben"});
  stop.target = "service/*";
  EXPECT_TRUE(act(stop).applied);
  EXPECT_EQ(act(proposal("a", "slot.swap")).rules.front(), "stop");
  auto nothing = proposal("b", "source.quarantine");
  nothing.target = "elsewhere";
  EXPECT_EQ(act(nothing).rules.front(), "stop");
}

TEST_F(EngineTest, AnApprovalIsAskedForOnceSignedAndUsedUp) {
  const auto approval = asked();
  EXPECT_EQ(approval.id, "approval-0001");
  EXPECT_EQ(asked().id, approval.id);
  EXPECT_EQ(ledger_->size().value(), 1U);
  const auto given = engine_->approve(approval.id, "ada", ada_->sign(approval.statement));
  ASSERT_TRUE(given.ok()) << given.error().str();
  EXPECT_EQ(given->status, Approval::Status::kApproved);
  open();
  const auto decision = act(promotion());
  EXPECT_TRUE(decision.applied);
  EXPECT_EQ(decision.approval, approval.id);
  EXPECT_EQ(engine_->approval(approval.id)->status, Approval::Status::kUsed);
  EXPECT_TRUE(act(promotion()).repeated);
  EXPECT_EQ(applied_, 1);
  EXPECT_EQ(entry(1).action, "approval.approve");
  EXPECT_EQ(entry(1).actor, "ada");
  EXPECT_EQ(entry(2).approval, approval.id);
  // Used before: not by signing again, and not for another act.
  EXPECT_EQ(approve_error(approval.id, "eve", eve_->sign(approval.statement)), "approval-used");
  const auto other = asked("promote-2");
  EXPECT_EQ(approve_error(other.id, "ada", ada_->sign(approval.statement)), "approval-signature-invalid");
  EXPECT_FALSE(act(promotion("promote-2")).applied);
}

TEST_F(EngineTest, ASignatureOverAnotherDigestIsRefused) {
  const auto approval = asked();
  auto statement = approval.statement;
  const auto at = statement.find(sha256("new").hex());
  ASSERT_NE(at, std::string::npos);
  statement.replace(at, 64, sha256("evil").hex());
  EXPECT_EQ(approve_error(approval.id, "ada", ada_->sign(statement)), "approval-signature-invalid");
  EXPECT_FALSE(act(promotion()).applied);
}

TEST_F(EngineTest, AnApprovalServesNoOtherSubjectSlotOrEvidence) {
  const auto approval = asked();
  ASSERT_TRUE(engine_->approve(approval.id, "ada", ada_->sign(approval.statement)).ok());
  auto other = promotion();
  other.subjects[0].digest = sha256("evil");
  EXPECT_EQ(act(other).rules.front(), "approval-other-subject");
  other = promotion();
  other.attributes.set("slot", "standby");
  EXPECT_EQ(act(other).rules.front(), "approval-other-subject");
  other = promotion();
  other.evidence.clear();
  EXPECT_EQ(act(other).rules.front(), "approval-other-evidence");
  EXPECT_EQ(applied_, 0);
  other = promotion();
  other.evidence.push_back({"more", sha256("more")});
  EXPECT_TRUE(act(other).applied);
}

TEST_F(EngineTest, AnExpiredRequestIsRefusedAndAskedAnew) {
  const auto approval = asked();
  const auto signature = ada_->sign(approval.statement);
  clock_.now += 7 * kDay;
  EXPECT_EQ(approve_error(approval.id, "ada", signature), "approval-expired");
  const auto again = asked();
  EXPECT_NE(again.id, approval.id);
  EXPECT_EQ(approve_error(again.id, "ada", signature), "approval-signature-invalid");
  // Given in time, but used too late.
  ASSERT_TRUE(engine_->approve(again.id, "ada", ada_->sign(again.statement)).ok());
  clock_.now += 8 * kDay;
  EXPECT_FALSE(act(promotion()).applied);
  // A clock set back extends nothing.
  const auto third = asked();
  clock_.now += 8 * kDay;
  act(proposal("tick", "source.quarantine"));
  clock_.now -= 10 * kDay;
  EXPECT_EQ(approve_error(third.id, "ada", ada_->sign(third.statement)), "approval-expired");
  EXPECT_EQ(applied_, 1);
}

TEST_F(EngineTest, WhoMayNotApproveIsTold) {
  const auto approval = asked();
  const auto signature = ada_->sign(approval.statement);
  EXPECT_EQ(approve_error("approval-9999", "ada", signature), "approval-unknown");
  EXPECT_EQ(approve_error(approval.id, "agent:recover", signature), "approval-not-a-person");
  EXPECT_EQ(approve_error(approval.id, "replayer", signature), "approval-not-a-person");
  EXPECT_EQ(approve_error(approval.id, "mallory", signature), "approval-unknown-person");
  EXPECT_EQ(approve_error(approval.id, "ben", ben_->sign(approval.statement)), "approval-missing-role");
  EXPECT_EQ(approve_error(approval.id, "eve", signature), "approval-signature-invalid");  // ada's, said to be eve's
  auto own = promotion("own");
  own.actor = {ActorType::kPerson, "ada"};
  const auto mine = engine_->approval(act(own).approval).value();
  EXPECT_EQ(approve_error(mine.id, "ada", ada_->sign(mine.statement)), "approval-by-requester");
  EXPECT_EQ(approve_error(mine.id, "eve", eve_->sign(mine.statement)), "accepted");
  EXPECT_TRUE(act(own).applied);
}

TEST_F(EngineTest, TwoApprovalsNeedTwoPeople) {
  project_.policies["default"].rules[0].approvals = 2;
  ASSERT_TRUE(engine_->load(project_).ok());
  const auto approval = asked();
  const auto first = engine_->approve(approval.id, "ada", ada_->sign(approval.statement));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->status, Approval::Status::kPending);
  EXPECT_FALSE(act(promotion()).applied);
  EXPECT_EQ(approve_error(approval.id, "ada", ada_->sign(approval.statement)), "approval-already-given");
  EXPECT_EQ(approve_error(approval.id, "eve", eve_->sign(approval.statement)), "accepted");
  EXPECT_TRUE(act(promotion()).applied);
}

TEST_F(EngineTest, ARejectionIsFinal) {
  const auto approval = asked();
  EXPECT_EQ(engine_->reject(approval.id, "agent:recover", "no").error().id, "approval-not-a-person");
  const auto rejected = engine_->reject(approval.id, "ada", "not on a Friday");
  ASSERT_TRUE(rejected.ok());
  EXPECT_EQ(rejected->rejected_because, "not on a Friday");
  EXPECT_EQ(approve_error(approval.id, "ada", ada_->sign(approval.statement)), "approval-rejected");
  const auto decision = act(promotion());
  EXPECT_EQ(decision.effect, Effect::kDeny);
  EXPECT_EQ(decision.rules.front(), "approval-rejected");
  EXPECT_EQ(applied_, 0);
}

TEST_F(EngineTest, AnotherPolicyEndsWhatWasAskedUnderTheOld) {
  const auto approval = asked();
  ASSERT_TRUE(engine_->approve(approval.id, "ada", ada_->sign(approval.statement)).ok());
  const auto pending = asked("promote-2");
  project_.policies["default"].budgets.clear();
  ASSERT_TRUE(engine_->load(project_).ok());
  EXPECT_EQ(approve_error(pending.id, "ada", ada_->sign(pending.statement)), "approval-policy-changed");
  EXPECT_FALSE(act(promotion()).applied);
  EXPECT_NE(asked().id, approval.id);
  EXPECT_EQ(applied_, 0);
}

TEST_F(EngineTest, ManyThreadsProposeTheSameActOnce) {
  std::atomic<int> fresh{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        const auto decision = engine_->act(proposal(fmt::format("op-{}", i), "source.quarantine"),
                                           [](store::Txn&) { return Result<void>(); });
        ASSERT_TRUE(decision.ok()) << decision.error().str();
        EXPECT_TRUE(decision->applied);
        if (!decision->repeated) ++fresh;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(fresh, 20);
  EXPECT_EQ(ledger_->size().value(), 20U);
}

TEST_F(EngineTest, EvaluateRecordsNothing) {
  EXPECT_EQ(engine_->evaluate(promotion())->effect, Effect::kRequireApproval);
  EXPECT_EQ(engine_->evaluate(proposal("x", "slot.swap"))->effect, Effect::kAllow);
  EXPECT_EQ(ledger_->size().value(), 0U);
}

TEST_F(EngineTest, LongAttributesGoIntoTheLedgerByDigest) {
  auto what = proposal("op-1", "incident.open");
  what.attributes = doc::Value::object({{"page", std::string(100'000, 'x')}, {"cause", "unit change"}});
  EXPECT_TRUE(act(what).applied);
  EXPECT_EQ(entry(0).attributes.string_or("page"), sha256(std::string(100'000, 'x')).str());
  EXPECT_EQ(entry(0).attributes.string_or("cause"), "unit change");
}

// Not a bar, a figure: an act is one durable transaction, so it costs about one fsync of the disk below.
TEST_F(EngineTest, ActIsFast) {
  constexpr int kActs = 300;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kActs; ++i) act(proposal(fmt::format("op-{}", i), "source.quarantine"));
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  RecordProperty("ms_per_act", fmt::format("{:.3f}", took.count() / kActs));
}

}  // namespace
}  // namespace heddle::policy
