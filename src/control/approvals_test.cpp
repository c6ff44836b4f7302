// What is signed is what happens: approvals of one service over real state, ledger, policy and
// objects.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/objects/layout.hpp"
#include "adapters/sqlite/state.hpp"
#include "base/file.hpp"
#include "base/ids.hpp"
#include "bundle/bundle.hpp"
#include "control/compare.hpp"
#include "control/outbox.hpp"
#include "control/repairs.hpp"
#include "control/service_control.hpp"
#include "doc/json.hpp"
#include "policy/ssh_key_fixture.hpp"
#include "score/bundle_fixture.hpp"
#include "watch/baseline.hpp"

namespace heddle::control {
namespace {

using Status = policy::Approval::Status;

class ApprovalsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ada_ = std::make_unique<policy::SshKey>("ada"); }
  static void TearDownTestSuite() { ada_.reset(); }

  void SetUp() override {
    home_.emplace(testing::TempDir() + uuid7());
    ASSERT_TRUE(make_dirs(home_->dir() + "/keys").ok());
    project_.contracts["c"] = score::fixture::contract();
    project_.feature_sets["f"].contract = "c";
    project_.models["m"].features = "f";
    project_.monitors["w"].service = "s";
    auto& service = project_.services["s"];
    service.identity.name = "s";
    service.model = "m";
    service.monitor = "w";
    service.autonomy = "act";
    service.canary.steps = {500, 2'500};
    spec::PolicyRule ask;
    ask.id = "a-person-says-yes";
    ask.effect = spec::PolicyRule::Effect::kRequireApproval;
    ask.who = {"person:*", "agent:*"};
    ask.actions = {"release.*", "canary.start", "shadow.*", "transform.propose"};
    ask.approver_role = "approver";
    spec::PolicyRule allow;
    allow.id = "agents-act";
    allow.effect = spec::PolicyRule::Effect::kAllow;
    allow.who = {"agent:*", "person:*"};
    allow.actions = {"slot.swap", "source.*"};
    project_.policies["p"].rules = {ask, allow};
    project_.people = {{"ada", {"approver"}, {ada_->public_key()}}, {"ben", {}, {}}};
    state_ = adapters::open_sqlite_state(home_->state()).value();
    objects_ = adapters::open_layout(home_->objects()).value();
    key_ = Ed25519Key::from_seed(std::string(32, '\5')).value();
    const ledger::Ledger::Options options{home_->dir() + "/tiles", "tiny",
                                          Ed25519Key::from_seed(std::string(32, '\3')).value(),
                                          &system_clock()};
    ledger_ = ledger::Ledger::open(*state_, options).value();
    policy_ = policy::LocalEngine::open(*state_, *ledger_, project_, system_clock()).value();
    outbox_ = Outbox::open(*state_, {}).value();
    for (int i = 0; i < 4; ++i) bundles_.push_back(pack(0.25 * i));
    open();
    ASSERT_TRUE(promote(0));
    ASSERT_TRUE(promote(1, "standby"));
  }
  Digest pack(double intercept) {
    const auto made =
        bundle::open(*objects_, score::fixture::pack(*objects_, intercept).value()).value();
    auto layers = made.layers();
    layers.push_back(
        {std::string(bundle::kBaseline), "", doc::to_json(watch::Baseline{}.to_value())});
    layers.push_back({std::string(bundle::kEvaluation), "", R"({"passed": true})"});
    layers.push_back({std::string(bundle::kStatements), "", "[]"});
    return bundle::pack(*objects_, std::move(layers), made.config()).value();
  }
  void open() {
    control_.reset();
    auto opened = ServiceControl::open({&*home_, &project_, state_.get(), objects_.get(), nullptr,
                                        nullptr, policy_.get(), outbox_.get(), &key_, ""},
                                       project_.services.at("s"));
    ASSERT_TRUE(opened.ok()) << opened.error().str();
    control_ = std::move(*opened);
  }
  /// The id of the approval that a command asked for, or of the error.
  static std::string asked(const Result<doc::Value>& reply) {
    return reply.ok() ? reply->string_or("approval") : reply.error().id;
  }
  std::string ask(int bundle, const std::string& slot = "primary", bool again = false) {
    return asked(
        control_->promote(bundles_[static_cast<std::size_t>(bundle)], slot, 0, kBen, again));
  }
  /// Ada's yes and what it allows; the error's id, or empty.
  std::string yes(const std::string& approval) {
    const auto found = policy_->approval(approval);
    if (!found.ok()) return found.error().id;
    const auto given = policy_->approve(approval, "ada", ada_->sign(found->statement));
    if (!given.ok()) return given.error().id;
    const auto applied = control_->resume_promotion(approval);
    return applied.ok() ? "" : applied.error().id;
  }
  bool promote(int bundle, const std::string& slot = "primary") {
    return yes(ask(bundle, slot)).empty();
  }
  Status status(const std::string& approval) { return policy_->approval(approval)->status; }

  recover::Outcome recover(const std::string& type, doc::Value attributes) {
    recover::Action action;
    action.op_id = "incident-0001/" + type;
    action.type = type;
    action.incident = "incident-0001";
    action.target = "service/s";
    action.attributes = std::move(attributes);
    action.evidence = {sha256("finding")};
    action.reason = "because";
    const auto outcome = control_->perform(action);
    EXPECT_TRUE(outcome.ok()) << outcome.error().str();
    return outcome.ok() ? *outcome : recover::Outcome{};
  }
  recover::Outcome swap() { return recover("slot.swap", doc::Value::object()); }
  recover::Outcome repair() {
    return recover("transform.propose",
                   doc::Value::object(
                       {{"id", "shift"}, {"field", "distance"}, {"expression", "distance + 1"}}));
  }
  recover::Outcome promote_retrained() {
    return recover("release.promote",
                   doc::Value::object({{"bundle", bundles_[3].str()}, {"slot", "primary"}}));
  }
  std::string newest() { return policy_->approvals()->back().id; }

  static inline std::unique_ptr<policy::SshKey> ada_;
  const policy::Actor kBen{policy::ActorType::kPerson, "ben", {"os-user:ben"}};
  std::optional<Home> home_;
  spec::Project project_;
  std::unique_ptr<store::State> state_;
  std::unique_ptr<store::Objects> objects_;
  Ed25519Key key_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<policy::LocalEngine> policy_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<ServiceControl> control_;
  std::vector<Digest> bundles_;
};

TEST_F(ApprovalsTest, AQuestionEndsWithTheAlertItWasAskedFor) {
  ASSERT_EQ(repair().status, recover::Outcome::Status::kWaiting);
  const auto asked = policy_->approval(newest()).value();
  const std::string op_id = asked.op_id.substr(asked.op_id.find('/') + 1);
  (void)recover("incident.lapse", doc::Value::object({{"op_id", op_id}}));
  const auto closed = policy_->approval(asked.id).value();
  EXPECT_EQ(closed.status, policy::Approval::Status::kVoid);
  EXPECT_FALSE(policy_->approve(asked.id, "ada", ada_->sign(asked.statement)).ok());
}

TEST_F(ApprovalsTest, NobodyIsAskedForWhatIsSoAlready) {
  const auto before = policy_->approvals()->size();
  EXPECT_EQ(ask(0), "release-is-primary");
  EXPECT_EQ(ask(1, "standby"), "release-in-use");
  EXPECT_EQ(ask(0, "standby"), "release-in-use");
  EXPECT_EQ(ask(0, "canary"), "release-in-use");
  EXPECT_EQ(ask(0, "shadow"), "release-in-use");
  EXPECT_EQ(asked(control_->set_shadow({}, kBen)), "release-in-use");
  EXPECT_EQ(asked(control_->abort_canary(kBen)), "release-no-canary");
  EXPECT_EQ(asked(control_->roll_back(kBen)), "rollback-no-target");
  EXPECT_EQ(policy_->approvals()->size(), before);
}

TEST_F(ApprovalsTest, OfTwoQuestionsTheOneThatIsAnsweredEndsTheOther) {
  const auto older = ask(2), newer = ask(3), standby = ask(2, "standby"), canary = ask(2, "canary"),
             shadow = ask(2, "shadow");
  EXPECT_EQ(ask(2), older);  // what waits is not asked twice
  ASSERT_EQ(yes(newer), "");
  EXPECT_EQ(control_->releases().primary(), bundles_[3]);
  for (const auto& moot : {older, standby, canary}) {
    EXPECT_EQ(status(moot), Status::kVoid) << moot;
    EXPECT_EQ(yes(moot), "approval-void") << moot;
  }
  EXPECT_EQ(status(shadow), Status::kPending);  // it says nothing about the primary
  const auto closed = policy_->approval(older)->void_because;
  EXPECT_EQ(closed, fmt::format("`primary` was `{}` when it was asked and is `{}` now",
                                bundles_[0].str(), bundles_[3].str()));
  std::vector<std::string> results;
  ASSERT_TRUE(ledger_
                  ->read(0,
                         [&](const ledger::Entry& entry) {
                           if (entry.approval == older) results.push_back(entry.result);
                           return true;
                         })
                  .ok());
  EXPECT_EQ(results, (std::vector<std::string>{"requested", "void"}));
  EXPECT_EQ(control_->releases().primary(), bundles_[3]);
}

TEST_F(ApprovalsTest, ARestartAppliesNothingThatWasNotAboutToBe) {
  const auto stale = ask(2);
  // A yes whose act could not follow, because the process ended there; then another release, then
  // the restart.
  ASSERT_TRUE(policy_->approve(stale, "ada", ada_->sign(policy_->approval(stale)->statement)).ok());
  ASSERT_TRUE(promote(3));
  EXPECT_EQ(status(stale), Status::kVoid);
  open();
  const auto resumed = control_->resume_promotion(stale);
  EXPECT_EQ(resumed.error().id, "approval-void");
  EXPECT_EQ(control_->releases().primary(), bundles_[3]);
  // One that was about to be, is.
  const auto fresh = ask(2);
  ASSERT_TRUE(policy_->approve(fresh, "ada", ada_->sign(policy_->approval(fresh)->statement)).ok());
  open();
  EXPECT_TRUE(control_->resume_promotion(fresh).value());
  EXPECT_EQ(control_->releases().primary(), bundles_[2]);
  // And a stop ends what was said yes to and not done.
  const auto before_stop = ask(3);
  ASSERT_TRUE(
      policy_->approve(before_stop, "ada", ada_->sign(policy_->approval(before_stop)->statement))
          .ok());
  ASSERT_TRUE(control_->set_stopped(true, kBen).ok());
  EXPECT_EQ(status(before_stop), Status::kVoid);
}

TEST_F(ApprovalsTest, ARollbackIsBoundToBothEnds) {
  ASSERT_TRUE(promote(2));
  const auto back = asked(control_->roll_back(kBen));
  const auto statement = doc::parse_json(policy_->approval(back)->statement).value();
  EXPECT_EQ(statement.find("binds")->string_or("primary"), bundles_[2].str());
  EXPECT_EQ(statement.find("binds")->string_or("rollback"), bundles_[0].str());
  EXPECT_EQ(statement.string_or("rollback"), bundles_[2].str());  // where it can be undone to
  swap();
  EXPECT_EQ(yes(back), "approval-void");
  EXPECT_EQ(control_->releases().primary(), bundles_[1]);
}

TEST_F(ApprovalsTest, TheEvidenceOfABundleIsInTheStatement) {
  const auto approval = policy_->approval(ask(2)).value();
  ASSERT_EQ(approval.evidence.size(), 3U);
  EXPECT_EQ(approval.evidence[0].name, "evaluation.json");
  // Nothing was recorded yet: that is what the comparison says, under the signature.
  EXPECT_EQ(approval.evidence[2].name, kComparisonEvidence);
  const auto comparison =
      doc::parse_json(objects_->get(approval.evidence[2].digest).value()).value();
  EXPECT_EQ(comparison.string_or("base"), bundles_[0].str());
  EXPECT_EQ(comparison.string_or("candidate"), bundles_[2].str());
  EXPECT_FALSE(comparison.bool_or("compared", true));
  EXPECT_NE(comparison.string_or("why"), "");
  EXPECT_EQ(approval.evidence[0].digest, sha256(R"({"passed": true})"));
  const auto statement = doc::parse_json(approval.statement).value();
  EXPECT_EQ(statement.string_or("evidence_root"), policy::evidence_root(approval.evidence).str());
  EXPECT_NE(statement.string_or("evidence_root"), sha256("").str());
}

TEST_F(ApprovalsTest, ARepairSurvivesASwapAndRepairsEachOfTheTwo) {
  EXPECT_EQ(repair().status, recover::Outcome::Status::kWaiting);
  const auto approval = newest();
  const auto subjects = policy_->approval(approval)->subjects;
  ASSERT_EQ(swap().status, recover::Outcome::Status::kApplied);
  EXPECT_EQ(repair().status, recover::Outcome::Status::kWaiting);
  EXPECT_EQ(newest(), approval);  // two event days later it is the same question
  EXPECT_EQ(yes(approval), "");
  EXPECT_EQ(repair().status, recover::Outcome::Status::kApplied);
  // The standby answers since the swap, and goes on answering, repaired.
  EXPECT_EQ(control_->releases().primary(), subjects.at(1).digest);
  EXPECT_EQ(control_->releases().standby(), subjects.at(0).digest);
}

TEST_F(ApprovalsTest, ARepairOfWhatIsReplacedIsMadeAndAskedAnew) {
  repair();
  const auto before = newest();
  ASSERT_TRUE(promote(2));
  EXPECT_EQ(status(before), Status::kVoid);
  EXPECT_EQ(repair().status, recover::Outcome::Status::kWaiting);
  const auto anew = newest();
  ASSERT_NE(anew, before);
  EXPECT_NE(policy_->approval(anew)->subjects.at(0).digest,
            policy_->approval(before)->subjects.at(0).digest);
  EXPECT_EQ(yes(before), "approval-void");
  ASSERT_EQ(yes(anew), "");
  EXPECT_EQ(repair().status, recover::Outcome::Status::kApplied);
  const auto made = bundle::open(*objects_, control_->releases().primary()).value();
  EXPECT_EQ(made.config().string_or("derived_from"), bundles_[2].str());
}

TEST_F(ApprovalsTest, ARetrainedCandidateIsAskedAnewWhenThePrimaryIsAnother) {
  promote_retrained();
  const auto before = newest();
  swap();
  EXPECT_EQ(status(before), Status::kVoid);
  EXPECT_EQ(promote_retrained().status, recover::Outcome::Status::kWaiting);
  const auto anew = newest();
  const auto statement = doc::parse_json(policy_->approval(anew)->statement).value();
  EXPECT_EQ(statement.string_or("rollback"), bundles_[1].str());
  ASSERT_EQ(yes(anew), "");
  EXPECT_EQ(promote_retrained().status, recover::Outcome::Status::kApplied);
  EXPECT_EQ(control_->releases().primary(), bundles_[3]);
}

TEST_F(ApprovalsTest, WhatWasRejectedIsAskedAgainByWhoSaysSo) {
  const auto no = ask(2);
  ASSERT_TRUE(
      policy_->reject(no, {policy::ActorType::kPerson, "ada", {"signature"}}, "not on a Friday")
          .ok());
  const auto refused = control_->promote(bundles_[2], "primary", 0, kBen);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().id, "release-rejected");
  EXPECT_NE(refused.error().message.find("not on a Friday"), std::string::npos);
  EXPECT_NE(refused.error().hint.find("--again"), std::string::npos);
  const auto again = ask(2, "primary", true);
  ASSERT_TRUE(again.starts_with("approval-")) << again;
  ASSERT_NE(again, no);
  EXPECT_NE(policy_->approval(again)->reason.find("not on a Friday"), std::string::npos);
  EXPECT_EQ(ask(2), again);
  EXPECT_EQ(yes(again), "");
  EXPECT_EQ(control_->releases().primary(), bundles_[2]);
}

TEST_F(ApprovalsTest, AReleaseThatDropsARepairSaysSoAndItIsSigned) {
  repair();
  ASSERT_EQ(yes(newest()), "");
  ASSERT_EQ(repair().status, recover::Outcome::Status::kApplied);
  const std::string dropped = "transform `shift` of `distance`: distance + 1";
  const auto says_so = [&](const Result<doc::Value>& reply) {
    ASSERT_TRUE(reply.ok()) << reply.error().str();
    const auto& drops = reply->find("drops_repairs")->as_array();
    ASSERT_EQ(drops.size(), 1U);
    EXPECT_EQ(drops[0].as_string(), dropped);
    const auto approval = policy_->approval(reply->string_or("approval")).value();
    EXPECT_NE(approval.reason.find(dropped), std::string::npos) << approval.reason;
    const auto& last = approval.evidence.back();
    EXPECT_EQ(last.name, kRepairsEvidence);
    EXPECT_NE(objects_->get(last.digest)->find(dropped.substr(0, 10)), std::string::npos);
  };
  says_so(control_->promote(bundles_[2], "primary", 0, kBen));
  says_so(control_->promote(bundles_[2], "standby", 0, kBen));
  says_so(control_->promote(bundles_[3], "canary", 0, kBen));
  // Of the same question again, the same answer.
  says_so(control_->promote(bundles_[2], "primary", 0, kBen));
  ASSERT_TRUE(promote(2));
  // What replaced it has no repair to be dropped.
  const auto next = control_->promote(bundles_[3], "primary", 0, kBen);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->find("drops_repairs")->size(), 0U);
}

/// Policy lets recovery promote by itself.
class AutomaticTest : public ApprovalsTest {
 protected:
  void SetUp() override {
    ApprovalsTest::SetUp();
    auto& rules = project_.policies["p"].rules;
    rules[0].who = {"person:*"};
    spec::PolicyRule free;
    free.id = "recovery-promotes";
    free.effect = spec::PolicyRule::Effect::kAllow;
    free.who = {"agent:recover"};
    free.actions = {"release.promote"};
    rules.push_back(free);
    ASSERT_TRUE(policy_->load(project_).ok());
  }
  /// Labelled rows of the recorded traffic, read by the control plane.
  void record(int rows) {
    static const std::vector<std::string> kOrigins = {"ABQ", "LAX", "JFK", "ORD", "SEA"};
    plane::JournalWriter::Options options;
    options.dir = home_->spool("s");
    options.fields = {"date", "origin", "distance"};
    const auto writer = *plane::JournalWriter::open(options);
    const Micros begin = *parse_time("2001-06-01");
    for (int i = 0; i < rows; ++i) {
      plane::RequestRecord request;
      request.request_id = fmt::format("r-{}", i);
      request.event_time = begin + i * kMinute;
      plane::RowRecord row;
      row.fields.resize(3);
      row.fields[0].kind = row.fields[1].kind = expr::Datum::Kind::kString;
      row.fields[0].s = format_time(request.event_time);
      row.fields[1].s = kOrigins[static_cast<std::size_t>(i % 5)];
      row.fields[2].kind = expr::Datum::Kind::kInt;
      row.fields[2].i = 100 + 300 * (i % 5);
      request.rows = {row};
      writer->append(request);
      writer->append(plane::LabelRecord{fmt::format("r-{}#0", i), i % 2 == 0 ? 1.0 : 0.0,
                                        request.event_time + kMinute});
    }
    ASSERT_TRUE(writer->commit().ok());
    now_ = begin + rows * kMinute + kHour;
    for (auto more = control_->pump();; more = control_->pump()) {
      ASSERT_TRUE(more.ok()) << more.error().str();
      if (!*more) break;
    }
  }
  recover::Outcome promote_automatically(const Digest& bundle) {
    recover::Action action;
    action.op_id = "incident-0001/release.promote/" + bundle.short_str();
    action.type = "release.promote";
    action.incident = "incident-0001";
    action.target = "service/s";
    action.attributes = doc::Value::object({{"bundle", bundle.str()}, {"slot", "primary"}});
    action.reason = "because";
    action.event_time = now_;
    const auto outcome = control_->perform(action);
    EXPECT_TRUE(outcome.ok()) << outcome.error().str();
    return outcome.ok() ? *outcome : recover::Outcome{};
  }
  /// The comparison among the evidence of the last entry about a promotion, and what it says.
  std::string verdict_on_record() {
    std::string verdict = "no comparison";
    EXPECT_TRUE(ledger_
                    ->read(0,
                           [&](const ledger::Entry& entry) {
                             if (entry.action != "release.promote") return true;
                             for (const auto& [name, digest] : entry.evidence) {
                               if (name != kComparisonEvidence) continue;
                               const auto value = doc::parse_json(*objects_->get(digest)).value();
                               verdict = value.string_or("verdict", "none");
                               EXPECT_EQ(entry.attributes.string_or("comparison", "none"), verdict);
                             }
                             return true;
                           })
                    .ok());
    return verdict;
  }

  Micros now_ = 0;
};

TEST_F(AutomaticTest, ACandidateThatClearlyLosesIsForAPerson) {
  record(600);
  const Digest wild = pack(8);
  EXPECT_EQ(promote_automatically(wild).status, recover::Outcome::Status::kWaiting);
  EXPECT_EQ(control_->releases().primary(), bundles_[0]);
  EXPECT_EQ(verdict_on_record(), "worse");
  const auto asked = policy_->approval(newest()).value();
  EXPECT_NE(asked.reason.find("clearly above"), std::string::npos) << asked.reason;
  EXPECT_GT(asked.expires, asked.asked);  // the question ends by itself
  // At the next tick it is the same question, with the evidence of then.
  record(600);
  EXPECT_EQ(promote_automatically(wild).status, recover::Outcome::Status::kWaiting);
  EXPECT_EQ(newest(), asked.id);
  // The yes is the one that the project asks for whenever somebody promotes.
  ASSERT_EQ(yes(asked.id), "");
  EXPECT_EQ(promote_automatically(wild).status, recover::Outcome::Status::kApplied);
  EXPECT_EQ(control_->releases().primary(), wild);
}

TEST_F(AutomaticTest, WhatDoesNotLoseIsPromotedWithTheComparisonOnRecord) {
  record(600);
  ASSERT_EQ(promote_automatically(pack(8)).status, recover::Outcome::Status::kWaiting);
  EXPECT_EQ(promote_automatically(pack(0.01)).status, recover::Outcome::Status::kApplied);
  EXPECT_NE(verdict_on_record(), "worse");
  EXPECT_NE(verdict_on_record(), "no comparison");
}

TEST_F(AutomaticTest, WithoutLabelsThereIsNothingToLoseBy) {
  EXPECT_EQ(promote_automatically(pack(8)).status, recover::Outcome::Status::kApplied);
  EXPECT_EQ(verdict_on_record(), "none");
}

TEST_F(ApprovalsTest, GatesThatWereJudgedAgainstAnotherPrimaryAreNamed) {
  const auto with_base = [&](const std::string& base) {
    const auto made = bundle::open(*objects_, pack(1.5)).value();
    auto layers = made.layers();
    for (auto& layer : layers) {
      if (layer.title != bundle::kEvaluation) continue;
      layer.bytes = doc::to_json(doc::Value::object(
          {{"passed", true},
           {"base", doc::Value::object({{"bundle", base}, {"measured", true}})},
           {"gates",
            doc::Value::array(
                {doc::Value::object(
                     {{"id", "no-worse"}, {"when", "metrics.auc >= base.auc"}, {"passed", true}}),
                 doc::Value::object(
                     {{"id", "good"}, {"when", "metrics.auc > 0.5"}, {"passed", true}})})}}));
    }
    return bundle::pack(*objects_, std::move(layers), made.config()).value();
  };
  const auto reason = [&](const Digest& bundle) {
    const auto reply = control_->promote(bundle, "primary", 0, kBen);
    EXPECT_TRUE(reply.ok()) << reply.error().str();
    return reply->string_or("reason");
  };
  EXPECT_EQ(reason(with_base(bundles_[0].str())).find("gates"), std::string::npos);
  const auto stale = reason(with_base(bundles_[1].str()));
  EXPECT_NE(
      stale.find("its gates `no-worse` were judged against " + bundles_[1].str().substr(0, 19)),
      std::string::npos)
      << stale;
  EXPECT_NE(reason(with_base("")).find("judged against nothing"), std::string::npos);
}

}  // namespace
}  // namespace heddle::control
