#include "release/release.hpp"

#include <gtest/gtest.h>

#include "doc/json.hpp"
#include "doc/schema_conformance.hpp"
#include "plane/route_schema.hpp"

namespace heddle::release {
namespace {

const Digest kA = sha256("a");
const Digest kB = sha256("b");
const Digest kC = sha256("c");

Releases with(std::initializer_list<Digest> bundles) {
  Releases r("flights-delay");
  for (const Digest& bundle : bundles) {
    r.mark_ready(bundle);
    r.approve(bundle, "approval/1");
  }
  return r;
}

TEST(Releases, PromoteSwapRollBack) {
  Releases r = with({kA, kB, kC});
  ASSERT_TRUE(r.promote(kA).ok());
  EXPECT_EQ(r.rollback().error().id, "release-no-target");
  ASSERT_TRUE(r.set_standby(kB).ok());
  ASSERT_TRUE(r.swap().ok());
  EXPECT_EQ(r.primary(), kB);
  EXPECT_EQ(r.standby(), kA);
  EXPECT_EQ(r.rollback_target(), kA);
  ASSERT_TRUE(r.promote(kC).ok());
  EXPECT_EQ(r.rollback_target(), kB);
  ASSERT_TRUE(r.rollback().ok());
  EXPECT_EQ(r.primary(), kB);
  ASSERT_TRUE(r.rollback().ok());  // undone
  EXPECT_EQ(r.primary(), kC);
}

TEST(Releases, UnapprovedAndUnreadyAreRefusedAndChangeNothing) {
  Releases r = with({kA});
  ASSERT_TRUE(r.promote(kA).ok());
  const Releases before = r;
  EXPECT_EQ(r.promote(kB).error().id, "release-not-approved");
  EXPECT_EQ(r.set_standby(kB).error().id, "release-not-approved");
  EXPECT_EQ(r, before);
  r.approve(kB, "approval/2");
  EXPECT_EQ(r.promote(kB).error().id, "release-not-ready");
  r.mark_ready(kB);
  EXPECT_TRUE(r.promote(kB).ok());
  EXPECT_EQ(r.revoke(kA).error().id, "release-in-use");  // it is the way back
}

TEST(Releases, LeavesOnlyWhatMayStayAndTheWayBack) {
  Releases r = with({kA, kB, kC});
  ASSERT_TRUE(r.promote(kA).ok());
  ASSERT_TRUE(r.set_standby(kB).ok());
  ASSERT_TRUE(r.promote(kC).ok());
  ASSERT_TRUE(r.set_shadow(kA).ok());
  const std::uint64_t version = r.version();
  r.leave_only([](const Digest& bundle) { return bundle == kB; });
  EXPECT_EQ(r.standby(), kB);
  EXPECT_TRUE(r.shadow().empty());
  EXPECT_EQ(r.rollback_target(), kA);
  r.leave_only([](const Digest&) { return false; });
  EXPECT_TRUE(r.standby().empty());
  EXPECT_EQ(r.primary(), kC);
  EXPECT_EQ(r.version(), version);
}

TEST(Releases, SourcesGoInAndOut) {
  Releases r = with({kA});
  ASSERT_TRUE(r.promote(kA).ok());
  const std::uint64_t version = r.version();
  ASSERT_TRUE(r.quarantine({"carrier-3", "route-fixes-distance", 5}).ok());
  EXPECT_EQ(r.quarantine({"carrier-3", "other", 5}).error().kind, ErrorKind::kConflict);
  EXPECT_EQ(r.version(), version + 1);
  EXPECT_EQ(r.route("ledger/7").quarantined.at(0).rule, "route-fixes-distance");
  ASSERT_TRUE(r.quarantine({"carrier-3", "other", 5, "app"}).ok());
  // To let one account in is not to let everybody in.
  EXPECT_EQ(r.readmit("other-app", "carrier-3").error().id, "release-not-quarantined");
  ASSERT_TRUE(r.readmit("", "carrier-3").ok());
  EXPECT_EQ(r.readmit("", "carrier-3").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(r.quarantined().at(0).account, "app");
  ASSERT_TRUE(r.readmit("app", "carrier-3").ok());
  // By hand: who and why are kept, and no table says them.
  ASSERT_TRUE(r.quarantine({"carrier-3", "", 0, "", "ada", "the feed is broken"}).ok());
  EXPECT_EQ(*Releases::from_value(r.to_value()), r);
  EXPECT_EQ(Releases::from_value(r.to_value())->quarantined().at(0).by, "ada");
  const auto told = plane::route_schema().print(r.route("ledger/8"));
  EXPECT_EQ(told.find("quarantined")->as_array()[0].find("by"), nullptr);
}

TEST(Releases, AFailOverIsTakenOverOnce) {
  Releases r = with({kA, kB});
  ASSERT_TRUE(r.promote(kA).ok());
  ASSERT_TRUE(r.set_standby(kB).ok());
  r.acknowledge_fail_over("act-1", kA);
  r.acknowledge_fail_over("act-1", kA);
  EXPECT_EQ(r.primary(), kB);
}

TEST(Releases, SurviveTheirJson) {
  Releases r = with({kA, kB, kC});
  ASSERT_TRUE(r.promote(kA).ok());
  ASSERT_TRUE(r.set_standby(kB).ok());
  ASSERT_TRUE(r.replace("primary", kC).ok());
  ASSERT_TRUE(r.quarantine({"s", "rule", 5, "app"}).ok());
  ASSERT_TRUE(r.start_canary(kA, {{100, 500}, "field:place", "x-canary", "yes"}, 500, 9).ok());
  r.mark_ready(sha256("d"));
  ASSERT_TRUE(r.set_shadow(sha256("d")).ok());
  r.allow_fail_over(true, {20, 0.25, 0.75, 2});
  r.stop();
  const auto back = Releases::from_value(*doc::parse_json(doc::to_json(r.to_value())));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, r);
}

TEST(Releases, AFailOverThatIsReadAfterADecisionUndoesNothing) {
  Releases r = with({kA, kB});
  ASSERT_TRUE(r.promote(kA).ok());
  ASSERT_TRUE(r.set_standby(kB).ok());
  ASSERT_TRUE(r.swap().ok());
  r.acknowledge_fail_over("act-1", kA);  // the data plane left A while the swap was decided
  EXPECT_EQ(r.primary(), kB);
  EXPECT_EQ(r.route("").acknowledged, std::vector<std::string>{"act-1"});
}

TEST(Releases, ACanaryRisesByItsStepsAndBecomesPrimary) {
  Releases r = with({kA, kB});
  EXPECT_EQ(r.start_canary(kB, {{100, 500}}, 0, 1).error().id, "release-no-primary");
  ASSERT_TRUE(r.promote(kA).ok());
  EXPECT_EQ(r.start_canary(kB, {{500, 100}}, 0, 1).error().id, "release-canary-steps");
  EXPECT_EQ(r.start_canary(kB, {{100, 6'000}}, 0, 1).error().id, "release-canary-steps");
  EXPECT_EQ(r.start_canary(kB, {{100, 500}}, 300, 1).error().hint, "the steps are 1%, 5%");
  ASSERT_TRUE(r.start_canary(kB, {{100, 500}, "source", "x-canary", "yes"}, 0, 1).ok());
  EXPECT_EQ(r.route("").canary.weight, 100U);
  EXPECT_EQ(r.route("").canary.header_value, "yes");
  EXPECT_EQ(r.start_canary(kC, {{100}}, 0, 1).error().id, "release-canary-runs");
  const auto started = r.canary().started;
  ASSERT_TRUE(r.raise_canary(2).ok());
  EXPECT_EQ(r.route("").canary.weight, 500U);
  EXPECT_EQ(r.canary().started, started);
  EXPECT_EQ(r.canary().stepped, r.version());
  EXPECT_EQ(r.raise_canary(3).error().id, "release-canary-last-step");
  ASSERT_TRUE(r.promote(kB).ok());
  EXPECT_EQ(r.rollback_target(), kA);
  EXPECT_FALSE(r.canary().running());
}

TEST(Releases, WhatChangesThePrimaryEndsTheCanary) {
  Releases start = with({kA, kB, kC});
  ASSERT_TRUE(start.promote(kA).ok());
  ASSERT_TRUE(start.set_standby(kC).ok());
  ASSERT_TRUE(start.start_canary(kB, {{100}}, 0, 1).ok());
  Releases r = start;
  ASSERT_TRUE(r.swap().ok());
  EXPECT_FALSE(r.canary().running());
  r = start;
  r.acknowledge_fail_over("act-1", kA);
  EXPECT_FALSE(r.canary().running());
  r = start;
  r.acknowledge_canary_abort("act-2", kC);  // of another bundle
  EXPECT_TRUE(r.canary().running());
  r.acknowledge_canary_abort("act-3", kB);
  EXPECT_FALSE(r.canary().running());
  EXPECT_EQ(r.primary(), kA);
}

TEST(Releases, AStopKeepsTheCanaryWhereItIs) {
  Releases r = with({kA, kB});
  ASSERT_TRUE(r.promote(kA).ok());
  ASSERT_TRUE(r.start_canary(kB, {{100, 500}}, 0, 1).ok());
  r.stop();
  EXPECT_EQ(r.raise_canary(2).error().id, "release-stopped");
  ASSERT_TRUE(r.promote(kB).ok());
  EXPECT_TRUE(r.stopped());
}

TEST(Releases, AShadowNeedsNoApprovalAndNeverAnswers) {
  Releases r = with({kA});
  ASSERT_TRUE(r.promote(kA).ok());
  EXPECT_EQ(r.set_shadow(kB).error().id, "release-not-ready");
  r.mark_ready(kB);
  ASSERT_TRUE(r.set_shadow(kB).ok());
  EXPECT_EQ(r.route("").shadow, kB);
  EXPECT_EQ(r.promote(kB).error().id, "release-not-approved");
  r.approve(kB, "approval/2");
  ASSERT_TRUE(r.promote(kB).ok());
  EXPECT_TRUE(r.shadow().empty());
}

TEST(Releases, AnUnreadyPrimaryGivesWay) {
  Releases r = with({kA, kB, kC});
  ASSERT_TRUE(r.promote(kA).ok());
  ASSERT_TRUE(r.promote(kB).ok());
  ASSERT_TRUE(r.set_standby(kC).ok());
  r.mark_unready(kB);
  EXPECT_EQ(r.primary(), kC);
  EXPECT_EQ(r.rollback_target(), kA);
  r.mark_unready(kC);
  EXPECT_EQ(r.primary(), kA);
  r.mark_unready(kA);
  EXPECT_TRUE(r.route("").primary.empty());
}

TEST(Releases, AStateOfBeforeThereWereCanariesIsRefusedWithWhatToDo) {
  Releases r = with({kA, kB});
  ASSERT_TRUE(r.promote(kA).ok());
  auto old = r.to_value();
  std::erase_if(old.as_object(), [](const auto& member) {
    return member.first == "canary" || member.first == "shadow" || member.first == "fail_over";
  });
  const auto back = Releases::from_value(old);
  ASSERT_FALSE(back.ok());
  EXPECT_EQ(back.error().id, "release-state");
  EXPECT_EQ(back.error().message, "the saved releases: `canary` is missing, and 2 more");
  EXPECT_NE(back.error().hint.find("the Heddle that wrote it"), std::string::npos);
}

TEST(Releases, WhatIsStoredIsARecord) {
  ReleasesState state;
  state.service = "s";
  state.version = 7;
  state.primary = kA;
  state.standby = kB;
  state.rollback = kC;
  state.canary = {{sha256("d"), 500, "source", "x-canary", "yes"}, {100, 500}, 5, 6, 9};
  state.shadow = sha256("e");
  state.fail_over_allowed = true;
  state.quarantined = {{"carrier-3", "rule", 5, "app", "ada", "the feed is broken"}};
  state.acknowledged = {"act-1"};
  state.bundles[kA] = {true, true, "approval-0001"};
  doc::RecordConformance<ReleasesState>(releases_schema(), state).run("docs/formats/releases.md");
}

}  // namespace
}  // namespace heddle::release
