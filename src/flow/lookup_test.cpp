// Features that are looked up in a table of the project: what a run reads of it, what runs again
// when it changed, and which table a retrain takes.
#include <gmock/gmock.h>

#include "bundle/bundle.hpp"
#include "doc/json.hpp"
#include "flow/flow_fixture.hpp"
#include "flow/recorded.hpp"
#include "flow/retrain.hpp"
#include "score/plan.hpp"

namespace heddle::flow {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class LookupRuns : public testing::Test {
 protected:
  void SetUp() override {
    scene_.put("data/shops.csv", kShops);
    scene_.change("heddle.yaml", "sources:\n", "sources:\n  shops: data/shops.csv\n");
    scene_.change("features/f.yaml", "features:\n",
                  "features:\n  - {name: area, lookup: {source: shops, key: {place: code}, value: "
                  "area}}\n  - {name: kind, hidden: true, lookup: {source: shops, key: {place: "
                  "code}, value: kind, type: string}}\n  - {name: open, expression: kind == "
                  "'open'}\n");
  }
  std::vector<std::string> notes_of_run(const std::string& until) {
    std::vector<std::string> notes;
    const auto run = scene_.run(until, [&](const Progress& progress) {
      if (progress.kind == Progress::Kind::kNote) notes.push_back(progress.text);
    });
    EXPECT_TRUE(run.ok()) << run.error().str();
    return notes;
  }
  /// The tables of the features step, as JSON.
  std::string tables() {
    const auto program =
        doc::parse_json(*read_file(scene_.root + "/.heddle/runs/steps/" +
                                   scene_.planned().at("features").key.hex() + "/features.json"));
    return doc::to_json(*program->find("lookups"));
  }
  std::string tables_of(const Digest& digest) {
    const auto bundle = *bundle::open(*scene_.objects, digest);
    return doc::to_json(*bundle.json(bundle::kFeatures)->find("lookups"));
  }

  // Of D there is no row, C has no area, a row has no key.
  static constexpr const char* kShops =
      "code,area,kind,notes\nA,120.5,open,x\nB,80,closed,y\nC,,open,z\n,1,open,w\n";
  static constexpr const char* kTables =
      R"([[["A",120.5],["B",80.0],["C",null]],[["A","open"],["B","closed"],["C","open"]]])";

  Scene scene_;
};

TEST_F(LookupRuns, ATableGoesIntoTheBundle) {
  std::vector<std::string> notes;
  const auto run = scene_.run({}, [&](const Progress& progress) {
    if (progress.kind == Progress::Kind::kNote) notes.push_back(progress.text);
  });
  ASSERT_TRUE(run.ok()) << run.error().str();
  EXPECT_THAT(notes, Contains("`area`: 4 rows of source `shops`, 1 without a key"));
  EXPECT_THAT(notes, Contains(testing::ContainsRegex("`area`: missing in [0-9]+ of [0-9]+ rows to "
                                                     "train on")));
  EXPECT_THAT(notes, Not(Contains(HasSubstr("warning"))));
  EXPECT_EQ(tables(), kTables);
  EXPECT_EQ(tables_of(run->candidate.bundle), kTables);
  EXPECT_EQ(tables_of(run->candidate.standby), kTables);
  // It needs no file to answer.
  std::filesystem::remove(scene_.root + "/data/shops.csv");
  EXPECT_TRUE(score::Plan::load(*bundle::open(*scene_.objects, run->candidate.bundle)).ok());
}

TEST_F(LookupRuns, AChangedTableRunsTheFeaturesAgain) {
  notes_of_run("features");
  EXPECT_THAT(scene_.to_run(), Not(Contains("features")));
  scene_.change("data/shops.csv", "120.5", "121");
  const auto planned = scene_.planned();
  EXPECT_TRUE(planned.at("validate.rows").cached);
  EXPECT_TRUE(planned.at("split").cached);
  EXPECT_FALSE(planned.at("features").cached);
  EXPECT_THAT(planned.at("features").reason,
              HasSubstr("source `shops`, file `data/shops.csv` changed"));
  notes_of_run("features");
  EXPECT_THAT(tables(), HasSubstr(R"(["A",121.0])"));
  // The same rows in another order are the same table.
  const auto before = tables();
  scene_.put("data/shops.csv", "notes,kind,area,code\n,open,,C\n,closed,80,B\n,open,121,A\n");
  notes_of_run("features");
  EXPECT_EQ(tables(), before);
}

TEST_F(LookupRuns, CellsThatAreNoValueAreCounted) {
  scene_.change("data/shops.csv", "B,80", "B,large");
  EXPECT_THAT(notes_of_run("features"),
              Contains("`area`: 1 cells of source `shops` are none of their type and count as "
                       "missing"));
  EXPECT_THAT(tables(), HasSubstr(R"(["B",null])"));
}

TEST_F(LookupRuns, KeysThatAreWrittenInAnotherWayAreTold) {
  scene_.put("data/shops.csv", "code,area,kind\na,120.5,open\nb,80,closed\n");
  const auto notes = notes_of_run("features");
  EXPECT_THAT(notes, Contains("warning: `area` is missing in every row to train on"));
  EXPECT_THAT(notes, Contains("warning: `open` is missing in every row to train on"));
}

TEST_F(LookupRuns, WhatIsNoTableIsAnError) {
  const auto error_of = [&](const std::string& shops) {
    scene_.put("data/shops.csv", shops);
    const auto run = scene_.run("features");
    return run.ok() ? std::string("none") : run.error().id + ": " + run.error().message;
  };
  EXPECT_EQ(error_of("code,area,kind\nA,1,open\nB,2,open\nA,3,open\n"),
            "lookup-two-values: step `features`: lookup `area`: the table has two values for the "
            "key [\"A\"]: 1.0 "
            "and 3.0");
  EXPECT_EQ(
      error_of("code,area,kind\n"),
      "lookup-empty: step `features`: lookup `area`: no row of source `shops` has a key in `code`");
  const auto project = scene_.project();
  std::filesystem::remove(scene_.root + "/data/shops.csv");
  const auto run = flow::run(project, scene_.host, {"", "features"}, {});
  ASSERT_FALSE(run.ok());
  EXPECT_EQ(run.error().id, "source-missing");
  EXPECT_THAT(run.error().message, HasSubstr("source `shops`"));
}

TEST_F(LookupRuns, ARetrainTakesTheTableOfWhatServes) {
  const auto first = scene_.run();
  ASSERT_TRUE(first.ok()) << first.error().str();
  Recorded recorded;
  recorded.base = first->candidate.bundle;
  recorded.recipe = *bundle::open(*scene_.objects, recorded.base)->config().search;
  recorded.recipe.bundle = recorded.base;
  recorded.before.why_not = "there are none";
  const table::Table rows = make_rows(2000, 5);
  std::vector<table::Column> columns;
  for (const auto& column : rows.columns()) {
    if (column.name != "late") columns.push_back(column);
  }
  recorded.rows = *table::Table::make(columns);
  // The world turned upside down, so that there is something to learn.
  for (const auto late : rows.find("late")->ints) recorded.labels.push_back(late > 15 ? 0 : 1);
  for (const auto at : rows.find("at")->ints) recorded.event_times.push_back(at + 40 * kDay);
  const auto project = scene_.project();
  scene_.put("data/shops.csv", "code,area,kind\nA,7,open\n");
  Host host = scene_.host;
  host.state_dir = scene_.root + "/.heddle/runs/retrain-1";
  const auto outcome = retrain(project, "m", host, recorded);
  ASSERT_TRUE(outcome.ok()) << outcome.error().str();
  ASSERT_TRUE(outcome->gates_passed);
  EXPECT_EQ(tables_of(outcome->bundle), kTables);
  // A lookup that what serves does not have comes with a run.
  scene_.change("features/f.yaml", "value: area", "value: notes");
  scene_.put("data/shops.csv", "code,notes,kind\nA,7,open\n");
  host.state_dir = scene_.root + "/.heddle/runs/retrain-2";
  const auto other = retrain(scene_.project(), "m", host, recorded);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().id, "lookup-unknown");
  EXPECT_THAT(other.error().message, HasSubstr("`area`"));
}

}  // namespace
}  // namespace heddle::flow
