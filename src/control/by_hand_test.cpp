// What people do by hand about incidents and sources, and what recovery makes of what others did.
#include "control/by_hand.hpp"
#include "control/service_fixture.hpp"
#include "recover/stored.hpp"

namespace heddle::control {
namespace {

using Approved = policy::Approval::Status;
using Kind = recover::ByHand::Kind;
using Outcome = recover::Outcome;

class ByHandTest : public fixture::ServiceTest {
 protected:
  static recover::ByHand what(Kind kind, std::string text = "the feed is broken") {
    recover::ByHand out;
    out.kind = kind;
    out.text = std::move(text);
    return out;
  }
  static recover::ByHand of_source(Kind kind, std::string source, std::string account = {}) {
    recover::ByHand out = what(kind);
    out.source = std::move(source);
    out.account = std::move(account);
    return out;
  }
  static recover::ByHand of_incident(Kind kind, std::string incident) {
    recover::ByHand out = what(kind);
    out.incident = std::move(incident);
    return out;
  }
  std::string done(const recover::ByHand& act, bool again = false) {
    const auto reply = control_->act_by_hand(act, kBen, again);
    if (!reply.ok()) return reply.error().id;
    return reply->applied ? "done" : *reply->approval;
  }
  void allow(std::vector<std::string> actions) {
    spec::PolicyRule rule;
    rule.id = "people-act";
    rule.effect = spec::PolicyRule::Effect::kAllow;
    rule.who = {"person:ben"};
    rule.actions = std::move(actions);
    project_.policies["p"].rules.push_back(rule);
    ASSERT_TRUE(policy_->load(project_).ok());
  }
  void ask_for(const std::string& action) {
    spec::PolicyRule rule;
    rule.id = "ask";
    rule.effect = spec::PolicyRule::Effect::kRequireApproval;
    rule.who = {"*"};
    rule.actions = {action};
    rule.approver_role = "approver";
    project_.policies["p"].rules.push_back(rule);
    ASSERT_TRUE(policy_->load(project_).ok());
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
  Outcome::Status asked_of_recovery(const std::string& op_id, recover::What what) {
    recover::Action action;
    action.op_id = op_id;
    action.what = std::move(what);
    action.incident = "incident-0001";
    action.target = "service/s";
    action.reason = "because";
    const auto outcome = control_->effects().perform(action);
    EXPECT_TRUE(outcome.ok()) << outcome.error().str();
    last_note_ = outcome.ok() ? outcome->note : outcome.error().message;
    return outcome.ok() ? outcome->status : Outcome::Status::kRunning;
  }
  std::string last_note_;
};

TEST_F(ByHandTest, AQuarantineByHandIsOfOneAccountOrAllAndEndsByHand) {
  EXPECT_EQ(done(of_source(Kind::kQuarantine, "oen")), "source-unknown");
  EXPECT_EQ(done(of_source(Kind::kQuarantine, "one", "apq")), "account-unknown");
  EXPECT_EQ(done(of_source(Kind::kRelease, "one")), "release-not-quarantined");
  ASSERT_EQ(done(of_source(Kind::kQuarantine, "one", "app")), "done");
  EXPECT_EQ(done(of_source(Kind::kQuarantine, "one", "app")), "release-quarantined");
  ASSERT_EQ(done(of_source(Kind::kQuarantine, "default")), "done");
  const auto held = control_->quarantine_of("app", "one");
  ASSERT_TRUE(held.has_value());
  EXPECT_EQ(held->readmit_after, 0U) << "it never ends by itself";
  EXPECT_EQ(held->by, "ben");
  EXPECT_EQ(held->reason, "the feed is broken");
  EXPECT_FALSE(control_->quarantine_of("other", "one").has_value());
  EXPECT_TRUE(control_->quarantine_of("other", "default").has_value());
  // To let everybody in is another act than to let one account in.
  EXPECT_EQ(done(of_source(Kind::kRelease, "one")), "release-not-quarantined");
  open();
  EXPECT_EQ(control_->quarantine_of("app", "one")->by, "ben");
  ASSERT_EQ(done(of_source(Kind::kRelease, "one", "app")), "done");
  EXPECT_FALSE(control_->quarantine_of("app", "one").has_value());
  const auto added = entries("source.quarantine");
  ASSERT_EQ(added.size(), 2U);
  EXPECT_EQ(added[0].actor, "ben");
  EXPECT_EQ(added[0].reason, "the feed is broken");
  EXPECT_EQ(added[0].target, "source/one");
}

TEST_F(ByHandTest, PolicyDecides) {
  project_.policies["p"].rules.clear();
  ASSERT_TRUE(policy_->load(project_).ok());
  EXPECT_EQ(done(of_source(Kind::kQuarantine, "one")), "quarantine-denied");
  EXPECT_EQ(done(what(Kind::kOpen)), "incident-denied");
  EXPECT_TRUE(control_->releases().quarantined().empty());
  EXPECT_TRUE(control_->incidents()->empty());
}

TEST_F(ByHandTest, AQuestionAboutASourceIsAboutThatAccountOfThatSource) {
  ask_for("source.*");
  const auto one = done(of_source(Kind::kQuarantine, "one", "app"));
  ASSERT_TRUE(one.starts_with("approval-")) << one;
  EXPECT_EQ(done(of_source(Kind::kQuarantine, "one", "app")), one)
      << "what waits is not asked twice";
  const auto other = done(of_source(Kind::kQuarantine, "one", "other"));
  const auto two = done(of_source(Kind::kQuarantine, "two", "app"));
  EXPECT_NE(other, one);
  EXPECT_NE(two, one);
  EXPECT_NE(two, other);
  ASSERT_TRUE(policy_->reject(one, {policy::ActorType::kPerson, "ada", {"signature"}}, "no").ok());
  EXPECT_EQ(done(of_source(Kind::kQuarantine, "one", "app")), "quarantine-rejected");
  EXPECT_EQ(done(of_source(Kind::kQuarantine, "two", "app")), two)
      << "the no was to another source";
  EXPECT_EQ(yes(two), "");
  EXPECT_EQ(control_->quarantine_of("app", "two")->by, "ben");
  EXPECT_FALSE(control_->quarantine_of("app", "one").has_value());
  const auto again = done(of_source(Kind::kQuarantine, "one", "app"), true);
  ASSERT_TRUE(again.starts_with("approval-")) << again;
  EXPECT_EQ(yes(again), "");
  EXPECT_TRUE(control_->quarantine_of("app", "one").has_value());
}

TEST_F(ByHandTest, AnIncidentIsOpenedKnownCommentedAndClosed) {
  allow({"incident.*"});
  const auto opened = control_->act_by_hand(of_source(Kind::kOpen, "one", "app"), kBen);
  ASSERT_TRUE(opened.ok()) << opened.error().str();
  EXPECT_EQ(opened->incident, "incident-0001");
  EXPECT_EQ(opened->state, "by-hand");
  EXPECT_EQ(done(of_source(Kind::kQuarantine, "one", "app")), "done");
  EXPECT_EQ(done(of_source(Kind::kQuarantine, "two", "app")), "done");
  EXPECT_EQ(done(of_incident(Kind::kAcknowledge, "incident-0001")), "done");
  EXPECT_EQ(done(of_incident(Kind::kAcknowledge, "incident-0001")), "incident-acknowledged");
  open();  // nothing was saved but the decisions
  EXPECT_EQ(done(of_incident(Kind::kComment, "incident-0001")), "done");
  const auto closed = control_->act_by_hand(of_incident(Kind::kClose, "incident-0001"), kBen);
  ASSERT_TRUE(closed.ok()) << closed.error().str();
  ASSERT_EQ(closed->in_force->size(), 1U);
  EXPECT_EQ(closed->in_force->front(),
            "quarantine of source `one` of account `app`, until a person lets it in");
  EXPECT_EQ(done(of_incident(Kind::kClose, "incident-0001")), "incident-closed");
  EXPECT_EQ(done(of_incident(Kind::kAcknowledge, "incident-0001")), "incident-closed");
  EXPECT_EQ(done(of_incident(Kind::kComment, "incident-0001")), "done");
  for (const bool again : {false, true}) {
    if (again) open();
    const auto all = control_->incidents().value();
    ASSERT_EQ(all.size(), 1U);
    std::vector<std::string> said, who;
    for (const auto& each : all[0].timeline) {
      said.push_back(each.what.substr(0, each.what.find('`')));
      who.push_back(each.by);
      EXPECT_NE(each.entry, 0U) << each.what;
    }
    EXPECT_EQ(said, (std::vector<std::string>{"opened by ", "source ", "acknowledged by ",
                                              "comment by ", "closed by ", "comment by "}));
    EXPECT_EQ(who, std::vector<std::string>(6, "ben"));
    EXPECT_EQ(all[0].closed_by, "ben");
    EXPECT_EQ(all[0].step, recover::Step::kDone);
  }
  EXPECT_EQ(entries("incident.open").at(0).incident, "incident-0001");
  EXPECT_EQ(entries("incident.close").at(0).reason, "the feed is broken");
  const auto second = control_->act_by_hand(what(Kind::kOpen), kBen);
  EXPECT_EQ(second->incident, "incident-0002");
}

TEST_F(ByHandTest, ACommentReachesAnIncidentThatIsKeptElsewhere) {
  allow({"incident.*"});
  recover::Incident old;
  old.id = "incident-0007";
  old.step = recover::Step::kDone;
  ASSERT_TRUE(state_
                  ->write([&](store::Txn& txn) {
                    return txn.put(kClosedIncidents, "s/incident-0007",
                                   doc::to_json(recover::incident_schema().print(old)));
                  })
                  .ok());
  EXPECT_EQ(done(of_incident(Kind::kComment, "incident-0007")), "done");
  EXPECT_EQ(done(of_incident(Kind::kClose, "incident-0007")), "incident-closed");
  EXPECT_EQ(done(of_incident(Kind::kComment, "incident-0008")), "incident-unknown");
  const auto all = control_->incidents().value();
  ASSERT_EQ(all.size(), 1U);
  ASSERT_EQ(all[0].timeline.size(), 1U);
  EXPECT_EQ(all[0].timeline[0].what, "comment by `ben`: the feed is broken");
}

TEST_F(ByHandTest, ClosingEndsWhatTheIncidentAskedFor) {
  allow({"incident.*"});
  ASSERT_EQ(done(what(Kind::kOpen)), "done");
  ASSERT_EQ(repair().status, Outcome::Status::kWaiting);  // of incident-0001
  const auto question = newest();
  ASSERT_EQ(done(of_incident(Kind::kClose, "incident-0001")), "done");
  EXPECT_EQ(policy_->approval(question)->status, Approved::kVoid);
  EXPECT_EQ(policy_->approval(question)->void_because, "`ben` closed incident-0001");
}

TEST_F(ByHandTest, PeopleWriteDownWhatHappensWhileAServiceIsStopped) {
  allow({"incident.*"});
  ASSERT_TRUE(control_->set_stopped(true, kBen).ok());
  EXPECT_EQ(done(what(Kind::kOpen)), "done");
  EXPECT_EQ(done(of_source(Kind::kQuarantine, "one")), "quarantine-denied");
}

/// What recovery asks for and somebody else did, or made impossible, ends: it is no error that is
/// tried for ever.
TEST_F(ByHandTest, WhatSomebodyElseDidIsAnOutcome) {
  using enum Outcome::Status;
  EXPECT_EQ(asked_of_recovery("i/source.release/1", recover::ReleaseSource{"one", "app"}),
            kOvertaken);
  EXPECT_EQ(last_note_, "source `one` of account `app` is not quarantined");
  ASSERT_EQ(done(of_source(Kind::kQuarantine, "one", "app")), "done");
  EXPECT_EQ(asked_of_recovery("i/source.quarantine/1",
                              recover::QuarantineSource{"one", "app", "r", 0, 5}),
            kOvertaken);
  // The candidate was promoted by a person meanwhile.
  spec::PolicyRule rule;
  rule.id = "agents-release";
  rule.effect = spec::PolicyRule::Effect::kAllow;
  rule.who = {"agent:*"};
  rule.actions = {"release.*", "transform.*"};
  project_.policies["p"].rules = {rule, project_.policies["p"].rules[1]};
  ASSERT_TRUE(policy_->load(project_).ok());
  EXPECT_EQ(asked_of_recovery("i/release.promote/1", recover::PromoteCandidate{bundles_[0].str()}),
            kOvertaken);
  const recover::ProposeTransform shift{"shift", "distance", 0, "distance + 1"};
  EXPECT_EQ(asked_of_recovery("i/transform.propose/1", shift), kApplied);
  EXPECT_EQ(asked_of_recovery("i/transform.propose/1", shift), kApplied)
      << "the same act, after a crash";
  EXPECT_EQ(asked_of_recovery("j/transform.propose/1", shift), kOvertaken);
  EXPECT_EQ(last_note_, "what serves repairs `distance` so already");
  EXPECT_EQ(
      asked_of_recovery("i/release.promote/2", recover::PromoteCandidate{sha256("gone").str()}),
      kFailed);
}

TEST_F(ByHandTest, AnActIsInForceWhileWhatItMadeServes) {
  const auto outcome = this->swap();
  ASSERT_EQ(outcome.status, Outcome::Status::kApplied);
  EXPECT_EQ(outcome.before, bundles_[0].str());
  const recover::Act swap{"i/swap", recover::SwapInForce{outcome.before}, "i", 1, outcome.made};
  EXPECT_TRUE(control_->effects().in_force(swap));
  // Both are repaired: each is made of what it was.
  repair();
  ASSERT_EQ(yes(newest()), "");
  const auto repaired = repair();
  ASSERT_EQ(repaired.status, Outcome::Status::kApplied);
  const recover::Act transform{"i/transform", recover::TransformInForce{"distance", "shift"}, "i",
                               1};
  const recover::Act made{"i/release", recover::ReleaseInForce{}, "i", 1, repaired.made};
  for (const auto& act : {swap, transform, made})
    EXPECT_TRUE(control_->effects().in_force(act)) << act.id;
  // A person releases something else: the standby of before waits on, what took over is gone, and
  // the repair is not there.
  ASSERT_TRUE(promote(2));
  EXPECT_FALSE(control_->effects().in_force(swap));
  EXPECT_FALSE(control_->effects().in_force(transform));
  ASSERT_TRUE(promote(3, "standby"));
  for (const auto& act : {swap, transform, made})
    EXPECT_FALSE(control_->effects().in_force(act)) << act.id;
}

TEST_F(ByHandTest, AQuestionAboutASwapIsOneUntilItsFactsChange) {
  project_.services["s"].autonomy = "propose";
  ASSERT_TRUE(policy_->load(project_).ok());
  open();
  ASSERT_EQ(swap().status, Outcome::Status::kWaiting);
  const auto first = newest();
  ASSERT_EQ(swap().status, Outcome::Status::kWaiting);
  EXPECT_EQ(newest(), first);
  ASSERT_TRUE(promote(2, "standby"));  // the other end of the swap is another
  EXPECT_EQ(policy_->approval(first)->status, Approved::kVoid);
  ASSERT_EQ(swap().status, Outcome::Status::kWaiting);
  const auto second = newest();
  EXPECT_NE(second, first);
  std::vector<std::string> results;
  for (const auto& entry : entries("approval.void")) results.push_back(entry.approval);
  EXPECT_EQ(results, std::vector<std::string>{first});
}

TEST(Reason, IsOneLineOfText) {
  const auto with = [](const std::string& text) {
    const auto reason = checked_reason(text);
    return reason.ok() ? *reason : reason.error().id;
  };
  EXPECT_EQ(with("Zürich: die Uhr geht vor – seit heute"), "Zürich: die Uhr geht vor – seit heute");
  EXPECT_EQ(with(std::string(2'000, 'a')).size(), 2'000U);
  for (const char* bad : {"", "  ", "a\nb", "a\x1b[2Jb", "a\x7f",
                          "a\xc2\x9b"
                          "2J"})
    EXPECT_EQ(with(bad), "reason-malformed");
  EXPECT_EQ(with(std::string(2'001, 'a')), "reason-malformed");
}

}  // namespace
}  // namespace heddle::control
