#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "recover/cause.hpp"
#include "recover/incident.hpp"
#include "recover/ladder_fixture.hpp"

namespace heddle::recover {
namespace {

using doc::Value;
using watch::fixture::Stream;

/// An alert of a source of which `share` of the rows were refused; `detail`: what else is known.
watch::Alert refused_alert(double share, Value detail, std::int64_t refused = 40) {
  watch::Alert out;
  out.first.subject = watch::Subject::kContract;
  out.first.source = out.last.source = "s1";
  out.last.value = share;
  out.last.detail = std::move(detail);
  out.last.detail.set("refused", refused);
  out.last.detail.set("rules", Value::object({{"r", refused}}));
  return out;
}

Value signs(std::string_view field, std::string_view sign, std::int64_t rows) {
  return Value::object({{"signs", Value::object({{std::string(field),
                                                  Value::object({{std::string(sign), rows}})}})}});
}

class RowFaults : public testing::Test {
 protected:
  RowFaults() : watch_(*watch::Watch::open(Stream::options())) {}
  Diagnosis named(const watch::Alert& alert) { return diagnose(watch_, alert); }
  watch::Watch watch_;
};

TEST_F(RowFaults, WhatMostRefusedRowsHaveInCommonNamesTheCause) {
  const struct {
    std::string_view sign;
    double share;
    std::string_view cause;
  } cases[] = {{"absent", 1, "missing field"},       {"absent", 0.95, "missing field"},
               {"absent", 0.4, "null burst"},        {"unreadable", 1, "format change"},
               {"unreadable", 0.1, "format change"}, {"unlisted", 0.05, "new category"},
               {"same", 0.7, "frozen value"}};
  for (const auto& each : cases) {
    const Diagnosis d = named(refused_alert(each.share, signs("size", each.sign, 40)));
    EXPECT_EQ(d.cause->name(), each.cause) << each.sign << " in " << each.share;
    EXPECT_EQ(d.column, "size");
    EXPECT_EQ(d.source, "s1");
    EXPECT_NE(d.reason.find("`size`"), std::string::npos) << d.reason;
  }
}

TEST_F(RowFaults, WhatFewShowOrSeveralDoIsNamedByNoneOfThem) {
  for (const char* sign : {"absent", "unreadable", "unlisted"}) {
    EXPECT_EQ(named(refused_alert(0.5, signs("size", sign, 20))).cause, &contract_fault()) << sign;
  }
  EXPECT_EQ(named(refused_alert(0.5, signs("size", "same", 30))).cause, &contract_fault());
  Value both = signs("size", "unlisted", 20);
  both.find("signs")->set("code", Value::object({{"unreadable", 20}}));
  EXPECT_EQ(named(refused_alert(0.5, both)).cause, &contract_fault());
}

TEST_F(RowFaults, ValuesOnAGridOrWithAnOffsetAreNamed) {
  const auto of = [](const char* what, double agreement, std::int64_t rows) {
    return Value::object({{what, Value::object({{"column", "size"},
                                                {"rule", "r"},
                                                {"name", "1 more than expected"},
                                                {"slope", 1.0},
                                                {"offset", 1.0},
                                                {"step", 100.0},
                                                {"agreement", agreement},
                                                {"rows", rows}})}});
  };
  const Diagnosis rounded = named(refused_alert(0.9, of("rounding", 0.97, 40)));
  EXPECT_EQ(rounded.cause, &precision_loss());
  EXPECT_NE(rounded.reason.find("steps of 100"), std::string::npos) << rounded.reason;
  EXPECT_EQ(named(refused_alert(0.9, of("rounding", 0.6, 40))).cause, &contract_fault());
  EXPECT_EQ(named(refused_alert(0.9, of("rounding", 1, 5))).cause, &contract_fault());
  const Diagnosis more = named(refused_alert(0.9, of("affine", 0.95, 40)));
  EXPECT_EQ(more.cause, &unit_change());
  EXPECT_EQ(more.ratio_name, "1 more than expected");
  EXPECT_EQ(named(refused_alert(0.9, of("affine", 0.6, 40))).cause, &contract_fault());
}

TEST_F(RowFaults, AColumnThatStandsStillIsFrozenAndNoShift) {
  watch::Alert alert;
  alert.first.subject = alert.last.subject = watch::Subject::kColumn;
  alert.first.column = "hour";
  alert.last.detail = Value::object({{"commonest", 1.0}, {"commonest_before", 0.1}});
  EXPECT_EQ(named(alert).cause, &frozen_value());
  alert.last.detail = Value::object({{"commonest", 0.9}, {"commonest_before", 0.1}});
  EXPECT_NE(named(alert).cause, &frozen_value()) << "other traffic, not one value";
  alert.last.detail = Value::object({{"commonest", 1.0}, {"commonest_before", 0.9}});
  EXPECT_NE(named(alert).cause, &frozen_value()) << "it was nearly constant before";
}

TEST_F(RowFaults, OneFaultOfASenderIsOneIncidentWhateverItsRunsShow) {
  Incident incident;
  incident.diagnosis = named(refused_alert(0.6, signs("size", "absent", 40)));
  ASSERT_EQ(incident.diagnosis.cause, &null_burst());
  const watch::Alert later = refused_alert(1, signs("size", "absent", 40));
  const Diagnosis whole = named(later);
  ASSERT_EQ(whole.cause, &missing_field());
  EXPECT_TRUE(incident.diagnosis.cause->takes(incident, later, whole, false));
  watch::Alert other = refused_alert(1, signs("size", "absent", 40));
  other.last.source = "s2";
  EXPECT_FALSE(incident.diagnosis.cause->takes(incident, other, named(other), true));
}

}  // namespace
}  // namespace heddle::recover
