// The releases of a service: in the state, and as the data plane is told.
#include "control/published_releases.hpp"

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "plane/route_file.hpp"
#include "store/memory_fixture.hpp"

namespace heddle::control {
namespace {

class PublishedReleasesTest : public testing::Test {
 protected:
  PublishedReleases open() {
    PublishedReleases releases(home_, state_, key_, "s");
    EXPECT_TRUE(state_.read([&](store::Txn& txn) { return releases.restore(txn); }).ok());
    return releases;
  }
  /// As a decision does it.
  void promote(PublishedReleases& releases, const Digest& bundle) {
    auto next = releases.now();
    next.mark_ready(bundle);
    next.approve(bundle, "op");
    ASSERT_TRUE(next.promote(bundle).ok());
    ASSERT_TRUE(state_
                    .write([&](store::Txn& txn) {
                      return releases.store(txn, next, "release.promote", 7, "ledger/3");
                    })
                    .ok());
    EXPECT_NE(releases.now().primary(), bundle) << "not before it is committed";
    releases.take(std::move(next));
  }
  plane::RouteFile table() {
    auto file = plane::read_route_file(home_.route("s"), key_.public_key);
    EXPECT_TRUE(file.ok()) << file.error().str();
    return *file;
  }

  heddle::fixture::Folder folder_;
  const Home home_{folder_.path()};
  store::fixture::MemoryState state_;
  const Ed25519Key key_ = Ed25519Key::from_seed(std::string(32, '\5')).value();
  const Digest one_ = sha256("one"), other_ = sha256("other");
};

TEST_F(PublishedReleasesTest, WhatIsTakenIsPublishedAndFoundAgain) {
  auto releases = open();
  EXPECT_EQ(releases.now().version(), 0U);
  promote(releases, one_);
  EXPECT_FALSE(releases.is_published());
  ASSERT_TRUE(releases.publish().ok());
  EXPECT_TRUE(releases.is_published());
  EXPECT_EQ(table().table.version, releases.now().version());
  EXPECT_EQ(table().table.decision, "ledger/3");
  promote(releases, other_);
  EXPECT_FALSE(releases.is_published()) << "the data plane goes by the table before";
  const auto again = open();
  EXPECT_EQ(again.now().primary(), other_);
  EXPECT_EQ(again.now().rollback_target(), one_);
  EXPECT_FALSE(again.is_published()) << "a start publishes anew";
}

TEST_F(PublishedReleasesTest, EveryRouteThereWasIsKnown) {
  auto releases = open();
  promote(releases, one_);
  promote(releases, other_);
  std::vector<std::pair<std::uint64_t, Digest>> routes;
  ASSERT_TRUE(state_
                  .read([&](store::Txn& txn) -> Result<void> {
                    HEDDLE_ASSIGN_OR_RETURN(routes, releases.primaries(txn));
                    return {};
                  })
                  .ok());
  ASSERT_EQ(routes.size(), 2U);
  EXPECT_EQ(routes[0].second, one_);
  EXPECT_EQ(routes[1].second, other_);
  EXPECT_LT(routes[0].first, routes[1].first);
  EXPECT_TRUE(releases.was_released(one_).value());
  EXPECT_FALSE(releases.was_released(sha256("third")).value());
  EXPECT_FALSE(releases.was_released(Digest{}).value()) << "a slot without a bundle is none of it";
}

TEST_F(PublishedReleasesTest, WhatIsNotedIsKeptAndNoRouteOfItsOwn) {
  auto releases = open();
  promote(releases, one_);
  const auto version = releases.now().version();
  auto next = releases.now();
  next.acknowledge_with_next("stop-1");
  ASSERT_TRUE(releases.note(next).ok());
  EXPECT_EQ(releases.now().version(), version);
  EXPECT_TRUE(open().now() == next);
}

TEST_F(PublishedReleasesTest, ATableThatCannotBeWrittenIsAnErrorAndNotPublished) {
  auto releases = open();
  promote(releases, one_);
  ASSERT_TRUE(make_dirs(home_.dir()).ok());
  ASSERT_TRUE(write_file_atomic(home_.routes(), "in the way").ok());
  EXPECT_FALSE(releases.publish().ok());
  EXPECT_FALSE(releases.is_published());
}

}  // namespace
}  // namespace heddle::control
