// Repairs of what serves: which of them a bundle has not, and how the definitions take them up.
#include "control/repairs.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "control/amend.hpp"
#include "doc/json.hpp"
#include "doc/yaml.hpp"
#include "flow/variant.hpp"
#include "recover/cause.hpp"
#include "recover/incident.hpp"
#include "score/bundle_fixture.hpp"
#include "spec/load.hpp"
#include "watch/baseline.hpp"
#include "watch/baseline_format.hpp"

namespace heddle::control {
namespace {

const spec::Transform kShift{
    "date-shift", "date", {"date - duration(\"5h\")", {}}, "the clock of `s1` is 5 h ahead"};

class RepairsTest : public testing::Test {
 protected:
  Digest pack(double intercept, const bundle::Config& config = bundle::fixture::config()) {
    const auto made =
        bundle::open(objects_, score::fixture::pack(objects_, intercept).value()).value();
    auto layers = made.layers();
    layers.push_back(
        {std::string(bundle::kBaseline), "", doc::to_json(watch::baseline_schema().print({}))});
    layers.push_back({std::string(bundle::kEvaluation), "", bundle::fixture::kPassed});
    layers.push_back({std::string(bundle::kStatements), "", "[]"});
    return bundle::pack(objects_, std::move(layers), config).value();
  }
  Digest retrained(const Digest& from) {
    auto config = bundle::fixture::config();
    config.derived_from = from;
    config.change = bundle::Change{.data = sha256("rows")};
    return pack(0.3, config);
  }
  Digest shifted(const Digest& base) {
    return flow::with_transform(objects_, base, kShift, "commit").value();
  }
  /// The fixture's own intercept is 0.125.
  Digest calibrated(const Digest& base, double intercept) {
    return flow::with_calibration(objects_, base, {{intercept}, {}}, "commit").value();
  }
  std::vector<std::string> dropped(const Digest& before, const Digest& after) {
    return dropped_repairs(objects_, before, after).value();
  }

  score::fixture::MemoryObjects objects_;
};

TEST_F(RepairsTest, ABundleFromDefinitionsDropsWhatRecoveryDid) {
  const auto built = pack(0.1), other = pack(0.2);
  const auto repaired = calibrated(shifted(built), 0.625);
  const std::string transform = "transform `date-shift` of `date`: date - duration(\"5h\")";
  const std::string calibration = "recalibration by +0.5";
  EXPECT_EQ(dropped(built, other), std::vector<std::string>{});
  EXPECT_EQ(dropped(repaired, other), (std::vector<std::string>{transform, calibration}));
  EXPECT_EQ(dropped(repaired, built), (std::vector<std::string>{transform, calibration}));
  EXPECT_EQ(dropped(repaired, shifted(other)), std::vector<std::string>{calibration});
  EXPECT_EQ(dropped(repaired, calibrated(other, 0.625)), std::vector<std::string>{transform});
  EXPECT_EQ(dropped(repaired, calibrated(shifted(other), 0.625)), std::vector<std::string>{});
  // A part of a recalibration is not it.
  EXPECT_EQ(dropped(calibrated(built, 0.625), calibrated(other, 0.25)),
            std::vector<std::string>{calibration});
  // Taken back and released anew: nothing is there to be dropped.
  EXPECT_EQ(dropped(calibrated(repaired, 0.125), shifted(other)), std::vector<std::string>{});
}

TEST_F(RepairsTest, ATransformOfTheDefinitionsIsNoRepair) {
  // Built with the transform in its contract: whoever takes it out of the definitions does so in a
  // review.
  const auto with = bundle::open(objects_, shifted(pack(0.1))).value();
  const auto built = bundle::pack(objects_, with.layers(), bundle::fixture::config()).value();
  EXPECT_EQ(dropped(built, pack(0.2)), std::vector<std::string>{});
  EXPECT_EQ(dropped(shifted(pack(0.3)), built),
            std::vector<std::string>{});  // and it is there for a repair that is the same
}

TEST_F(RepairsTest, WhatWasRetrainedFromIsNotMissing) {
  const auto serving = calibrated(pack(0.1), 0.625);
  EXPECT_EQ(dropped(serving, retrained(serving)), std::vector<std::string>{});
  EXPECT_EQ(dropped(serving, retrained(pack(0.2))).size(),
            1U);  // from something else: it was fitted to other rows
  // The intercept counts from the newest training.
  EXPECT_EQ(dropped(calibrated(retrained(serving), 0.375), pack(0.2)),
            std::vector<std::string>{"recalibration by +0.25"});
}

TEST_F(RepairsTest, ACalibrationCountsFromTheNewestReleaseOrTraining) {
  const auto built = pack(0.1);
  const auto one = calibrated(built, 0.625), two = calibrated(shifted(one), 1.125);
  const auto since = [&](const Digest& bundle, const Digest& released) {
    return calibration_since_release(objects_, bundle,
                                     [&](const Digest& each) { return each == released; })
        .value()
        .offsets.at(0);
  };
  EXPECT_DOUBLE_EQ(since(two, Digest{}), 1.0);
  EXPECT_DOUBLE_EQ(since(two, built), 1.0);
  EXPECT_DOUBLE_EQ(since(two, one), 0.5);
  EXPECT_DOUBLE_EQ(since(two, two), 0.0);
  EXPECT_DOUBLE_EQ(since(one, two), 0.5) << "a release of what came of it says nothing of it";
  EXPECT_DOUBLE_EQ(since(calibrated(two, 0.625), one), 0.0) << "taken back";
  EXPECT_DOUBLE_EQ(since(calibrated(retrained(two), 0.25), one), 0.125);
  objects_.erase(built);
  EXPECT_DOUBLE_EQ(since(two, Digest{}), 1.125) << "nobody knows where it began: all of it";
  EXPECT_DOUBLE_EQ(since(two, one), 0.5);
}

TEST_F(RepairsTest, AnAncestorThatIsGoneLeavesTheRestToBeNamed) {
  const auto built = pack(0.1);
  const auto repaired = shifted(built);
  objects_.erase(built);
  EXPECT_EQ(dropped(repaired, pack(0.2)).size(),
            2U);  // its intercept may have been its own: a person is told
}

/// The transforms that `check` reads from a contract's text; what it had to say fails the test.
std::vector<spec::Transform> read_back(const std::string& text) {
  std::vector<doc::Diagnostic> said;
  const auto contract = spec::parse_contract(text, "c.odcs.yaml", said);
  for (const auto& each : said)
    EXPECT_NE(each.severity, doc::Severity::kError) << each.message << "\n" << text;
  return contract.transforms;
}

constexpr const char* kContract =
    "apiVersion: v3.1.0\nkind: DataContract\nid: trips\nname: trips\nversion: 1.0.0\nstatus: "
    "active\n"
    "schema:\n  - name: trips  # one row a trip\n    logicalType: object\n    properties:\n"
    "      - {name: date, logicalType: timestamp, required: true}\n      - {name: place, "
    "logicalType: string}\n";

TEST(AmendTransforms, IsWhatTheDefinitionsRead) {
  const std::string with_custom =
      std::string(kContract) + "customProperties:\n  - {property: owner, value: ben}\n";
  const std::string flow_custom = std::string(kContract) + "customProperties: []\n";
  for (const std::string& text : {std::string(kContract), with_custom, flow_custom}) {
    const auto amended = amend_transforms(text, "trips", {kShift});
    ASSERT_TRUE(amended.ok()) << amended.error().str();
    const auto read = read_back(*amended);
    ASSERT_EQ(read.size(), 1U) << *amended;
    EXPECT_EQ(read[0].id, kShift.id);
    EXPECT_EQ(read[0].field, kShift.field);
    EXPECT_EQ(read[0].expression.text, kShift.expression.text);
    EXPECT_EQ(read[0].reason, kShift.reason);
    // Again, of the same id: replaced. Of another: beside it.
    spec::Transform later = kShift;
    later.expression.text = "date - duration(\"3h\")";
    EXPECT_EQ(read_back(*amend_transforms(*amended, "trips", {later})).at(0).expression.text,
              later.expression.text);
    later.id = "again";
    EXPECT_EQ(read_back(*amend_transforms(*amended, "trips", {later})).size(), 2U);
  }
  EXPECT_NE(amend_transforms(kContract, "trips", {kShift})->find("# one row a trip"),
            std::string::npos);
}

TEST(AmendTransforms, OfSeveralObjectsItsOwn) {
  const std::string two = std::string(kContract) +
                          "  - name: places\n    logicalType: object\n    properties:\n      - "
                          "{name: date, logicalType: timestamp}\n";
  const auto amended = amend_transforms(two, "places", {kShift});
  ASSERT_TRUE(amended.ok()) << amended.error().str();
  const auto schema = doc::parse_yaml(*amended, "c")->find("schema")->as_array();
  EXPECT_EQ(schema.at(0).find("customProperties"), nullptr);
  const auto& custom = schema.at(1).find("customProperties")->as_array().at(0);
  EXPECT_EQ(custom.string_or("property"), "transforms");
  EXPECT_EQ(custom.find("value")->as_array().at(0).string_or("id"), "date-shift");
  (void)read_back(*amended);
  EXPECT_EQ(amend_transforms(two, "nowhere", {kShift}).error().id, "contract-object-unknown");
}

/// Every addition that a postmortem may propose to a monitor has a key that the monitor's schema
/// has.
TEST(Postmortem, AddsOnlyWhatTheDefinitionsRead) {
  const auto schema = spec::schema("Monitor").value();
  spec::Monitor monitor;
  monitor.quality.chunk_duration = kDay;
  monitor.quality.prior_shift_chunks = 9;
  const auto contract = score::fixture::contract();
  int proposed = 0;
  for (const recover::Cause* cause : recover::causes().rows()) {
    recover::Incident incident;
    incident.diagnosis.cause = cause;
    incident.diagnosis.column = "date";
    for (const auto& amendment : cause->amendments(incident, monitor, contract)) {
      if (amendment.evaluation) continue;
      ++proposed;
      const auto text =
          amend("apiVersion: heddle/v1\nkind: Monitor\n", amendment.path, amendment.yaml).value();
      const auto value = doc::parse_yaml(text, "m").value();
      const doc::Value* at = schema.find("properties");
      std::string path = amendment.path.substr(0, amendment.path.find("[]"));
      for (;;) {
        const auto dot = path.find('.');
        const auto key = path.substr(0, dot);
        ASSERT_NE(at, nullptr) << amendment.path;
        const auto* property = at->find(key);
        ASSERT_NE(property, nullptr) << amendment.path;
        at = property->find("properties");
        if (dot == std::string::npos) break;
        path.erase(0, dot + 1);
      }
      EXPECT_TRUE(value.is_object());
    }
  }
  EXPECT_EQ(proposed, 12);
}

}  // namespace
}  // namespace heddle::control
