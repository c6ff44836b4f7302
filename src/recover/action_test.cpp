#include "recover/action.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "doc/json.hpp"

namespace heddle::recover {
namespace {

template <std::size_t... I>
std::vector<What> one_of_each(std::index_sequence<I...>) {
  return {What(std::in_place_index<I>)...};
}

std::string json(const What& what) { return doc::to_json(attributes_of(what)); }

TEST(Action, EveryOneIsReadBackAsItWasWritten) {
  std::set<std::string> types;
  for (const What& what : one_of_each(std::make_index_sequence<std::variant_size_v<What>>())) {
    types.emplace(type_of(what));
    const auto back = what_of(type_of(what), attributes_of(what));
    ASSERT_TRUE(back.ok()) << type_of(what) << ": " << back.error().str();
    EXPECT_EQ(back->index(), what.index()) << type_of(what);
    EXPECT_EQ(json(*back), json(what));
  }
  // Both directions of a swap are one type for policies.
  EXPECT_EQ(types.size(), std::variant_size_v<What> - 1);

  const What full = QuarantineSource{"s1", "app", "place-fixes-distance", 1234, 5};
  EXPECT_EQ(json(full),
            R"({"source":"s1","account":"app","rule":"place-fixes-distance","good_rows":1234,)"
            R"("readmit_after":5})");
  EXPECT_EQ(json(*what_of("source.quarantine", attributes_of(full))), json(full));
  const What swap = SwapToStandby{0.5, 0.25, 300, {"app", "", true}};
  const auto back = what_of("slot.swap", attributes_of(swap));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(std::get<SwapToStandby>(*back).grounds.only_account, "app");
  EXPECT_TRUE(std::get<SwapToStandby>(*back).grounds.labels_disputed);
  EXPECT_EQ(json(SwapBack{}), R"({"back":true})");
}

TEST(Action, NumbersAreReadBackToTheLastBit) {
  const What what = WithdrawRecalibration{{0.1, -1.0 / 3, 1e-300, 0}};
  EXPECT_EQ(json(what), R"({"offsets":"0.1,-0.3333333333333333,1e-300,0","quantile":0.0})");
  const auto back = what_of("recalibration.withdraw", attributes_of(what));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(std::get<WithdrawRecalibration>(*back).offsets,
            std::get<WithdrawRecalibration>(what).offsets);
  auto cut = attributes_of(what);
  cut.set("offsets", "0.1,x");
  EXPECT_EQ(what_of("recalibration.withdraw", cut).error().message,
            "`offsets` of the action `recalibration.withdraw` is not numbers with commas between "
            "them");
  EXPECT_EQ(json(WithdrawRecalibration{std::vector<double>(1000, 0.25)}), R"({"quantile":0.0})")
      << "too many for a rule or a reader: the bundle holds them";
}

TEST(Action, AMemberThatIsMissingOrOfAnotherTypeIsNamed) {
  auto attributes = attributes_of(QuarantineSource{"s1", "app", "r", 1, 5});
  attributes.set("readmit_after", -1);
  EXPECT_EQ(what_of("source.quarantine", attributes).error().message,
            "`readmit_after` of the action `source.quarantine` is not a whole number in range");
  attributes.set("readmit_after", 5);
  attributes.set("rule", 7);
  EXPECT_EQ(what_of("source.quarantine", attributes).error().message,
            "`rule` of the action `source.quarantine` is not a text");
  EXPECT_EQ(what_of("incident.lapse", doc::Value::object()).error().id, "action-member");
  EXPECT_EQ(what_of("incident.lapse", doc::Value()).error().id, "action-member");
  EXPECT_EQ(what_of("source.sell", attributes).error().id, "action-unknown");
}

TEST(Action, WhatIsTooLongForARuleOrAReaderIsNoAttribute) {
  const WritePostmortem written{"# a page", "monitors/m.yaml", "rules[]", std::string(600, 'x'),
                                doc::Value::object({{"with", 1}})};
  EXPECT_EQ(json(written), R"({"addition_file":"monitors/m.yaml","addition_path":"rules[]"})");
  EXPECT_EQ(json(Escalate{"quarantine", std::string(600, 'x')}), R"({"step":"quarantine"})");
}

TEST(Action, TheTargetFollowsFromTheStruct) {
  EXPECT_EQ(target_of(Lapse{"x"}, "incident-0001", "s"), "incident/incident-0001");
  EXPECT_EQ(target_of(ReleaseSource{"s1"}, "incident-0001", "s"), "source/s1");
  EXPECT_EQ(target_of(SwapBack{}, "incident-0001", "s"), "service/s");
}

}  // namespace
}  // namespace heddle::recover
