// What is signed is what happens: approvals of one service over real state, ledger, policy and
// objects.
#include "control/compare.hpp"
#include "control/releases_fixture.hpp"
#include "control/repairs.hpp"

namespace heddle::control {
namespace {

using Status = policy::Approval::Status;
using ApprovalsTest = fixture::ReleasesTest;

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

}  // namespace
}  // namespace heddle::control
