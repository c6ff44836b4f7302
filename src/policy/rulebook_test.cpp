#include "policy/rulebook.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <tuple>

#include "spec/load.hpp"

namespace heddle::policy {
namespace {

using Kind = spec::PolicyRule::Effect;

spec::PolicyRule rule(std::string id, Kind effect, std::vector<std::string> who,
                      std::vector<std::string> actions, std::string when = {},
                      std::vector<std::string> targets = {}) {
  spec::PolicyRule made;
  made.id = std::move(id);
  made.effect = effect;
  made.who = std::move(who);
  made.actions = std::move(actions);
  made.targets = std::move(targets);
  if (!when.empty()) made.when = spec::Expression{std::move(when)};
  return made;
}

spec::Project project(std::vector<spec::PolicyRule> rules, std::string autonomy = "act") {
  spec::Project made;
  made.policies["default"].rules = std::move(rules);
  made.services["delay"].autonomy = std::move(autonomy);
  made.people = {{"ada", {"ml-engineer", "approver"}, {}}, {"ben", {"ml-engineer"}, {}}};
  made.service_accounts = {{"replayer", {"predict"}}};
  return made;
}

Proposal proposal(std::string action, Actor actor = {ActorType::kAgent, "agent:recover"},
                  std::string target = "service/delay") {
  Proposal made;
  made.op_id = "op";
  made.action = std::move(action);
  made.target = std::move(target);
  made.actor = std::move(actor);
  return made;
}

Verdict judge(
    const spec::Project& of, const Proposal& what,
    const CountFn& count = [](std::string_view, Micros) { return 0; }) {
  return Rulebook::compile(of).value().evaluate(what, count);
}

TEST(Glob, MatchesRunsOfAnything) {
  EXPECT_TRUE(glob_match("slot.*", "slot.swap"));
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("a*b*c", "axxbyyc"));
  EXPECT_FALSE(glob_match("a*b*c", "axxbyy"));
  EXPECT_FALSE(glob_match("slot.*", "slots"));
  EXPECT_FALSE(glob_match("", "x"));
  EXPECT_TRUE(glob_match("a**", "a"));
}

TEST(Rulebook, WhatNoRuleNamesIsDenied) {
  const auto verdict = judge(project({}), proposal("slot.swap"));
  EXPECT_EQ(verdict.effect, Effect::kDeny);
  EXPECT_EQ(verdict.rules, std::vector<std::string>{"default-deny"});
}

TEST(Rulebook, DenyBeatsApprovalBeatsAllowAndAllAreNamed) {
  const std::vector<std::string> anyone = {"agent:*"};
  const auto allow = rule("allow-it", Kind::kAllow, anyone, {"slot.*"});
  const auto ask = rule("ask", Kind::kRequireApproval, anyone, {"slot.swap"});
  const auto deny = rule("never", Kind::kDeny, {"agent:recover"}, {"*"});
  EXPECT_EQ(judge(project({allow}), proposal("slot.swap")).effect, Effect::kAllow);
  const auto asked = judge(project({allow, ask}), proposal("slot.swap"));
  EXPECT_EQ(asked.effect, Effect::kRequireApproval);
  EXPECT_EQ(asked.rules, (std::vector<std::string>{"ask", "allow-it"}));
  ASSERT_EQ(asked.needs.size(), 1U);
  const auto denied = judge(project({allow, ask, deny}), proposal("slot.swap"));
  EXPECT_EQ(denied.effect, Effect::kDeny);
  EXPECT_EQ(denied.rules, (std::vector<std::string>{"never", "ask", "allow-it"}));
  EXPECT_TRUE(denied.needs.empty());
  EXPECT_FALSE(denied.reason.empty());
}

TEST(Rulebook, WhatClearlyLosesIsNoAgentsToPromote) {
  const auto promote = rule("free", Kind::kAllow, {"agent:*", "person:*"}, {"release.promote"});
  auto lost = proposal("release.promote");
  lost.attributes = doc::Value::object({{"comparison", "worse"}});
  const auto asked = judge(project({promote}), lost);
  EXPECT_EQ(asked.effect, Effect::kRequireApproval);
  EXPECT_EQ(asked.rules, (std::vector<std::string>{"clear-loss-needs-a-person", "free"}));
  for (const char* other : {"better", "unclear", "none"}) {
    auto fair = lost;
    fair.attributes = doc::Value::object({{"comparison", other}});
    EXPECT_EQ(judge(project({promote}), fair).effect, Effect::kAllow) << other;
  }
  // A person has seen the comparison; what nobody compared is the team's rules' matter alone.
  auto by_hand = lost;
  by_hand.actor = {ActorType::kPerson, "ada"};
  EXPECT_EQ(judge(project({promote}), by_hand).effect, Effect::kAllow);
  EXPECT_EQ(judge(project({promote}), proposal("release.promote")).effect, Effect::kAllow);
  // It lets nobody ask for what no rule allows, and a denial stands.
  EXPECT_EQ(judge(project({}), lost).rules, std::vector<std::string>{"default-deny"});
  const auto never = rule("never", Kind::kDeny, {"agent:*"}, {"release.*"});
  EXPECT_EQ(judge(project({promote, never}), lost).effect, Effect::kDeny);
  // The yes is of the role that the project asks for when somebody promotes.
  auto others = rule("ask", Kind::kRequireApproval, {"person:*"}, {"release.promote"});
  others.approver_role = "approver";
  const auto needed = judge(project({promote, others}), lost);
  ASSERT_EQ(needed.needs.size(), 1U);
  EXPECT_EQ(needed.needs[0].role, "approver");
}

TEST(Rulebook, ARecalibrationPastItsBoundIsAskedOfAPerson) {
  const auto free = rule("free", Kind::kAllow, {"agent:*", "person:*"}, {"release.*"});
  const auto move = [](double delta, double sum) {
    auto made = proposal("release.recalibrate");
    made.attributes = doc::Value::object({{"offset_delta", delta}, {"offset_sum", sum}});
    return made;
  };
  const auto effect = [&](const spec::Project& of, double delta, double sum) {
    return judge(of, move(delta, sum)).effect;
  };
  const auto usual = project({free});
  for (const double sign : {1.0, -1.0}) {
    EXPECT_EQ(effect(usual, sign * 1.0, sign * 1.0), Effect::kAllow);
    EXPECT_EQ(effect(usual, sign * 0.5, sign * 1.5), Effect::kAllow);
    EXPECT_EQ(effect(usual, sign * 1.01, sign * 1.01), Effect::kRequireApproval);
    EXPECT_EQ(effect(usual, sign * 0.1, sign * 1.51), Effect::kRequireApproval);
    EXPECT_EQ(effect(usual, sign * -1.01, sign * 0.2), Effect::kRequireApproval);
  }
  const auto asked = judge(usual, move(0.74, 2.22));
  EXPECT_EQ(asked.rules, (std::vector<std::string>{"recalibration-bound-needs-a-person", "free"}));
  // Of the interval likewise, whatever the offsets are.
  const auto interval = [&](double delta, double sum) {
    auto made = move(0, 0);
    made.attributes.set("interval_delta", delta);
    made.attributes.set("interval_sum", sum);
    return judge(usual, made);
  };
  EXPECT_EQ(interval(1.0, 1.5).effect, Effect::kAllow);
  for (const auto& [delta, sum] : {std::pair{1.01, 1.01}, {-1.01, 0.0}, {0.1, 1.51}, {0.1, -1.51}})
    EXPECT_EQ(interval(delta, sum).rules,
              (std::vector<std::string>{"interval-bound-needs-a-person", "free"}));
  // A question out of what is allowed, never leave for what is not; a person has seen the numbers.
  EXPECT_EQ(effect(project({}), 2, 2), Effect::kDeny);
  const auto never = rule("never", Kind::kDeny, {"agent:*"}, {"release.*"});
  EXPECT_EQ(effect(project({free, never}), 2, 2), Effect::kDeny);
  auto by_hand = move(2, 2);
  by_hand.actor = {ActorType::kPerson, "ada"};
  EXPECT_EQ(judge(usual, by_hand).effect, Effect::kAllow);
  // Policies state their own bounds; the smallest holds.
  auto stated = project({free});
  stated.policies["default"].recalibrate_step = 3;
  stated.policies["default"].recalibrate_sum = 4;
  EXPECT_EQ(effect(stated, 3, 4), Effect::kAllow);
  EXPECT_EQ(effect(stated, 3, 4.01), Effect::kRequireApproval);
  stated.policies["other"].recalibrate_sum = 0;
  EXPECT_EQ(effect(stated, 0.01, 0.01), Effect::kRequireApproval);
  EXPECT_NE(Rulebook::compile(stated)->digest(), Rulebook::compile(usual)->digest());
  // The yes is of who is asked about recalibrations, else about promotions.
  auto promotions = rule("p", Kind::kRequireApproval, {"person:*"}, {"release.promote"});
  promotions.approver_role = "approver";
  auto recalibrations = rule("r", Kind::kRequireApproval, {"person:*"}, {"release.recalibrate"});
  recalibrations.approver_role = "ml-engineer";
  EXPECT_EQ(judge(project({free, promotions}), move(2, 2)).needs.at(0).role, "approver");
  EXPECT_EQ(judge(project({free, promotions, recalibrations}), move(2, 2)).needs.at(0).role,
            "ml-engineer");
}

TEST(Rulebook, WhoActionAndTargetAllHaveToMatch) {
  const auto of =
      project({rule("a", Kind::kAllow, {"role:approver"}, {"run.start"}, "", {"service/delay"})});
  const Actor ada{ActorType::kPerson, "ada"};
  EXPECT_EQ(judge(of, proposal("run.start", ada)).effect, Effect::kAllow);
  EXPECT_EQ(judge(of, proposal("run.start", {ActorType::kPerson, "ben"})).effect, Effect::kDeny);
  EXPECT_EQ(judge(of, proposal("run.stop", ada)).effect, Effect::kDeny);
  EXPECT_EQ(judge(of, proposal("run.start", ada, "service/other")).effect, Effect::kDeny);
  EXPECT_EQ(judge(of, proposal("run.start", {ActorType::kAgent, "ada"})).effect, Effect::kDeny);
}

TEST(Rulebook, AServiceAccountIsNoPerson) {
  const auto of = project({rule("a", Kind::kAllow, {"person:*"}, {"*"})});
  EXPECT_EQ(judge(of, proposal("run.start", {ActorType::kPerson, "root"})).effect, Effect::kAllow);
  EXPECT_EQ(judge(of, proposal("run.start", {ActorType::kPerson, "replayer"})).effect,
            Effect::kDeny);
}

TEST(Rulebook, WhenSeesAttributesActorAndTarget) {
  const auto of = project({rule("a", Kind::kAllow, {"*"}, {"*"},
                                "attributes.slot == \"standby\" && attributes.rows < 100")});
  auto what = proposal("release.promote");
  what.attributes = doc::Value::object({{"slot", "standby"}, {"rows", 5}});
  EXPECT_EQ(judge(of, what).effect, Effect::kAllow);
  what.attributes.set("rows", 99.5);  // another type, compiled anew
  EXPECT_EQ(judge(of, what).effect, Effect::kAllow);
  what.attributes.set("rows", 100);
  EXPECT_EQ(judge(of, what).effect, Effect::kDeny);
  const auto by_actor = project({rule("a", Kind::kAllow, {"*"}, {"*"},
                                      "actor.type == \"agent\" && actor.id == \"agent:recover\" && "
                                      "target == \"service/delay\" && action == \"slot.swap\"")});
  EXPECT_EQ(judge(by_actor, proposal("slot.swap")).effect, Effect::kAllow);
  EXPECT_EQ(judge(by_actor, proposal("slot.swap", {ActorType::kPerson, "ada"})).effect,
            Effect::kDeny);
}

TEST(Rulebook, ACountLooksAtTheLedger) {
  const auto of = project(
      {rule("a", Kind::kAllow, {"*"}, {"*"}, "ledger.count(\"slot.swap\", duration(\"24h\")) < 2"),
       rule("b", Kind::kAllow, {"*"}, {"*"}, "ledger.count(\"slot.*\", 3600000000) == 7")});
  std::vector<std::pair<std::string, Micros>> asked;
  const auto verdict =
      judge(of, proposal("slot.swap"), [&](std::string_view action, Micros window) {
        asked.emplace_back(action, window);
        return window == kDay ? 1 : 7;
      });
  EXPECT_EQ(verdict.rules, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(asked,
            (std::vector<std::pair<std::string, Micros>>{{"slot.swap", kDay}, {"slot.*", kHour}}));
}

TEST(Rulebook, AConditionThatCannotBeEvaluatedNeverAllows) {
  const auto allow = rule("allow", Kind::kAllow, {"*"}, {"*"});
  for (const char* when :
       {"attributes.absent > 1", "attributes.slot > 3", "1 / attributes.zero > 0"}) {
    auto what = proposal("slot.swap");
    what.attributes = doc::Value::object({{"slot", "x"}, {"zero", 0}});
    EXPECT_EQ(judge(project({rule("a", Kind::kAllow, {"*"}, {"*"}, when)}), what).effect,
              Effect::kDeny)
        << when;
    EXPECT_EQ(judge(project({allow, rule("ask", Kind::kRequireApproval, {"*"}, {"*"}, when)}), what)
                  .effect,
              Effect::kDeny)
        << when;
    const auto verdict = judge(project({allow, rule("no", Kind::kDeny, {"*"}, {"*"}, when)}), what);
    EXPECT_EQ(verdict.effect, Effect::kDeny) << when;
    EXPECT_NE(verdict.reason.find("could not be evaluated"), std::string::npos);
  }
  const auto compiled =
      Rulebook::compile(project({rule("a", Kind::kAllow, {"*"}, {"*"}, "attributes. >")}));
  ASSERT_FALSE(compiled.ok());
  EXPECT_EQ(compiled.error().id, "policy-when-malformed");
}

TEST(Rulebook, WhatOneAccountAloneShowsNeedsAPersonWhateverTheRulesSay) {
  const auto allow = rule("allow", Kind::kAllow, {"*"}, {"*"});
  const Actor ladder{ActorType::kAgent, "agent:recover"};
  for (const char* action :
       {"slot.swap", "release.recalibrate", "retrain.start", "release.promote"}) {
    auto what = proposal(action, ladder);
    what.attributes = doc::Value::object({{"only_account", ""}});
    EXPECT_EQ(judge(project({allow}), what).effect, Effect::kAllow) << action;
    what.attributes.set("only_account", "partner");
    const auto verdict = judge(project({allow}), what);
    EXPECT_EQ(verdict.effect, Effect::kRequireApproval) << action;
    EXPECT_EQ(verdict.rules.front(), "one-account-needs-a-person");
    ASSERT_EQ(verdict.needs.size(), 1U);
    EXPECT_EQ(verdict.needs[0].approvals, 1);
    // Nothing is let in by it: what no rule allows stays denied, and what asks already asks once.
    EXPECT_EQ(judge(project({}), what).effect, Effect::kDeny);
    const auto ask = rule("ask", Kind::kRequireApproval, {"*"}, {"*"});
    EXPECT_EQ(judge(project({allow, ask}), what).needs.size(), 1U);
    what.actor = {ActorType::kPerson, "ada"};
    EXPECT_EQ(judge(project({allow}), what).effect, Effect::kAllow) << "a person knows";
  }
}

TEST(Rulebook, WhatLabelsInDoubtOrAForgottenPastStandBehindNeedsAPerson) {
  const auto allow = rule("allow", Kind::kAllow, {"*"}, {"*"});
  const Actor ladder{ActorType::kAgent, "agent:recover"};
  using Row = std::tuple<const char*, doc::Value, doc::Value, const char*>;
  for (const auto& [name, harmless, doubtful, id] :
       {Row{"only_label_account", "", "partner", "one-label-account-needs-a-person"},
        Row{"labels_disputed", false, true, "disputed-labels-need-a-person"},
        Row{"before_change", "unclear", "worse", "forgotten-past-needs-a-person"}}) {
    for (const char* action :
         {"slot.swap", "release.recalibrate", "retrain.start", "release.promote"}) {
      SCOPED_TRACE(fmt::format("{} {}", name, action));
      auto what = proposal(action, ladder);
      what.attributes = doc::Value::object({{name, harmless}});
      EXPECT_EQ(judge(project({allow}), what).effect, Effect::kAllow);
      what.attributes.set(name, doubtful);
      const auto verdict = judge(project({allow}), what);
      EXPECT_EQ(verdict.effect, Effect::kRequireApproval);
      EXPECT_EQ(verdict.rules.front(), id);
      EXPECT_EQ(judge(project({}), what).effect, Effect::kDeny);
      what.actor = {ActorType::kPerson, "ada"};
      EXPECT_EQ(judge(project({allow}), what).effect, Effect::kAllow);
    }
  }
}

TEST(Rulebook, AQuarantineThatHoldsBackManyGoodRowsOrEverybodysNeedsAPerson) {
  const auto allow = rule("allow", Kind::kAllow, {"*"}, {"*"});
  const Actor ladder{ActorType::kAgent, "agent:recover"};
  const auto quarantine = [&](std::int64_t good_rows, std::string account) {
    auto what = proposal("source.quarantine", ladder);
    what.attributes = doc::Value::object(
        {{"source", "s1"}, {"account", std::move(account)}, {"good_rows", good_rows}});
    return what;
  };
  auto usual = project({allow});
  EXPECT_EQ(judge(usual, quarantine(1000, "app")).effect, Effect::kAllow);
  EXPECT_EQ(judge(usual, quarantine(1001, "app")).effect, Effect::kRequireApproval);
  EXPECT_EQ(judge(usual, quarantine(1001, "app")).rules.front(),
            "costly-quarantine-needs-a-person");
  EXPECT_EQ(judge(usual, quarantine(0, "")).effect, Effect::kRequireApproval)
      << "it holds for everybody";
  EXPECT_EQ(judge(usual, quarantine(0, "")).rules.front(),
            "quarantine-of-everybody-needs-a-person");
  auto strict = usual;
  strict.policies["strict"].quarantine_good_rows = 10;
  strict.policies["lax"].quarantine_good_rows = 100'000;
  EXPECT_EQ(judge(strict, quarantine(10, "app")).effect, Effect::kAllow);
  EXPECT_EQ(judge(strict, quarantine(11, "app")).effect, Effect::kRequireApproval)
      << "the smallest counts";
  EXPECT_NE(Rulebook::compile(usual)->digest(), Rulebook::compile(strict)->digest());
  // It lets nobody do what no rule allows, and a person knows what it costs.
  EXPECT_EQ(judge(project({}), quarantine(1001, "app")).effect, Effect::kDeny);
  auto by_hand = quarantine(100'000, "");
  by_hand.actor = {ActorType::kPerson, "ada"};
  EXPECT_EQ(judge(usual, by_hand).effect, Effect::kAllow);
}

TEST(Rulebook, APolicyOfOneServiceBindsThatOneAlone) {
  const Actor ladder{ActorType::kAgent, "agent:recover"};
  auto two = project({});
  two.services["fares"].autonomy = "act";
  two.policies["default"].rules = {rule("deny-swaps", Kind::kDeny, {"agent:*"}, {"slot.swap"})};
  two.policies["default"].services = {"delay"};
  two.policies["fares"].services = {"fares"};
  two.policies["fares"].rules = {rule("allow", Kind::kAllow, {"*"}, {"*"})};
  two.policies["fares"].fail_over_allowed = true;
  two.policies["fares"].quarantine_good_rows = 5;
  const auto swap = [&](const char* service) {
    return judge(two, proposal("slot.swap", ladder, service)).rules.front();
  };
  EXPECT_EQ(swap("service/delay"), "deny-swaps");
  EXPECT_EQ(swap("service/fares"), "allow");
  EXPECT_EQ(swap("service/other"), "default-deny") << "a policy of named services is for no other";
  const Actor plane{ActorType::kSystem, "system:data-plane"};
  EXPECT_EQ(judge(two, proposal("slot.fail-over", plane, "service/delay")).effect, Effect::kDeny);
  EXPECT_EQ(judge(two, proposal("slot.fail-over", plane, "service/fares")).effect, Effect::kAllow);
  // What is about a source says whose it is.
  const auto quarantine = [&](const char* service, std::int64_t good_rows) {
    auto what = proposal("source.quarantine", ladder, "source/s1");
    what.attributes = doc::Value::object(
        {{"service", service}, {"source", "s1"}, {"account", "app"}, {"good_rows", good_rows}});
    return judge(two, what).effect;
  };
  EXPECT_EQ(quarantine("fares", 5), Effect::kAllow);
  EXPECT_EQ(quarantine("fares", 6), Effect::kRequireApproval);
  two.policies["delay"].services = {"delay"};
  two.policies["delay"].rules = {rule("free", Kind::kAllow, {"*"}, {"source.*"})};
  EXPECT_EQ(quarantine("delay", 6), Effect::kAllow) << "the bound of another service";
  EXPECT_EQ(quarantine("delay", spec::kQuarantineGoodRows + 1), Effect::kRequireApproval);
  auto wider = two;
  wider.policies["delay"].services = {};
  EXPECT_NE(Rulebook::compile(two)->digest(), Rulebook::compile(wider)->digest());
}

TEST(Rulebook, WhetherLabelsAreRightIsAskedOfAPerson) {
  const auto allow = rule("allow", Kind::kAllow, {"*"}, {"*"});
  const Actor ladder{ActorType::kAgent, "agent:recover"};
  EXPECT_EQ(judge(project({allow}), proposal("label.accept", ladder)).effect,
            Effect::kRequireApproval);
  EXPECT_EQ(judge(project({}), proposal("label.accept", ladder)).effect, Effect::kRequireApproval);
}

TEST(Rulebook, AutonomyIsAPresetOfRules) {
  const auto allow = rule("allow", Kind::kAllow, {"*"}, {"*"});
  const Actor ada{ActorType::kPerson, "ada"};
  EXPECT_EQ(judge(project({allow}, "observe"), proposal("slot.swap")).effect, Effect::kDeny);
  EXPECT_EQ(judge(project({allow}, "observe"), proposal("slot.swap")).rules.front(),
            "autonomy-observe");
  EXPECT_EQ(judge(project({allow}, "propose"), proposal("slot.swap")).effect,
            Effect::kRequireApproval);
  EXPECT_EQ(judge(project({allow}, "act"), proposal("slot.swap")).effect, Effect::kAllow);
  // People are not held back, records are kept, and another service is none of its business.
  EXPECT_EQ(judge(project({allow}, "observe"), proposal("slot.swap", ada)).effect, Effect::kAllow);
  EXPECT_EQ(judge(project({allow}, "observe"), proposal("incident.open")).effect, Effect::kAllow);
  EXPECT_EQ(judge(project({allow}, "observe"),
                  proposal("slot.swap", {ActorType::kAgent, "agent:x"}, "service/other"))
                .effect,
            Effect::kAllow);
  auto about =
      proposal("source.quarantine", {ActorType::kAgent, "agent:recover"}, "source/carrier-3");
  about.attributes = doc::Value::object({{"service", "delay"}});
  EXPECT_EQ(judge(project({allow}, "observe"), about).effect, Effect::kDeny);
}

TEST(Rulebook, TheExampleShutsNobodyOutOfTheDefaultSourceWithoutAPerson) {
  const auto loaded = spec::load_project("examples/flights");
  ASSERT_TRUE(loaded.ok()) << loaded.error().str();
  const auto effect_of = [&](const char* source) {
    auto about = proposal("source.quarantine", {ActorType::kAgent, "agent:recover"},
                          fmt::format("source/{}", source));
    about.attributes = doc::Value::object(
        {{"service", "delay"}, {"source", source}, {"account", "app"}, {"rule", "r"}});
    return judge(loaded->project, about).effect;
  };
  EXPECT_EQ(effect_of("default"), Effect::kRequireApproval);
  EXPECT_EQ(effect_of("carrier-3"), Effect::kAllow);
}

TEST(Rulebook, ItsDigestMovesWithAllThatCanChangeAVerdict) {
  const auto base = project({rule("a", Kind::kAllow, {"*"}, {"*"})});
  const auto digest = [](const spec::Project& of) {
    return Rulebook::compile(of).value().digest();
  };
  EXPECT_EQ(digest(base), digest(base));
  auto changed = base;
  changed.policies["default"].rules[0].id = "b";
  EXPECT_NE(digest(changed), digest(base));
  changed = base;
  changed.policies["default"].budgets.push_back({"x", "slot.swap", 1, kDay});
  EXPECT_NE(digest(changed), digest(base));
  changed = base;
  changed.services["delay"].autonomy = "observe";
  EXPECT_NE(digest(changed), digest(base));
  changed = base;
  changed.people[1].keys.push_back("ssh-ed25519 AAAA");
  EXPECT_NE(digest(changed), digest(base));
}

}  // namespace
}  // namespace heddle::policy
