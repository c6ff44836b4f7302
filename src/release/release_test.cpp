#include "release/release.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <set>

#include "doc/json.hpp"

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

TEST(Releases, SourcesGoInAndOut) {
  Releases r = with({kA});
  ASSERT_TRUE(r.promote(kA).ok());
  const std::uint64_t version = r.version();
  ASSERT_TRUE(r.quarantine({"carrier-3", "route-fixes-distance", 5}).ok());
  EXPECT_EQ(r.quarantine({"carrier-3", "other", 5}).error().kind, ErrorKind::kConflict);
  EXPECT_EQ(r.version(), version + 1);
  EXPECT_EQ(r.route("ledger/7").quarantined.at(0).rule, "route-fixes-distance");
  ASSERT_TRUE(r.readmit("carrier-3").ok());
  EXPECT_EQ(r.readmit("carrier-3").error().kind, ErrorKind::kNotFound);
}

TEST(Releases, AFailOverIsTakenOverOnce) {
  Releases r = with({kA, kB});
  ASSERT_TRUE(r.promote(kA).ok());
  ASSERT_TRUE(r.set_standby(kB).ok());
  ASSERT_TRUE(r.acknowledge_fail_over("act-1").ok());
  ASSERT_TRUE(r.acknowledge_fail_over("act-1").ok());
  EXPECT_EQ(r.primary(), kB);
}

TEST(Releases, SurviveTheirJson) {
  Releases r = with({kA, kB, kC});
  ASSERT_TRUE(r.promote(kA).ok());
  ASSERT_TRUE(r.set_standby(kB).ok());
  ASSERT_TRUE(r.replace("primary", kC).ok());
  ASSERT_TRUE(r.quarantine({"s", "rule", 5}).ok());
  r.stop();
  const auto back = Releases::from_value(*doc::parse_json(doc::to_json(r.to_value())));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, r);
}

/// Every state that any sequence of commands over three bundles can reach: what serves is approved and ready, the way back is
/// known from the second release on, a failed command changes nothing, versions only rise.
TEST(Releases, EveryReachableStateIsSafe) {
  const std::vector<Digest> bundles{kA, kB, kC};
  using Command = std::function<bool(Releases&)>;
  std::vector<Command> commands;
  for (const Digest& b : bundles) {
    commands.push_back([b](Releases& r) { r.mark_ready(b); return true; });
    commands.push_back([b](Releases& r) { r.approve(b, "x"); return true; });
    commands.push_back([b](Releases& r) { return r.revoke(b).ok(); });
    commands.push_back([b](Releases& r) { return r.promote(b).ok(); });
    commands.push_back([b](Releases& r) { return r.set_standby(b).ok(); });
    commands.push_back([b](Releases& r) { return r.replace("primary", b).ok(); });
    commands.push_back([b](Releases& r) { return r.replace("standby", b).ok(); });
  }
  commands.push_back([](Releases& r) { return r.set_standby({}).ok(); });
  commands.push_back([](Releases& r) { return r.swap().ok(); });
  commands.push_back([](Releases& r) { return r.rollback().ok(); });
  commands.push_back([](Releases& r) { return r.acknowledge_fail_over("act").ok(); });
  commands.push_back([](Releases& r) { r.stop(); return true; });
  commands.push_back([](Releases& r) { r.resume(); return true; });

  const auto key = [](const Releases& r) {  // the state without its version
    doc::Value value = r.to_value();
    value.set("version", 0);
    return doc::to_json(value);
  };
  std::deque<Releases> open{Releases("s")};
  std::set<std::string> seen{key(open.front())};
  while (!open.empty()) {
    const Releases state = open.front();
    open.pop_front();
    for (std::size_t i = 0; i < commands.size(); ++i) {
      Releases next = state;
      if (!commands[i](next)) {
        ASSERT_EQ(next, state) << "command " << i << " failed and changed something";
        continue;
      }
      ASSERT_GE(next.version(), state.version());
      const plane::RouteTable before = state.route("");
      const plane::RouteTable after = next.route("");
      if (before.primary != after.primary || before.standby != after.standby || before.stopped != after.stopped) {
        ASSERT_GT(after.version, before.version);
      }
      for (const Digest& serving : {next.primary(), next.standby(), next.rollback_target()}) {
        if (serving.empty()) continue;
        ASSERT_TRUE(next.standing(serving).approved && next.standing(serving).ready) << doc::to_json(next.to_value());
      }
      ASSERT_TRUE(next.primary().empty() || next.primary() != next.standby());
      ASSERT_TRUE(next.primary().empty() || next.primary() != next.rollback_target());
      if (!state.primary().empty()) {
        ASSERT_FALSE(next.primary().empty());
      }
      if (!state.primary().empty() && next.primary() != state.primary()) {
        ASSERT_EQ(next.rollback_target(), state.primary());
      }
      if (seen.insert(key(next)).second) open.push_back(std::move(next));
    }
  }
  EXPECT_GT(seen.size(), 500U);
}

}  // namespace
}  // namespace heddle::release
