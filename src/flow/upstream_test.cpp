// A run over rows that lack their `upstream` fields: what is computed, and what runs again when a
// source changed.
#include <gmock/gmock.h>

#include "bundle/bundle.hpp"
#include "contract/contract.hpp"
#include "flow/flow_fixture.hpp"

namespace heddle::flow {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class UpstreamRuns : public testing::Test {
 protected:
  void SetUp() override {
    std::string weather = "station,observed,wind\n";
    for (const char* station : {"A", "B", "C"}) {
      for (int day = 1; day < 31; ++day)
        weather += fmt::format("{},2001-01-{:02}T00:00:00Z,{}\n", station, day, day % 7);
    }
    scene_.put("data/weather.csv", weather);
    scene_.change("heddle.yaml", "sources:\n", "sources:\n  weather: data/weather.csv\n");
    scene_.change(
        "contracts/c.odcs.yaml", "      - name: late\n",
        "      - name: wind\n        logicalType: number\n        customProperties:\n"
        "          - {property: upstream, vendor: heddle, value: {source: weather, key: {place: "
        "station}, time: observed, value: wind}}\n"
        "      - name: before\n        logicalType: integer\n        customProperties:\n"
        "          - {property: upstream, vendor: heddle, value: {source: rows, key: {place: "
        "place}, time: at, value: late, delay: 1d}}\n"
        "      - name: late\n");
    scene_.change("features/f.yaml", "features:\n",
                  "features:\n  - {name: windy, expression: wind + 0.5}\n"
                  "  - {name: lag, expression: before}\n");
  }
  std::vector<std::string> notes_of_run(const std::string& until) {
    std::vector<std::string> notes;
    const auto run = scene_.run(until, [&](const Progress& progress) {
      if (progress.kind == Progress::Kind::kNote) notes.push_back(progress.text);
    });
    EXPECT_TRUE(run.ok()) << run.error().str();
    return notes;
  }
  table::Table accepted() {
    return *table::read_table(scene_.root + "/.heddle/runs/steps/" +
                              scene_.planned().at("validate.rows").key.hex() + "/accepted.parquet");
  }

  Digest accepted_digest() { return accepted().content_digest(); }

  Scene scene_;
};

TEST_F(UpstreamRuns, ComputeWhatTheRowsLack) {
  const auto notes = notes_of_run("");
  EXPECT_THAT(notes, Contains("`wind`: computed from source `weather`"));
  EXPECT_THAT(notes, Contains("`before`: computed from source `rows`"));
  const table::Table rows = accepted();
  const auto at = rows.find("at")->view(), place = rows.find("place")->view(),
             late = rows.find("late")->view(), wind = rows.find("wind")->view(),
             before = rows.find("before")->view();
  int lags = 0;
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    const Micros time = at.at(row).i;
    // Of day d at midnight the row of that day is not seen yet.
    const auto day = (time - 1 - *parse_time("2001-01-01")) / kDay + 1;
    if (place.at(row).str() == "D" || time == *parse_time("2001-01-01")) {
      EXPECT_TRUE(wind.at(row).is_null());
    } else {
      ASSERT_EQ(wind.at(row).d, static_cast<double>(day % 7)) << format_time(time);
    }
    // The label of the newest row of the place of more than a day ago.
    std::int64_t seen = row - 1;
    while (seen >= 0 &&
           (place.at(seen).str() != place.at(row).str() || at.at(seen).i + kDay >= time))
      --seen;
    ASSERT_EQ(before.at(row).is_null(), seen < 0);
    if (seen < 0) continue;
    ASSERT_EQ(before.at(row).i, late.at(seen).i);
    ++lags;
  }
  EXPECT_GT(lags, 2000);
}

TEST_F(UpstreamRuns, ABundleSaysHow) {
  const auto run = scene_.run();
  ASSERT_TRUE(run.ok()) << run.error().str();
  const auto bundle = *bundle::open(*scene_.objects, run->candidate.bundle);
  const auto contract = contract::Contract::from_value(*bundle.json(bundle::kContract));
  ASSERT_TRUE(contract.ok()) << contract.error().message;
  for (const auto& field : contract->fields()) {
    if (field.name != "before") continue;
    ASSERT_TRUE(field.upstream);
    EXPECT_EQ(field.upstream->source, "rows");
    EXPECT_EQ(field.upstream->delay, kDay);
  }
}

TEST_F(UpstreamRuns, AChangedSourceRunsAgainAndThePlanSaysWhy) {
  ASSERT_TRUE(scene_.run("features").ok());
  EXPECT_THAT(scene_.to_run(), testing::Not(Contains("validate.rows")));
  const auto before = accepted_digest();
  scene_.put("data/weather.csv", "station,observed,wind\nA,2001-01-01T00:00:00Z,99\n");
  const auto planned = scene_.planned();
  EXPECT_FALSE(planned.at("validate.rows").cached);
  EXPECT_THAT(planned.at("validate.rows").reason,
              HasSubstr("source `weather`, file `data/weather.csv` changed"));
  ASSERT_TRUE(scene_.run("features").ok());
  EXPECT_NE(accepted_digest(), before);
}

TEST_F(UpstreamRuns, WhatTheRowsHaveIsTaken) {
  table::Table rows = make_rows(3000, 7);
  table::Column wind{.name = "wind", .type = table::Type::kDouble};
  wind.doubles.assign(3000, 41.0);
  table::Column before{.name = "before", .type = table::Type::kInt};
  before.ints.assign(3000, 3);
  scene_.write_rows(*rows.with_column(wind)->with_column(before));
  const auto notes = notes_of_run("features");
  EXPECT_THAT(notes, Contains("`wind`: taken from the rows, which have it; source `weather` is not "
                              "read"));
  EXPECT_EQ(accepted().find("wind")->doubles[5], 41.0);
  // A source that nobody reads is of no step.
  scene_.put("data/weather.csv", "station,observed,wind\n");
  EXPECT_TRUE(scene_.planned().at("validate.rows").cached);
}

TEST_F(UpstreamRuns, ASourceThatIsGoneIsTold) {
  const auto project = scene_.project();
  std::filesystem::remove(scene_.root + "/data/weather.csv");
  const auto run = flow::run(project, scene_.host, {"", "features"}, {});
  ASSERT_FALSE(run.ok());
  EXPECT_EQ(run.error().id, "source-missing");
  EXPECT_THAT(run.error().message, HasSubstr("source `weather`"));
}

}  // namespace
}  // namespace heddle::flow
