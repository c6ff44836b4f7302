// What `upstream` of a field may say: docs/joins.md.
#include "spec/spec_fixture.hpp"

namespace heddle::spec {
namespace {

class UpstreamTest : public SpecTest {
 protected:
  void SetUp() override {
    SpecTest::SetUp();
    put("data/weather.csv", "station,observed,temp\n");
    change("heddle.yaml", "sources:\n", "sources:\n  weather: data/weather.csv\n");
    change("contracts/c.odcs.yaml", "      - name: late\n",
           "      - name: temp\n        logicalType: number\n        customProperties:\n"
           "          - property: upstream\n            vendor: heddle\n            value: " +
               std::string(kGood) + "\n      - name: late\n");
  }
  /// The findings of another declaration, without where they stand.
  std::string found(const std::string& declaration, const std::string& type = "number") {
    const std::string before = *read_file(root_ + "/contracts/c.odcs.yaml");
    change("contracts/c.odcs.yaml", kGood, declaration);
    change("contracts/c.odcs.yaml", "- name: temp\n        logicalType: number",
           "- name: temp\n        logicalType: " + type);
    std::string out;
    for (const auto& each : findings()) {
      const auto at = each.find(": ") + 2;
      out += (out.empty() ? "" : "\n") + each.substr(at);
    }
    put("contracts/c.odcs.yaml", before);
    return out;
  }
  static constexpr const char* kGood =
      "{source: weather, key: {place: station}, time: observed, value: temp, aggregate: mean, "
      "window: 6h, delay: 90s}";
};

TEST_F(UpstreamTest, IsReadWhole) {
  EXPECT_EQ(findings(), Lines{});
  const auto loaded = load_project(root_);
  const auto& field = loaded->project.contracts.at("c").fields[3];
  ASSERT_EQ(field.name, "temp");
  ASSERT_TRUE(field.upstream);
  EXPECT_EQ(field.upstream->source, "weather");
  EXPECT_EQ(field.upstream->key,
            (std::vector<std::pair<std::string, std::string>>{{"place", "station"}}));
  EXPECT_EQ(field.upstream->time, "observed");
  EXPECT_EQ(field.upstream->value, "temp");
  EXPECT_EQ(field.upstream->aggregate, Aggregate::kMean);
  EXPECT_EQ(field.upstream->window, 6 * kHour);
  EXPECT_EQ(field.upstream->delay, 90 * kSecond);
  EXPECT_GT(field.upstream->position.line, 1);
}

TEST_F(UpstreamTest, TheLeastIsSourceTimeAndValue) {
  EXPECT_EQ(found("{source: weather, time: observed, value: temp}"), "");
  EXPECT_EQ(found("{source: weather, time: observed, aggregate: count, window: 1d}", "integer"),
            "");
  EXPECT_EQ(found("{source: weather, time: observed, value: station}", "string"), "");
}

TEST_F(UpstreamTest, WhatCannotBeIsToldWithItsField) {
  EXPECT_EQ(found("true"), "error[wrong-type]: `upstream` must be an object, found a boolean");
  EXPECT_EQ(found("{time: observed, value: temp}"),
            "error[missing-key]: upstream needs the key `source`");
  EXPECT_EQ(found("{source: weather, time: observed, value: temp, windw: 6h}").substr(0, 46),
            "error[unknown-key]: unknown key `windw` in ups");
  EXPECT_EQ(found("{source: weather, time: observed}"),
            "error[bad-upstream]: `upstream` of field `temp` names no `value`");
  EXPECT_EQ(found("{source: weather, time: observed, value: temp, aggregate: max}"),
            "error[bad-upstream]: `upstream` of field `temp` has no `window`");
  EXPECT_EQ(found("{source: weather, time: observed, value: temp, window: 0s}"),
            "error[bad-upstream]: `upstream` of field `temp` has a `window` of no length");
  EXPECT_EQ(found("{source: weather, time: observed, value: temp, key: {place: 7}}"),
            "error[bad-upstream]: `key` of `upstream` names no column for `place`");
  EXPECT_EQ(found("{source: weather, time: observed, value: temp, aggregate: sum, window: 1d}",
                  "integer"),
            "error[bad-upstream]: `upstream` of field `temp` gives what a field of type int "
            "cannot hold: it must be a `number`");
  EXPECT_EQ(found("{source: weather, key: {plaice: station}, time: observed, value: temp}"),
            "error[unknown-name]: `upstream` names `plaice`, which is no field of contract `c`");
  EXPECT_EQ(
      found("{source: weather, key: {late: station}, time: observed, value: temp}"),
      "error[bad-upstream]: `upstream` of field `temp` has the label `late` in its key, which "
      "no request has");
  EXPECT_EQ(found("{source: weather, key: {temp: station}, time: observed, value: temp}"),
            "error[bad-upstream]: `upstream` of field `temp` has `temp` in its key, which is "
            "`upstream` itself");
}

TEST_F(UpstreamTest, SourcesAreLookedInto) {
  EXPECT_EQ(found("{source: wether, time: observed, value: temp}"),
            "error[unknown-name]: `upstream` of field `temp` names the source `wether`, which is "
            "none");
  EXPECT_EQ(found("{source: weather, time: seen, value: temp}"),
            "error[column-missing]: `upstream` of field `temp` names column `seen`, which source "
            "`weather` does not have");
  EXPECT_EQ(found("{source: weather, key: {place: code}, time: observed, value: tmp}"),
            "error[column-missing]: `upstream` of field `temp` names column `code`, which source "
            "`weather` does not have\nerror[column-missing]: `upstream` of field `temp` names "
            "column `tmp`, which source `weather` does not have");
}

TEST_F(UpstreamTest, NoRowSeesALabelBeforeItIsKnown) {
  change("monitors/w.yaml", "window: 1d", "window: 1d\nlabel_delay: 2d");
  const std::string of_label = "{source: rows, key: {place: place}, time: at, value: late, ";
  EXPECT_EQ(found(of_label + "aggregate: mean, window: 7d}"),
            "error[upstream-leak]: `upstream` of field `temp` sees the label `late` and says no "
            "`delay`");
  EXPECT_EQ(found(of_label + "delay: 1d}"),
            "error[upstream-leak]: `upstream` of field `temp` sees the label `late` after 1d, and "
            "the monitor says that labels are known after 2d");
  EXPECT_EQ(found(of_label + "delay: 2d}"), "");
  // What a row says of itself is known at its time.
  EXPECT_EQ(found("{source: rows, key: {place: place}, time: at, value: size}"), "");
  // Another name for the same file is no way round.
  change("heddle.yaml", "sources:\n", "sources:\n  again: data/rows.csv\n");
  EXPECT_EQ(found("{source: again, key: {place: place}, time: at, value: late}").substr(0, 20),
            "error[upstream-leak]");
}

TEST_F(UpstreamTest, RowsNeedATime) {
  change("models/m.yaml", "time_field: at, from: \"2001-01-01\", to: \"2001-02-01\"", "");
  EXPECT_EQ(found(kGood),
            "error[bad-upstream]: `upstream` of field `temp` asks what was known at a row's time, "
            "and model `m` has no `time_field`");
}

}  // namespace
}  // namespace heddle::spec
