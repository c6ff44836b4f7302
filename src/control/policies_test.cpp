// What the policies that were applied last say of recovery, in a plane that runs.
#include <gtest/gtest.h>

#include "control/service_fixture.hpp"
#include "plane/route_file.hpp"

namespace heddle::control {
namespace {

class PoliciesTest : public fixture::ServiceTest {
 protected:
  plane::RouteTable published() {
    return plane::read_route_file(home_->route("s"), key_.public_key)->table;
  }
};

TEST_F(PoliciesTest, ANewFailoverIsInTheRouteTableAtOnce) {
  ASSERT_FALSE(published().fail_over_allowed);
  const auto version = control_->releases().version();
  project_.policies["p"].fail_over_allowed = true;
  project_.policies["p"].fail_over = {20, 0.25, 0.75, 2};
  ASSERT_TRUE(control_->take_policies(project_, 17).ok());
  EXPECT_TRUE(published().fail_over_allowed);
  EXPECT_EQ(published().fail_over.requests, 20U);
  EXPECT_EQ(published().fail_over.failed_share, 0.25);
  EXPECT_EQ(published().decision, "ledger/17");
  EXPECT_EQ(published().version, version + 1);
  EXPECT_EQ(published().primary, bundles_[0]);
  ASSERT_TRUE(control_->take_policies(project_, 17).ok());
  EXPECT_EQ(control_->releases().version(), version + 1) << "the same again is no new table";

  open();
  EXPECT_EQ(control_->releases().version(), version + 1);
  EXPECT_TRUE(published().fail_over_allowed);
  project_.policies["p"].fail_over_allowed = false;
  ASSERT_TRUE(control_->take_policies(project_, 18).ok());
  EXPECT_FALSE(published().fail_over_allowed);
  // And what is released next goes by it too.
  ASSERT_TRUE(promote(2));
  EXPECT_FALSE(published().fail_over_allowed);
}

}  // namespace
}  // namespace heddle::control
