// What is signed is what happens: approvals of one service over real state, ledger, policy and
// objects.
#include "control/compare.hpp"
#include "control/repairs.hpp"
#include "control/service_fixture.hpp"
#include "evaluate/evidence_format.hpp"
#include "plane/route.hpp"

namespace heddle::control {
namespace {

using Status = policy::Approval::Status;
using ApprovalsTest = fixture::ServiceTest;

TEST_F(ApprovalsTest, AQuestionEndsWithTheAlertItWasAskedFor) {
  ASSERT_EQ(repair().status, recover::Outcome::Status::kWaiting);
  const auto asked = policy_->approval(newest()).value();
  const std::string op_id = asked.op_id.substr(asked.op_id.find('/') + 1);
  (void)recover(recover::Lapse{op_id});
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

TEST_F(ApprovalsTest, ADecisionCostsTheSameHoweverManyApprovalsThereWere) {
  const auto rows_of = [&](const std::function<void()>& act) {
    const auto before = disk_->rows;
    act();
    return disk_->rows - before;
  };
  const auto ask_again = [&] {
    const auto asked = ask(2, "primary", true);
    ASSERT_TRUE(asked.starts_with("approval-")) << asked;
    const auto shown = policy_->approval(asked).value();  // as `approval show` of the whole name
    ASSERT_TRUE(
        policy_->reject(shown.id, {policy::ActorType::kPerson, "ada", {"signature"}}, "no").ok());
  };
  const auto propose = [&] { (void)recover(recover::Recalibrate{{0.25}}); };
  ask_again();
  propose();
  ask_again();  // there is an answer now, and a question that waits
  const auto few = rows_of(ask_again), few_proposed = rows_of(propose);
  for (int i = 0; i < 20; ++i) ask_again();
  EXPECT_EQ(rows_of(ask_again), few);
  EXPECT_EQ(rows_of(propose), few_proposed);
  EXPECT_EQ(policy_->approvals()->size(), 27U);
  // A start finds the open one, and the answers, without reading the others.
  EXPECT_EQ(rows_of([&] {
              policy_ = policy::LocalEngine::open(*state_, *ledger_, project_, clock_).value();
            }),
            1U);
  open();
  EXPECT_EQ(ask(2), "release-rejected");
  EXPECT_EQ(policy_->open_approvals()->size(), 1U);
}

TEST_F(ApprovalsTest, WhatIsFoundByApprovalsIsMadeAnewWhereItIsNotThere) {
  const auto refused = ask(2);
  ASSERT_TRUE(
      policy_->reject(refused, {policy::ActorType::kPerson, "ada", {"signature"}}, "no").ok());
  const auto open_one = ask(3);
  ASSERT_TRUE(state_
                  ->write([](store::Txn& txn) -> Result<void> {
                    for (const char* collection : {"policy.count", "policy.open", "policy.asked",
                                                   "policy.answered", "policy.released"}) {
                      std::vector<std::string> keys;
                      HEDDLE_TRY(txn.scan(collection, "", [&](std::string_view key, auto) {
                        keys.emplace_back(key);
                        return true;
                      }));
                      EXPECT_FALSE(keys.empty()) << collection;
                      for (const auto& key : keys) HEDDLE_TRY(txn.erase(collection, key));
                    }
                    return {};
                  })
                  .ok());
  open_parts();
  open();
  EXPECT_EQ(ask(2), "release-rejected");
  EXPECT_EQ(ask(3), open_one);
  EXPECT_TRUE(*policy_->released_by_a_person("s", bundles_[0]));
  EXPECT_FALSE(*policy_->released_by_a_person("s", bundles_[3]));
  EXPECT_FALSE(*policy_->released_by_a_person("t", bundles_[0]));
  EXPECT_EQ(ask(3, "shadow"), "approval-0005");
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

TEST_F(ApprovalsTest, StopsOfWhatIsStoppedAreOneEntry) {
  const auto journal = plane::JournalWriter::open({.dir = home_->spool("s"), .fields = {}}).value();
  const auto stop_on_data_plane = [&](const char* id) {
    journal->append(plane::StopRecord{"s", "stopper", id});
    ASSERT_TRUE(journal->commit().ok());
  };
  const auto read = [&] {
    while (control_->pump().value()) {
    }
  };
  const auto first = control_->set_stopped(true, kBen).value();
  const auto entries = ledger_->size().value();
  const auto version = control_->releases().version();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(control_->set_stopped(true, kBen)->entry, first.entry);
    stop_on_data_plane("stop-1");
    read();
  }
  EXPECT_EQ(ledger_->size().value(), entries);
  EXPECT_EQ(control_->releases().version(), version);
  // The stop of the data plane stands there until a table names it: the next one does, also after a
  // restart here.
  open();
  EXPECT_TRUE(control_->set_stopped(false, kBen)->applied);
  EXPECT_FALSE(control_->releases().stopped());
  const auto table = plane::read_route(home_->route("s"), key_.public_key).value();
  EXPECT_FALSE(table.stopped);
  EXPECT_EQ(table.acknowledged.back(), "stop-1");
  // It is read again from the last snapshot, and stops nothing.
  open();
  read();
  EXPECT_FALSE(control_->releases().stopped());
  // One that is not read yet when a person resumes is one that she resumes in spite of.
  ASSERT_TRUE(control_->set_stopped(true, kBen).ok());
  stop_on_data_plane("stop-2");
  EXPECT_TRUE(control_->set_stopped(false, kBen)->applied);
  read();
  EXPECT_FALSE(control_->releases().stopped());
  EXPECT_EQ(plane::read_route(home_->route("s"), key_.public_key)->acknowledged.back(), "stop-2");
  // And a new one is a new decision.
  const auto before = ledger_->size().value();
  stop_on_data_plane("stop-3");
  read();
  EXPECT_TRUE(control_->releases().stopped());
  EXPECT_EQ(ledger_->size().value(), before + 1);
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
  EXPECT_EQ(approval.evidence[0].digest, sha256(bundle::fixture::kPassed));
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
  EXPECT_EQ(made.config().derived_from, bundles_[2]);
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

TEST_F(ApprovalsTest, ARetrainIsAskedAnewWhenWhatItStartsFromIsAnother) {
  project_.policies["p"].rules[0].actions.push_back("retrain.start");
  ASSERT_TRUE(policy_->load(project_).ok());
  const auto retrain = [&] { return recover(recover::StartRetrain{1, 500, 2}); };
  ASSERT_EQ(retrain().status, recover::Outcome::Status::kWaiting);
  const auto before = newest();
  swap();
  EXPECT_EQ(status(before), Status::kVoid);
  EXPECT_EQ(retrain().status, recover::Outcome::Status::kWaiting);
  EXPECT_NE(newest(), before);
}

TEST_F(ApprovalsTest, WhoJoinsAQuestionDoesNotBecomeWhoAsked) {
  const auto asked_first = ask(2);
  const policy::Actor ada{policy::ActorType::kPerson, "ada", {"os-user:ada"}};
  EXPECT_EQ(asked(control_->promote(bundles_[2], "primary", 0, ada)), asked_first);
  ASSERT_EQ(yes(asked_first), "");
  std::string actor;
  ASSERT_TRUE(ledger_
                  ->read(0,
                         [&](const ledger::Entry& entry) {
                           if (entry.approval == asked_first && entry.result == "applied")
                             actor = entry.actor;
                           return true;
                         })
                  .ok());
  EXPECT_EQ(actor, "ben") << "ada said yes to what ben asked, not to what she asked herself";
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

TEST_F(ApprovalsTest, ANoStandsUntilSomebodyAnswersOtherwise) {
  const policy::Actor ada{policy::ActorType::kPerson, "ada", {"signature"}};
  ASSERT_TRUE(policy_->reject(ask(2), ada, "not on a Friday").ok());
  // Asked in spite of it, and nobody answered: that takes no answer back.
  const auto unanswered = ask(2, "primary", true);
  clock_.at += 8 * kDay;
  EXPECT_EQ(ask(2), "release-rejected");
  EXPECT_EQ(status(unanswered), Status::kExpired) << "its time is over, whoever looks";
  const auto overtaken = ask(2, "primary", true);
  ASSERT_TRUE(promote(3));
  EXPECT_EQ(status(overtaken), Status::kVoid);
  EXPECT_EQ(ask(2), "release-rejected");
  // A yes does.
  ASSERT_EQ(yes(ask(2, "primary", true)), "");
  ASSERT_TRUE(promote(3));
  EXPECT_TRUE(ask(2).starts_with("approval-"));
}

TEST_F(ApprovalsTest, WhatIsKeptOfReleasesDoesNotGrowWithThem) {
  const auto kept = [&] {
    std::size_t bytes = 0;
    EXPECT_TRUE(state_
                    ->read([&](store::Txn& txn) -> Result<void> {
                      HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get("releases", "s"));
                      bytes = row ? row->size() : 0;
                      return {};
                    })
                    .ok());
    return bytes;
  };
  ASSERT_TRUE(promote(2));
  const auto before = kept();
  for (int i = 0; i < 5; ++i) {
    bundles_.push_back(pack(2 + 0.25 * i));
    ASSERT_TRUE(promote(4 + i));
  }
  EXPECT_LT(kept(), before + 20) << "a version has more digits, nothing else is more";
  // What was released once is known by the routes there were.
  EXPECT_TRUE(control_->was_released(bundles_[4]).value());
  EXPECT_FALSE(control_->was_released(bundles_[3]).value());
  ASSERT_TRUE(asked(control_->roll_back(kBen)).starts_with("approval-"));
  open();
  ASSERT_EQ(yes(newest()), "");
  EXPECT_EQ(control_->releases().primary(), bundles_[7]);
}

TEST_F(ApprovalsTest, AReleaseThatDropsARepairSaysSoAndItIsSigned) {
  repair();
  ASSERT_EQ(yes(newest()), "");
  ASSERT_EQ(repair().status, recover::Outcome::Status::kApplied);
  const std::string dropped = "transform `shift` of `distance`: distance + 1";
  const auto says_so = [&](const Result<Asked>& reply) {
    ASSERT_TRUE(reply.ok()) << reply.error().str();
    const auto& drops = *reply->drops_repairs;
    ASSERT_EQ(drops.size(), 1U);
    EXPECT_EQ(drops[0], dropped);
    const auto approval = policy_->approval(reply->approval).value();
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
  EXPECT_EQ(next->drops_repairs->size(), 0U);
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
      writer->append(
          plane::LabelRecord{fmt::format("r-{}#0", i), i % 2 == 0, request.event_time + kMinute});
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
    action.incident = "incident-0001";
    action.target = "service/s";
    action.what = recover::PromoteCandidate{bundle.str()};
    action.reason = "because";
    action.event_time = now_;
    return performed(std::move(action));
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
      evaluate::Evidence evidence;
      evidence.passed = true;
      evidence.base = evaluate::BaseEvidence{.bundle = base};
      evidence.gates = {{"no-worse", true, "metrics.auc >= base.auc"},
                        {"good", true, "metrics.auc > 0.5"}};
      layer.bytes = doc::to_json(evaluate::evidence_schema().print(evidence));
    }
    return bundle::pack(*objects_, std::move(layers), made.config()).value();
  };
  const auto reason = [&](const Digest& bundle) {
    const auto reply = control_->promote(bundle, "primary", 0, kBen);
    EXPECT_TRUE(reply.ok()) << reply.error().str();
    return reply->reason;
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
