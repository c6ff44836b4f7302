#include "control/incidents.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace heddle::control {
namespace {

TEST(Names, AreFoundByTheirBeginningWhereItIsOnlyTheirs) {
  const std::vector<std::string> known{"approval-0001", "approval-0002", "approval-0010",
                                       "approval-00100"};
  for (const auto& name : known) EXPECT_EQ(*find_named(name, known, "approval"), name);
  EXPECT_EQ(*find_named("approval-0002", known, "approval"), "approval-0002");
  EXPECT_EQ(*find_named("approval-00100", known, "approval"), "approval-00100");
  EXPECT_EQ(*find_named("a", {"approval-0001"}, "approval"), "approval-0001");
  const auto ambiguous = find_named("approval-000", known, "approval");
  ASSERT_FALSE(ambiguous.ok());
  EXPECT_EQ(ambiguous.error().id, "approval-ambiguous");
  EXPECT_EQ(ambiguous.error().message, "`approval-000` can be `approval-0001`, `approval-0002`");
  for (const char* none : {"", "approval-0003", "incident", "approval-0001x"}) {
    EXPECT_EQ(find_named(none, known, "approval").error().id, "approval-unknown") << none;
  }
  std::vector<std::string> many;
  for (int i = 0; i < 100; ++i) many.push_back(fmt::format("incident-{:04}", i));
  EXPECT_TRUE(find_named("i", many, "incident").error().message.ends_with("or 95 more"));
}

TEST(Incidents, EveryStepThatIsLeftLaterSaysWhatItWaitsFor) {
  for (int step = 0; step < static_cast<int>(recover::Step::kDone); ++step) {
    EXPECT_FALSE(recover::waits_for(static_cast<recover::Step>(step)).empty()) << step;
  }
  EXPECT_EQ(recover::waits_for(recover::Step::kDone), "");
}

}  // namespace
}  // namespace heddle::control
