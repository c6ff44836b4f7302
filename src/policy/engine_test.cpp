#include "policy/engine.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "adapters/sqlite/state.hpp"
#include "doc/json.hpp"
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
    project_.service_accounts = {{"replayer", {"predict"}}};
    open();
  }
  void open() {
    engine_.reset();
    ledger_.reset();
    state_.reset();
    state_ = adapters::open_sqlite_state(root_ + "/state.db").value();
    ledger::Ledger::Options options{root_ + "/tiles", "flights",
                                    Ed25519Key::from_seed(std::string(32, '\3')).value(), &clock_};
    ledger_ = ledger::Ledger::open(*state_, options).value();
    engine_ = LocalEngine::open(*state_, *ledger_, project_, clock_).value();
  }
  static Proposal proposal(std::string op_id, std::string action,
                           Actor actor = {ActorType::kAgent, "agent:recover"}) {
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
    EXPECT_TRUE(ledger_
                    ->read(number,
                           [&](const ledger::Entry& each) {
                             found = each;
                             return false;
                           })
                    .ok());
    return found;
  }
  std::string approve_error(const std::string& id, const std::string& person,
                            const std::string& armored) {
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
  const auto other =
      engine_->act(proposal("op-1", "source.release"), [](store::Txn&) { return Result<void>(); });
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().id, "op-id-reused");
}

TEST_F(EngineTest, WhatFailsToApplyLeavesNoTrace) {
  const auto result =
      engine_->act(proposal("op-1", "source.quarantine"), [](store::Txn& txn) -> Result<void> {
        HEDDLE_TRY(txn.put("test", "x", "half"));
        return Error{ErrorKind::kIo, "test-failed", "no"};
      });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().id, "test-failed");
  EXPECT_EQ(ledger_->size().value(), 0U);
  EXPECT_TRUE(act(proposal("op-1", "source.quarantine")).applied);
}

TEST_F(EngineTest, WhatIsWrittenBesideADecisionIsOfItsTransactionWhateverItIs) {
  const auto nothing = [](store::Txn&) { return Result<void>(); };
  for (const auto& what :
       {proposal("swap", "slot.swap"), promotion(), proposal("denied", "data.delete")}) {
    SCOPED_TRACE(what.op_id);
    const auto size = ledger_->size().value();
    const auto failed = engine_->act(what, nothing, {}, [](store::Txn&, const Decision&) {
      return Result<void>(Error{ErrorKind::kIo, "disk", "no"});
    });
    EXPECT_EQ(failed.error().id, "disk");
    EXPECT_EQ(ledger_->size().value(), size) << "nothing was decided either";
    EXPECT_TRUE(engine_->open_approvals()->empty());
    Decision seen;
    const auto made = engine_->act(what, nothing, {}, [&](store::Txn& txn, const Decision& each) {
      seen = each;
      return txn.put("test", what.op_id, each.approval);
    });
    ASSERT_TRUE(made.ok()) << made.error().str();
    EXPECT_EQ(seen.effect, made->effect);
    EXPECT_EQ(seen.entry, made->entry);
    EXPECT_EQ(seen.approval, made->approval);
    if (made->effect == Effect::kRequireApproval) {
      EXPECT_TRUE(engine_->reject(made->approval, {ActorType::kPerson, "ada"}, "no").ok());
    }
  }
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

TEST_F(EngineTest, ABudgetIsOfEachServiceByItself) {
  project_.services["fares"].autonomy = "act";
  auto& quick = project_.policies["quick"];
  quick.services = {"fares"};
  quick.budgets = {{"one-release-ever", "source.release", 1, 0}};
  open();
  int number = 0;
  const auto act_on = [&](const std::string& service, const std::string& action,
                          const std::string& target = {}) {
    auto what = proposal(fmt::format("act-{}", ++number), action);
    what.target = target.empty() ? "service/" + service : target;
    if (!target.empty()) what.attributes = doc::Value::object({{"service", service}});
    return act(what);
  };
  EXPECT_TRUE(act_on("delay", "slot.swap").applied);
  EXPECT_TRUE(act_on("delay", "slot.swap").applied);
  // The incidents of one service leave the budget of another.
  EXPECT_TRUE(act_on("fares", "slot.swap").applied);
  EXPECT_EQ(act_on("delay", "slot.swap").rules.front(), "budget:swaps-a-day");
  open();  // it outlives a restart
  EXPECT_TRUE(act_on("fares", "slot.swap").applied);
  EXPECT_EQ(act_on("fares", "slot.swap").rules.front(), "budget:swaps-a-day");
  // A budget of a policy that is for one service binds that one; all its sources count as one.
  EXPECT_TRUE(act_on("fares", "source.release", "source/a").applied);
  EXPECT_EQ(act_on("fares", "source.release", "source/b").rules.front(), "budget:one-release-ever");
  EXPECT_TRUE(act_on("delay", "source.release", "source/a").applied);
  EXPECT_TRUE(act_on("delay", "source.release", "source/b").applied);
}

TEST_F(EngineTest, AStopBlocksEverythingUntilAPersonResumes) {
  EXPECT_TRUE(act(proposal("stop-1", "service.stop", {ActorType::kAgent, "agent:anyone"})).applied);
  open();  // it outlives a restart
  EXPECT_EQ(engine_->stopped().value(), std::vector<std::string>{"delay"});
  const Actor ada{ActorType::kPerson, "ada"};
  for (const char* action : {"slot.swap", "source.release", "incident.open"})
    EXPECT_EQ(act(proposal(fmt::format("while-{}", action), action)).rules.front(), "stop");
  for (const char* action : {"slot.swap", "source.release"})
    EXPECT_EQ(act(proposal(fmt::format("person-{}", action), action, ada)).rules.front(), "stop");
  // What a person writes down about it changes nothing that is served.
  EXPECT_EQ(act(proposal("person-opens", "incident.open", ada)).rules.front(), "agents-act");
  EXPECT_EQ(act(proposal("program-opens", "incident.open", {ActorType::kPerson, "replayer"}))
                .rules.front(),
            "stop");
  auto elsewhere = proposal("elsewhere", "slot.swap");
  elsewhere.target = "service/other";
  EXPECT_TRUE(act(elsewhere).applied);
  EXPECT_EQ(act(proposal("resume-1", "service.resume")).rules.front(), "resume-needs-a-person");
  EXPECT_EQ(
      act(proposal("resume-2", "service.resume", {ActorType::kPerson, "replayer"})).rules.front(),
      "resume-needs-a-person");
  // Known by the account of the system: a rule has to let the role. Signed: a person's own word.
  const Actor known{ActorType::kPerson, "ada", {"os-user:ada"}};
  const Actor signed_by_ada{ActorType::kPerson, "ada", {"signature"}};
  EXPECT_EQ(act(proposal("resume-3", "service.resume", known)).rules.front(), "default-deny");
  EXPECT_TRUE(act(proposal("resume-4", "service.resume", signed_by_ada)).applied);
  EXPECT_TRUE(act(proposal("stop-2", "service.stop")).applied);
  spec::PolicyRule rule;
  rule.id = "nobody-resumes-alone";
  rule.effect = Kind::kDeny;
  rule.who = {"person:ada"};
  rule.actions = {"service.resume"};
  project_.policies["default"].rules.push_back(rule);
  ASSERT_TRUE(engine_->load(project_).ok());
  EXPECT_EQ(act(proposal("resume-5", "service.resume", signed_by_ada)).rules.front(),
            "nobody-resumes-alone");
  project_.policies["default"].rules.back().effect = Kind::kAllow;
  ASSERT_TRUE(engine_->load(project_).ok());
  EXPECT_TRUE(act(proposal("resume-6", "service.resume", known)).applied);
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
  EXPECT_EQ(approve_error(other.id, "ada", ada_->sign(approval.statement)),
            "approval-signature-invalid");
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

TEST_F(EngineTest, AnApprovalServesNoOtherSubjectSlotEvidenceOrState) {
  const auto bound = [](std::string op_id) {
    auto made = promotion(std::move(op_id));
    made.binds = doc::Value::object({{"service", "delay"}, {"primary", sha256("old").str()}});
    return made;
  };
  const std::vector<std::pair<const char*, std::function<void(Proposal&)>>> changes{
      {"other digests are proposed now",
       [](Proposal& p) { p.subjects[0].digest = sha256("evil"); }},
      {"it is proposed for another slot now",
       [](Proposal& p) { p.attributes.set("slot", "standby"); }},
      {"the evidence it was asked on is not named any more",
       [](Proposal& p) { p.evidence.clear(); }},
      {"`primary` was", [](Proposal& p) { p.binds.set("primary", sha256("newer").str()); }}};
  for (const auto& [why, change] : changes) {
    const std::string op_id = fmt::format("promote: {}", why);
    const auto approval = engine_->approval(act(bound(op_id)).approval).value();
    EXPECT_NE(approval.statement.find(sha256("old").str()), std::string::npos);
    ASSERT_TRUE(engine_->approve(approval.id, "ada", ada_->sign(approval.statement)).ok());
    auto other = bound(op_id);
    change(other);
    const auto decision = act(other);
    EXPECT_EQ(decision.effect, Effect::kRequireApproval) << why;  // asked anew, as what it is now
    EXPECT_NE(decision.approval, approval.id);
    const auto closed = engine_->approval(approval.id).value();
    EXPECT_EQ(closed.status, Approval::Status::kVoid);
    EXPECT_TRUE(closed.void_because.starts_with(why)) << closed.void_because;
    EXPECT_EQ(entry(decision.entry - 1).action, "approval.void");
    EXPECT_EQ(approve_error(approval.id, "eve", eve_->sign(approval.statement)), "approval-void");
    EXPECT_FALSE(act(bound(op_id)).applied);  // back as it was: the old yes does not come back
  }
  EXPECT_EQ(applied_, 0);
  const auto approval = engine_->approval(act(bound("more")).approval).value();
  ASSERT_TRUE(engine_->approve(approval.id, "ada", ada_->sign(approval.statement)).ok());
  auto other = bound("more");
  other.evidence.push_back({"more", sha256("more")});
  EXPECT_TRUE(act(other).applied);
}

TEST_F(EngineTest, WhatAnApprovalAllowedIsDoneOrNothing) {
  auto first = promotion();
  first.binds = doc::Value::object({{"primary", "a"}});
  const auto approval = engine_->approval(act(first).approval).value();
  ASSERT_TRUE(engine_->approve(approval.id, "ada", ada_->sign(approval.statement)).ok());
  auto later = first;
  later.approval = approval.id;
  later.binds.set("primary", "b");
  const auto refused = act(later);
  EXPECT_EQ(refused.effect, Effect::kDeny);
  EXPECT_EQ(refused.rules.front(), "approval-void");
  EXPECT_EQ(refused.reason, "`primary` was `a` when it was asked and is `b` now");
  EXPECT_EQ(engine_->approvals()->size(), 1U);  // nobody was asked anew
  EXPECT_EQ(applied_, 0);
}

TEST_F(EngineTest, ADecisionVoidsWhatItMakesUntrue) {
  const auto moot = asked("promote-1"), other = asked("promote-2");
  auto swap = proposal("swap", "slot.swap");
  const auto decision = engine_->act(swap, [&](store::Txn& txn) {
    return engine_->void_stale(txn, [&](const Approval& each) {
      return each.id == moot.id ? std::string("the slots changed") : std::string();
    });
  });
  ASSERT_TRUE(decision.ok());
  EXPECT_EQ(engine_->approval(moot.id)->status, Approval::Status::kVoid);
  EXPECT_EQ(engine_->approval(other.id)->status, Approval::Status::kPending);
  const auto voided = entry(decision->entry + 1);
  EXPECT_EQ(voided.action, "approval.void");
  EXPECT_EQ(voided.approval, moot.id);
  EXPECT_EQ(voided.reason, "the slots changed");
  EXPECT_EQ(approve_error(moot.id, "ada", ada_->sign(moot.statement)), "approval-void");
}

TEST_F(EngineTest, NobodyIsAskedForWhatCannotBeDone) {
  const auto impossible = [] {
    return Result<void>(Error{ErrorKind::kConflict, "release-is-primary", "it is primary already"});
  };
  const auto decision =
      engine_->act(promotion(), [](store::Txn&) { return Result<void>(); }, impossible);
  ASSERT_FALSE(decision.ok());
  EXPECT_EQ(decision.error().id, "release-is-primary");
  EXPECT_TRUE(engine_->approvals()->empty());
  EXPECT_EQ(ledger_->size().value(), 0U);
}

TEST_F(EngineTest, WhoAskedUnderAnotherNameIsNobodyWhoApproves) {
  auto mine = promotion("mine");
  mine.actor = {
      ActorType::kPerson, "ada", {"os-user:root", "eve"}};  // ada asks and says that she is eve
  const auto approval = engine_->approval(act(mine).approval).value();
  EXPECT_EQ(approval.requester, "ada");
  EXPECT_EQ(entry(approval.entry).attributes.string_or("claimed"), "eve");
  EXPECT_EQ(entry(approval.entry).attributes.string_or("proof"), "os-user:root");
  for (const auto& [name, key] :
       {std::pair<std::string, SshKey*>{"ada", ada_.get()}, {"eve", eve_.get()}}) {
    EXPECT_EQ(approve_error(approval.id, name, key->sign(approval.statement)),
              "approval-by-requester")
        << name;
  }
  auto nobody = promotion("nobody");
  nobody.actor = {ActorType::kSystem, "system:root", {"os-user:root"}};
  const auto refused = act(nobody);
  EXPECT_EQ(refused.effect, Effect::kDeny);
  EXPECT_EQ(refused.rules.front(), "requester-unproven");
}

TEST_F(EngineTest, AYesThatWasWrittenIntoTheStateIsNone) {
  // As somebody with the owner's files would: the status, with no signature, with a wrong one, or
  // for other digests.
  const std::vector<std::function<void(Approval&)>> forgeries{
      [](Approval& a) { a.signatures.clear(); },
      [](Approval& a) { a.signatures.push_back({"ada", "", 1}); },
      [](Approval& a) { a.signatures.push_back({"ada", eve_->sign(a.statement), 1}); },
      [](Approval& a) {
        a.signatures.push_back({"ada", ada_->sign(a.statement), 1});
        a.binds = doc::Value::object({{"primary", "another"}});
      },
      // ben has not the role: the stored needs say that none is wanted.
      [](Approval& a) {
        a.needs[0].role.clear();
        a.signatures.push_back({"ben", ben_->sign(a.statement), 1});
      }};
  int number = 0;
  for (const auto& forge : forgeries) {
    auto what = promotion(fmt::format("forged-{}", ++number));
    what.binds = doc::Value::object({{"primary", "a"}});
    auto approval = engine_->approval(act(what).approval).value();
    forge(approval);
    approval.status = Approval::Status::kApproved;
    ASSERT_TRUE(state_
                    ->write([&](store::Txn& txn) {
                      return txn.put("policy.approvals", approval.id,
                                     doc::to_json(approval_schema().print(approval)));
                    })
                    .ok());
    what.approval = approval.id;
    if (number == 4) what.binds = approval.binds;
    const auto decision = act(what);
    EXPECT_FALSE(decision.applied) << number;
    EXPECT_EQ(decision.rules.front(), "approval-void") << number;
    EXPECT_EQ(engine_->approval(approval.id)->status, Approval::Status::kVoid) << number;
  }
  // A yes to one act is none to another.
  const auto one = asked("one");
  ASSERT_TRUE(engine_->approve(one.id, "ada", ada_->sign(one.statement)).ok());
  auto another = promotion("another");
  another.approval = one.id;
  EXPECT_EQ(act(another).rules.front(), "approval-other-act");
  EXPECT_EQ(applied_, 0);
}

TEST_F(EngineTest, AnExpiredRequestIsRefusedAndAskedAnew) {
  const auto approval = asked();
  const auto signature = ada_->sign(approval.statement);
  clock_.now += 7 * kDay;
  EXPECT_EQ(approve_error(approval.id, "ada", signature), "approval-expired");
  const auto again = asked();
  EXPECT_NE(again.id, approval.id);
  EXPECT_EQ(approve_error(again.id, "ada", signature), "approval-signature-invalid");
  // The refusal stays: no clock that is set back makes it pending again.
  const auto past = clock_.now;
  clock_.now -= 6 * kDay;
  EXPECT_EQ(engine_->approval(approval.id)->status, Approval::Status::kExpired);
  EXPECT_EQ(approve_error(approval.id, "eve", eve_->sign(approval.statement)), "approval-expired");
  clock_.now = past;
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

TEST_F(EngineTest, WhatExpiredWaitsForNobody) {
  const auto first = asked("one");
  clock_.now += 6 * kDay;
  const auto second = asked("two");
  ASSERT_EQ(engine_->open_approvals()->size(), 2U);
  clock_.now += 2 * kDay;
  // Nobody has answered, and no entry says yet that its time is over.
  EXPECT_EQ(engine_->approval(first.id)->status, Approval::Status::kExpired);
  EXPECT_EQ(engine_->approvals()->front().status, Approval::Status::kExpired);
  const auto open = engine_->open_approvals().value();
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0].id, second.id);
}

TEST_F(EngineTest, OpenApprovalsAreFoundAfterAStartAndWithoutReadingTheOthers) {
  const auto closed = asked("one");
  ASSERT_TRUE(engine_->reject(closed.id, {ActorType::kPerson, "ada"}, "no").ok());
  const auto open = asked("two");
  engine_ = LocalEngine::open(*state_, *ledger_, project_, clock_).value();
  const auto later = asked("three");
  // One that was answered is not looked at: it may be whatever it likes.
  ASSERT_TRUE(state_
                  ->write([&](store::Txn& txn) {
                    return txn.put("policy.approvals", closed.id, "no JSON");
                  })
                  .ok());
  EXPECT_FALSE(engine_->approvals().ok());
  const auto found = engine_->open_approvals().value();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].id, open.id);
  EXPECT_EQ(found[1].id, later.id);
}

TEST_F(EngineTest, WhoMayNotApproveIsTold) {
  const auto approval = asked();
  const auto signature = ada_->sign(approval.statement);
  EXPECT_EQ(approve_error("approval-9999", "ada", signature), "approval-unknown");
  EXPECT_EQ(approve_error(approval.id, "agent:recover", signature), "approval-not-a-person");
  EXPECT_EQ(approve_error(approval.id, "replayer", signature), "approval-not-a-person");
  EXPECT_EQ(approve_error(approval.id, "mallory", signature), "approval-unknown-person");
  EXPECT_EQ(approve_error(approval.id, "ben", ben_->sign(approval.statement)),
            "approval-missing-role");
  EXPECT_EQ(approve_error(approval.id, "eve", signature),
            "approval-signature-invalid");  // ada's, said to be eve's
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
  EXPECT_EQ(approve_error(approval.id, "ada", ada_->sign(approval.statement)),
            "approval-already-given");
  EXPECT_EQ(approve_error(approval.id, "eve", eve_->sign(approval.statement)), "accepted");
  EXPECT_TRUE(act(promotion()).applied);
}

TEST_F(EngineTest, ARejectionIsFinal) {
  const auto approval = asked();
  EXPECT_EQ(engine_->reject(approval.id, {ActorType::kAgent, "agent:recover"}, "no").error().id,
            "approval-not-a-person");
  EXPECT_EQ(engine_->reject(approval.id, {ActorType::kPerson, "ben"}, "no").error().id,
            "approval-missing-role");
  const auto rejected =
      engine_->reject(approval.id, {ActorType::kPerson, "ada", {"os-user:ada"}}, "not on a Friday");
  ASSERT_TRUE(rejected.ok());
  EXPECT_EQ(rejected->rejected_because, "not on a Friday");
  EXPECT_EQ(approve_error(approval.id, "ada", ada_->sign(approval.statement)), "approval-rejected");
  const auto decision = act(promotion());
  EXPECT_EQ(decision.effect, Effect::kDeny);
  EXPECT_EQ(decision.rules.front(), "approval-rejected");
  EXPECT_EQ(applied_, 0);
  // Who asked may take it back, whatever the role.
  auto own = promotion("own");
  own.actor = {ActorType::kPerson, "ben", {"os-user:ben"}};
  EXPECT_TRUE(engine_->reject(act(own).approval, own.actor, "a mistake").ok());
}

TEST_F(EngineTest, NoYesIsKeptThroughAStop) {
  auto what = promotion();
  what.binds = doc::Value::object({{"service", "delay"}});
  const auto approval = engine_->approval(act(what).approval).value();
  EXPECT_TRUE(act(proposal("stop", "service.stop")).applied);
  EXPECT_EQ(approve_error(approval.id, "ada", ada_->sign(approval.statement)),
            "approval-while-stopped");
  EXPECT_TRUE(act(proposal("resume", "service.resume", {ActorType::kPerson, "ben", {"signature"}}))
                  .applied);
  EXPECT_EQ(approve_error(approval.id, "ada", ada_->sign(approval.statement)), "accepted");
}

TEST_F(EngineTest, AnotherPolicyEndsWhatWasAskedUnderTheOld) {
  const auto approval = asked();
  ASSERT_TRUE(engine_->approve(approval.id, "ada", ada_->sign(approval.statement)).ok());
  const auto pending = asked("promote-2");
  project_.policies["default"].budgets.clear();
  ASSERT_TRUE(engine_->load(project_).ok());
  EXPECT_EQ(approve_error(pending.id, "ada", ada_->sign(pending.statement)),
            "approval-policy-changed");
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
  what.attributes =
      doc::Value::object({{"page", std::string(100'000, 'x')}, {"cause", "unit change"}});
  EXPECT_TRUE(act(what).applied);
  EXPECT_EQ(entry(0).attributes.string_or("page"), sha256(std::string(100'000, 'x')).str());
  EXPECT_EQ(entry(0).attributes.string_or("cause"), "unit change");
}

// Not a bar, a figure: an act is one durable transaction, so it costs about one fsync of the disk
// below.
TEST_F(EngineTest, ActIsFast) {
  constexpr int kActs = 300;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kActs; ++i) act(proposal(fmt::format("op-{}", i), "source.quarantine"));
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  RecordProperty("ms_per_act", fmt::format("{:.3f}", took.count() / kActs));
}

}  // namespace
}  // namespace heddle::policy
