#include "flow/flow.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/process.hpp"
#include "bundle/bundle.hpp"
#include "doc/json.hpp"
#include "evaluate/evaluate.hpp"
#include "flow/flow_fixture.hpp"
#include "flow/held_out.hpp"
#include "flow/variant.hpp"
#include "score/plan.hpp"
#include "spec/environment.hpp"
#include "spec/load.hpp"
#include "train/search.hpp"
#include "watch/baseline.hpp"
#include "watch/baseline_format.hpp"

namespace heddle::flow {
namespace {

TEST(Flow, WhatAPlanNeedsIsMissingBeforeIt) {
  Scene scene(100);
  EXPECT_TRUE(missing_definitions(scene.project()).empty());
  ASSERT_TRUE(plan(scene.project(), scene.host).ok());
  std::filesystem::remove(scene.root + "/evaluations/e.yaml");
  std::filesystem::remove(scene.root + "/services/s.yaml");
  std::filesystem::remove(scene.root + "/monitors/w.yaml");
  const auto project = scene.project();
  Names found;
  for (const auto& each : missing_definitions(project)) found.push_back(doc::render_concise(each));
  EXPECT_EQ(found, (Names{"models/m.yaml:3:7: error[definition-missing]: model `m` has no "
                          "evaluation: it cannot be planned or run",
                          "models/m.yaml:3:7: error[definition-missing]: model `m` has no service "
                          "with a monitor: it cannot be planned or run"}));
  const auto refused = plan(project, scene.host);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "model `m` has no evaluation");
}

TEST(Flow, ARunLeavesACandidateAndThenThereIsNothingToDo) {
  Scene scene;
  const auto first = scene.run();
  ASSERT_TRUE(first.ok()) << first.error().str();
  EXPECT_TRUE(first->candidate.gates_passed);
  EXPECT_EQ(first->candidate.rows, 3000);
  EXPECT_EQ(first->candidate.trials, 4);
  EXPECT_GT(first->candidate.metrics.double_or("auc"), 0.55);
  for (const Digest& digest : {first->candidate.bundle, first->candidate.standby}) {
    const auto opened = bundle::open(*scene.objects, digest);
    ASSERT_TRUE(opened.ok()) << opened.error().str();
    const auto plan = score::Plan::load(*opened);
    EXPECT_TRUE(plan.ok()) << plan.error().str();
  }
  const auto project = scene.project();
  double quickest_ms = 1e9;  // the least is what the plan takes; the rest is who else runs
  for (int i = 0; i < 5; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const auto plan = flow::plan(project, scene.host);
    quickest_ms =
        std::min(quickest_ms,
                 std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
                     .count());
    ASSERT_TRUE(plan.ok());
    EXPECT_TRUE(plan->nothing_to_do());
  }
  EXPECT_LT(quickest_ms, 50);
  const auto again = scene.run();
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->ran, 0);
  EXPECT_EQ(again->candidate, first->candidate);
  EXPECT_EQ(last_candidate(scene.host, "m")->bundle, first->candidate.bundle);
}

TEST(Flow, InfiniteNumbersOfTheTrainingRowsAreNoValuesAndTheBaselineIsReadBack) {
  Scene scene;
  table::Table rows = make_rows(3000, 7);
  table::Column weight{.name = "weight", .type = table::Type::kDouble};
  for (std::int64_t i = 0; i < rows.rows(); ++i) {
    weight.doubles.push_back(i % 7 == 0   ? HUGE_VAL
                             : i % 7 == 1 ? -HUGE_VAL
                                          : static_cast<double>(i % 100));
  }
  scene.write_rows(*rows.with_column(weight));
  scene.change("contracts/c.odcs.yaml", "      - name: late\n",
               "      - {name: weight, logicalType: number}\n      - name: late\n");
  scene.change("monitors/w.yaml", "distributions:\n",
               "distributions:\n  - {name: weight, column: weight, kind: ks}\n");
  const auto run = scene.run();
  ASSERT_TRUE(run.ok()) << run.error().str();
  for (const Digest& digest : {run->candidate.bundle, run->candidate.standby}) {
    const auto opened = bundle::open(*scene.objects, digest);
    const auto baseline = watch::baseline_schema().parse_text(*opened->layer(bundle::kBaseline));
    ASSERT_TRUE(baseline.ok()) << baseline.error().str();
    EXPECT_EQ(baseline->metrics.at(0).binning.points().front(), 0)
        << "rows with an infinite number are refused";
    EXPECT_TRUE(score::Plan::load(*opened).ok());
    EXPECT_EQ(opened->layer(bundle::kReference)->find("null"), std::string_view::npos)
        << "nothing was lost in writing";
  }
  EXPECT_TRUE(with_calibration(*scene.objects, run->candidate.bundle, {{0.1}, {}}, "c0ffee")
                  .ok());  // its reference rows are read again
}

TEST(Flow, TwoFoldersOneDigest) {
  Scene here;
  Scene there;
  const auto first = here.run();
  const auto second = there.run();
  ASSERT_TRUE(first.ok()) << first.error().str();
  ASSERT_TRUE(second.ok()) << second.error().str();
  EXPECT_EQ(first->candidate.bundle, second->candidate.bundle);
  EXPECT_EQ(first->candidate.standby, second->candidate.standby);
}

/// Rows as CSV and as JSON objects: a code keeps its zeros, a time is text.
void write_as_text(const Scene& scene, const table::Table& rows) {
  std::string csv = "at,place,size,late\n";
  std::string json;
  const auto& places = *rows.find("place");
  for (std::size_t i = 0; i < static_cast<std::size_t>(rows.rows()); ++i) {
    const auto at = format_time(rows.find("at")->ints[i]);
    const auto place = places.dictionary->views()[static_cast<std::size_t>(places.codes[i])];
    const auto size = rows.find("size")->ints[i];
    const auto late = rows.find("late")->ints[i];
    csv += fmt::format("{},{},{},{}\n", at, place, size, late);
    json +=
        fmt::format(R"({{"at":"{}","place":"{}","size":{},"late":{}}})", at, place, size, late) +
        "\n";
  }
  scene.put("data/rows.csv", csv);
  scene.put("data/rows.ndjson", json);
}

TEST(Flow, OneSetOfRowsInThreeFormatsIsOneTrainingSet) {
  table::Table rows = make_rows(1200, 7);
  table::Column place = *rows.find("place");
  place.dictionary = std::make_shared<const table::Dictionary>(
      std::vector<std::string>{"001", "002", "003", "004"});
  rows = *rows.with_column(place);
  std::map<std::string, Digest> accepted;
  for (const char* format : {"parquet", "csv", "ndjson"}) {
    Scene scene(10);
    scene.write_rows(rows);
    write_as_text(scene, rows);
    scene.put("data/places.csv", "code\n001\n002\n003\n004\n");
    scene.change("heddle.yaml", "data/rows.parquet", fmt::format("data/rows.{}", format));
    const auto run = scene.run();
    ASSERT_TRUE(run.ok()) << format << ": " << run.error().str();
    EXPECT_EQ(run->candidate.rows, 1200) << format;
    const auto opened = *bundle::open(*scene.objects, run->candidate.bundle);
    accepted[format] = sha256(*opened.layer(bundle::kModel));
    EXPECT_NE(opened.layer(bundle::kReference)->find("\"001\""), std::string_view::npos) << format;
  }
  EXPECT_EQ(accepted.at("csv"), accepted.at("parquet"));
  EXPECT_EQ(accepted.at("ndjson"), accepted.at("parquet"));
}

TEST(Flow, OnlyWhatDependsOnAChangeRuns) {
  Scene scene;
  ASSERT_TRUE(scene.run().ok());
  scene.put("features/f.yaml",
            "# a comment changes nothing\n" + *read_file(scene.root + "/features/f.yaml"));
  EXPECT_EQ(scene.to_run(), Names{});

  scene.change("features/f.yaml", "size * 2", "size * 3");
  EXPECT_EQ(scene.to_run(), (Names{"baseline", "baseline.standby", "bundle", "bundle.standby",
                                   "evaluate", "features", "gates", "search", "standby", "train"}));
  EXPECT_EQ(scene.planned()["features"].reason, "`features/f.yaml`: feature `big` changed");
  EXPECT_EQ(scene.planned()["train"].reason, "it waits for `features`, `search`");
  scene.change("features/f.yaml", "size * 3", "size * 2");
  EXPECT_EQ(scene.to_run(), Names{});

  scene.change("evaluations/e.yaml", "0.55", "0.56");
  EXPECT_EQ(scene.to_run(), (Names{"bundle", "bundle.standby", "evaluate", "gates"}));
  scene.change("evaluations/e.yaml", "0.56", "0.55");

  // A rule that accepts the same rows: what reads only the rows stays.
  scene.change("contracts/c.odcs.yaml", "mustBeGreaterThan: 1}", "mustBeGreaterThan: 2}");
  const auto result = scene.run();
  ASSERT_TRUE(result.ok()) << result.error().str();
  EXPECT_TRUE(scene.to_run().empty());
  EXPECT_LT(result->ran, 10);
}

/// A scene whose evaluation holds the candidate against what serves.
class AgainstWhatServes : public testing::Test {
 protected:
  void SetUp() override {
    scene.change("evaluations/e.yaml", "  - {id: good, when: metrics.auc > 0.55}\n",
                 "  - {id: good, when: metrics.auc > 0.55}\n"
                 "  - {id: no-worse, when: metrics.log_loss <= base.log_loss * 1.02}\n");
  }
  doc::Value evidence(const Digest& bundle) {
    return bundle::open(*scene.objects, bundle)->json(bundle::kEvaluation).value();
  }
  void release(const Digest& bundle) { scene.host.primaries["s"] = bundle; }

  Scene scene;
};

TEST_F(AgainstWhatServes, TheFirstReleaseIsPossibleAndARunAfterItHasNothingToDo) {
  const auto first = scene.run();
  ASSERT_TRUE(first.ok()) << first.error().str();
  const auto made = evidence(first->candidate.bundle);
  EXPECT_EQ(made.find("base")->string_or("why"), "nothing is released as primary of `s` yet");
  const auto& gate = made.find("gates")->as_array().back();
  EXPECT_EQ(gate.string_or("id"), "no-worse");
  EXPECT_FALSE(gate.bool_or("passed", true));
  EXPECT_EQ(gate.string_or("not_judged"), made.find("base")->string_or("why"));
  // It is what serves now: not held against itself, the same bundle again.
  release(first->candidate.bundle);
  const auto after = scene.run();
  ASSERT_TRUE(after.ok()) << after.error().str();
  EXPECT_EQ(after->ran, 1) << "the base is looked up anew";
  EXPECT_EQ(after->candidate.bundle, first->candidate.bundle);
  EXPECT_TRUE(scene.to_run().empty());
}

TEST_F(AgainstWhatServes, AWorseCandidateFailsAndABetterOneSaysByHowMuch) {
  const auto good = scene.run();
  ASSERT_TRUE(good.ok()) << good.error().str();
  release(good->candidate.bundle);
  // Nearly nothing is learned: by itself it passes, against what serves it does not.
  scene.change("evaluations/e.yaml", "metrics.auc > 0.55", "metrics.auc > 0.5");
  scene.change("models/m.yaml", "trials: 4\n  startup: 2\n  max_rounds: 20",
               "trials: 1\n  startup: 1\n  max_rounds: 1");
  const auto worse = scene.run();
  ASSERT_FALSE(worse.ok());
  EXPECT_EQ(worse.error().kind, ErrorKind::kUnprocessable);
  EXPECT_NE(worse.error().message.find("`no-worse`"), std::string::npos) << worse.error().message;
  EXPECT_NE(worse.error().message.find("base.log_loss = "), std::string::npos);
  EXPECT_EQ(worse.error().message.find("`good`"), std::string::npos);

  // What serves answers ten times too sure: the candidate is better, on the same rows.
  const auto off =
      with_calibration(*scene.objects, good->candidate.bundle, {{3}, {}}, "c0ffee").value();
  release(off);
  scene.change("models/m.yaml", "trials: 1\n  startup: 1\n  max_rounds: 1",
               "trials: 4\n  startup: 2\n  max_rounds: 20");
  std::vector<std::string> notes;
  const auto better = scene.run("", [&](const Progress& progress) {
    if (progress.kind == Progress::Kind::kNote) notes.push_back(progress.text);
  });
  ASSERT_TRUE(better.ok()) << better.error().str();
  const auto base = *evidence(better->candidate.bundle).find("base");
  EXPECT_EQ(base.string_or("bundle"), off.str());
  EXPECT_TRUE(base.bool_or("measured"));
  EXPECT_GT(base.int_or("rows"), 400);
  EXPECT_EQ(base.int_or("learned_from"), 0);  // the test rows of its run are those of this one
  for (const auto& metric : base.find("metrics")->as_array()) {
    if (metric.string_or("name") != "log_loss") continue;
    EXPECT_LT(metric.double_or("high"), 0);
  }
  EXPECT_TRUE(std::any_of(notes.begin(), notes.end(), [&](const std::string& note) {
    return note.starts_with("against " + off.str().substr(0, 19));
  })) << fmt::to_string(fmt::join(notes, "\n"));
  EXPECT_EQ(better->candidate.base.string_or("bundle"), off.str());
}

TEST_F(AgainstWhatServes, OfServicesWithDifferentPrimariesTheEvaluationNamesOne) {
  const auto good = scene.run();
  ASSERT_TRUE(good.ok()) << good.error().str();
  const auto off =
      with_calibration(*scene.objects, good->candidate.bundle, {{3}, {}}, "c0ffee").value();
  auto second = *read_file(scene.root + "/services/s.yaml");
  second.replace(second.find("name: s"), 7, "name: t");
  second.replace(second.find("monitor: w"), 10, "monitor: x\nport: 8100\ngrpc_port: 8101");
  scene.put("services/t.yaml", second);
  auto watches = *read_file(scene.root + "/monitors/w.yaml");
  watches.replace(watches.find("name: w"), 7, "name: x");
  watches.replace(watches.find("service: s"), 10, "service: t");
  scene.put("monitors/x.yaml", watches);
  scene.host.primaries = {{"s", off}, {"t", good->candidate.bundle}};
  scene.change("models/m.yaml", "trials: 4", "trials: 3");
  const auto neither = scene.run();
  ASSERT_FALSE(neither.ok());
  EXPECT_NE(neither.error().message.find("name one of them with `base_service`"), std::string::npos)
      << neither.error().message;
  scene.put("evaluations/e.yaml",
            *read_file(scene.root + "/evaluations/e.yaml") + "base_service: s\n");
  const auto of_one = scene.run();
  ASSERT_TRUE(of_one.ok()) << of_one.error().str();
  EXPECT_EQ(evidence(of_one->candidate.bundle).find("base")->string_or("bundle"), off.str());
  // Nothing is released as its primary yet: the other's does not stand in for it.
  scene.host.primaries = {{"t", off}};
  const auto first = scene.run();
  ASSERT_TRUE(first.ok()) << first.error().str();
  EXPECT_EQ(evidence(first->candidate.bundle).find("base")->string_or("why"),
            "nothing is released as primary of `s` yet");
}

TEST_F(AgainstWhatServes, ABaseThatCannotBeAskedNamesTheColumn) {
  const auto good = scene.run();
  ASSERT_TRUE(good.ok()) << good.error().str();
  release(good->candidate.bundle);
  // The new contract has no `size` any more.
  scene.change("contracts/c.odcs.yaml",
               "      - name: size\n        logicalType: integer\n        required: true\n        "
               "logicalTypeOptions: {minimum: 0, maximum: 99}\n",
               "");
  scene.change("features/f.yaml", "  - {name: big, expression: size * 2}\n", "");
  scene.change("monitors/w.yaml", "  - {name: size, column: size, kind: ks, floor: 0.1}\n",
               "  - {name: place, column: place, kind: total_variation, floor: 0.1}\n");
  scene.change("evaluations/e.yaml", "metrics.auc > 0.55", "metrics.auc > 0.5");
  const auto lacks = scene.run();
  ASSERT_FALSE(lacks.ok());
  EXPECT_NE(lacks.error().message.find("the held-out rows have no column `size`"),
            std::string::npos)
      << lacks.error().message;
}

TEST_F(AgainstWhatServes, RowsThatTheBaseLearnedFromAreLeftOut) {
  const auto newer = scene.run();
  ASSERT_TRUE(newer.ok()) << newer.error().str();
  release(newer->candidate.bundle);
  // A candidate of an earlier time: what serves has learned from its test rows.
  scene.change("models/m.yaml", "to: \"2001-02-01\"", "to: \"2001-01-16\"");
  const auto earlier = scene.run();
  ASSERT_FALSE(earlier.ok());
  EXPECT_NE(earlier.error().message.find("learned from"), std::string::npos)
      << earlier.error().message;
}

TEST_F(AgainstWhatServes, TheBundleNamesItsHeldOutRows) {
  const auto made = scene.run();
  ASSERT_TRUE(made.ok()) << made.error().str();
  const auto opened = bundle::open(*scene.objects, made->candidate.bundle).value();
  const auto contract = contract::Contract::from_value(*opened.json(bundle::kContract)).value();
  const auto held = read_held_out(*scene.objects, opened, contract.request_fields());
  ASSERT_TRUE(held.ok()) << held.error().str();
  ASSERT_GT(held->rows.rows(), 400);
  EXPECT_EQ(held->labels.size(), static_cast<std::size_t>(held->rows.rows()));
  EXPECT_EQ(held->rows.find("at")->ints, held->times);
  EXPECT_EQ(held->rows.find("late"), nullptr);  // a request does not carry it
  EXPECT_LT(opened.config().learned.until, held->times.front());
  // The last rows of the file are the last rows kept.
  const auto rows = make_rows(3000, 7);
  EXPECT_EQ(held->rows.find("size")->ints.back(), rows.find("size")->ints.back());
  // Of a bundle from elsewhere they are not there.
  auto config = opened.config();
  config.lineage.held_out = sha256("gone");
  const auto other = bundle::pack(*scene.objects, opened.layers(), config).value();
  EXPECT_EQ(
      read_held_out(*scene.objects, *bundle::open(*scene.objects, other), contract.request_fields())
          .error()
          .kind,
      ErrorKind::kNotFound);
}

TEST(Flow, UntilRunsWhatItNeeds) {
  Scene scene;
  const auto result = scene.run("split");
  ASSERT_TRUE(result.ok()) << result.error().str();
  EXPECT_EQ(result->ran, 3);
  EXPECT_TRUE(result->candidate.bundle.empty());
  EXPECT_EQ(scene.run("splitt").error().kind, ErrorKind::kNotFound);
}

TEST(Flow, AKilledRunGoesOn) {
  Scene scene;
  auto clean = [&] {
    Scene other;
    return other.run()->candidate.bundle;
  }();
  ProcessOptions killed;
  killed.argv = {g_self, "run-and-die", scene.root, "search"};
  killed.err = StandardStream::capture();
  const auto finished = run_process(killed);
  ASSERT_TRUE(finished.ok());
  ASSERT_EQ(finished->exit.signal, SIGKILL) << finished->err;
  const auto before = scene.planned();
  EXPECT_TRUE(before.at("features").cached);
  EXPECT_FALSE(before.at("search").cached);
  std::vector<std::string> notes;
  const auto result =
      scene.run("", [&](const Progress& progress) { notes.push_back(progress.text); });
  ASSERT_TRUE(result.ok()) << result.error().str();
  EXPECT_EQ(result->candidate.bundle, clean);
  const bool resumed = std::any_of(notes.begin(), notes.end(), [](const std::string& text) {
    return text.find("(from before)") != std::string::npos;
  });
  EXPECT_TRUE(resumed);
  EXPECT_TRUE(list_dir(scene.root + "/.heddle/runs/tmp").empty());
}

TEST(Flow, ATamperedObjectIsMadeAgainOrRefused) {
  Scene scene;
  const Digest digest = scene.run()->candidate.bundle;
  const std::string path = scene.root + "/.heddle/objects/blobs/sha256/" + digest.hex();
  std::string bytes = *read_file(path);
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(write_file_atomic(path, bytes).ok());
  EXPECT_EQ(bundle::open(*scene.objects, digest).error().kind, ErrorKind::kCorrupt);
  std::filesystem::remove(path);
  const auto again = scene.run();
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->ran, 1);
  EXPECT_EQ(again->candidate.bundle, digest);
}

TEST(FlowMisuse, EachSaysWhatToDo) {
  struct Case {
    const char* name;
    std::function<void(Scene&)> harm;
    const char* id;
    ErrorKind kind;
  };
  const auto column = [](const table::Table& rows, const char* name, std::int64_t value) {
    table::Column changed = *rows.find(name);
    std::fill(changed.ints.begin(), changed.ints.end(), value);
    return *rows.with_column(std::move(changed));
  };
  const std::vector<Case> cases = {
      {"target constant", [&](Scene& s) { s.write_rows(column(make_rows(500, 1), "late", 0)); },
       "target-constant", ErrorKind::kUnprocessable},
      {"every row refused",
       [&](Scene& s) { s.write_rows(column(make_rows(500, 1), "size", 1000)); },
       "every-row-refused", ErrorKind::kUnprocessable},
      {"target absent",
       [](Scene& s) {
         const table::Table rows = make_rows(500, 1);
         std::vector<table::Column> kept(rows.columns().begin(), rows.columns().end() - 1);
         s.write_rows(*table::Table::make(kept));
       },
       "target-absent", ErrorKind::kUnprocessable},
      {"column gone",
       [](Scene& s) {
         const table::Table rows = make_rows(500, 1);
         std::vector<table::Column> kept(rows.columns().begin(), rows.columns().end());
         kept[2].name = "sizes";
         s.write_rows(*table::Table::make(kept));
       },
       "column-missing", ErrorKind::kUnprocessable},
      {"empty range",
       [](Scene& s) {
         s.change("models/m.yaml", "from: \"2001-01-01\", to: \"2001-02-01\"",
                  "from: \"2011-01-01\", to: \"2011-02-01\"");
       },
       "data-empty", ErrorKind::kUnprocessable},
      {"a gate fails", [](Scene& s) { s.change("evaluations/e.yaml", "0.55", "0.999"); },
       "gates-failed", ErrorKind::kUnprocessable},
      {"a set rule fails",
       [](Scene& s) {
         s.change("contracts/c.odcs.yaml", "mustBeGreaterThan: 1}", "mustBeGreaterThan: 100000}");
       },
       "set-refused", ErrorKind::kUnprocessable},
  };
  for (const auto& each : cases) {
    Scene scene(1500);
    each.harm(scene);
    const auto result = scene.run();
    ASSERT_FALSE(result.ok()) << each.name;
    EXPECT_EQ(result.error().id, each.id) << each.name << ": " << result.error().str();
    EXPECT_EQ(result.error().kind, each.kind) << each.name;
    EXPECT_FALSE(result.error().hint.empty()) << each.name;
    EXPECT_TRUE(scene.objects->tags()->empty()) << each.name << ": a bundle was named";
    EXPECT_EQ(last_candidate(scene.host, "m").error().kind, ErrorKind::kNotFound) << each.name;
  }
}

TEST(FlowMisuse, MissingAndUnreadableFiles) {
  Scene scene(1500);
  std::filesystem::rename(scene.root + "/data/rows.parquet", scene.root + "/data/away");
  auto loaded = spec::load_project(scene.root);
  const auto gone = flow::run(loaded->project, scene.host, {}, {});
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.error().id, "source-missing");
  std::filesystem::create_directory(scene.root + "/data/rows.parquet");
  const auto folder = flow::run(loaded->project, scene.host, {}, {});
  EXPECT_EQ(folder.error().id, "table-no-files");
  std::filesystem::remove(scene.root + "/data/rows.parquet");
  scene.put("data/rows.parquet", "PAR1 this is no Parquet file PAR1");
  const auto broken = scene.run();
  ASSERT_FALSE(broken.ok());
  EXPECT_FALSE(broken.error().hint.empty());
  std::filesystem::rename(scene.root + "/data/away", scene.root + "/data/rows.parquet");
  EXPECT_TRUE(scene.run().ok());
}

TEST(FlowMisuse, ASecondRunAtOnceIsRefused) {
  Scene scene(1500);
  ASSERT_TRUE(make_dirs(scene.root + "/.heddle/runs").ok());
  const auto lock = FileLock::acquire(scene.root + "/.heddle/runs/lock");
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(scene.run().error().kind, ErrorKind::kConflict);
}

TEST(Flow, ABundleNamesItsCommitAndNothingElseDependsOnIt) {
  Scene scene;
  auto project = scene.project();
  const auto run_as = [&](const std::string& commit, bool dirty) {
    project.commit = commit;
    project.dirty = dirty;
    return *flow::run(project, scene.host, {}, {});
  };
  const auto first = run_as("aaaa", false);
  const auto opened = *bundle::open(*scene.objects, first.candidate.bundle);
  EXPECT_EQ(opened.commit(), "aaaa");
  EXPECT_FALSE(opened.dirty());
  const auto other = run_as("bbbb", false);
  EXPECT_EQ(other.ran, 2) << "the two bundles";
  EXPECT_NE(other.candidate.bundle, first.candidate.bundle);
  const auto dirty = run_as("aaaa", true);
  EXPECT_TRUE(bundle::open(*scene.objects, dirty.candidate.bundle)->dirty());
  const auto again = run_as("aaaa", false);
  EXPECT_EQ(again.ran, 0);
  EXPECT_EQ(again.candidate.bundle, first.candidate.bundle);

  const auto variant_of = [&](const RunResult& base, const std::string& commit) {
    return *bundle::open(*scene.objects, *with_calibration(*scene.objects, base.candidate.bundle,
                                                           {{0.5}, {}}, commit));
  };
  EXPECT_FALSE(variant_of(first, "cccc").dirty());
  EXPECT_EQ(variant_of(first, "cccc").commit(), "cccc");
  EXPECT_TRUE(variant_of(dirty, "cccc").dirty()) << "a repair does not clean what it repairs";
  EXPECT_TRUE(variant_of(first, "").dirty());
}

}  // namespace

/// The test's own worker: `worker trial DIR`, and `run-and-die ROOT STEP`: a run killed at the
/// second note of a step.
int main_of(int argc, char** argv) {
  g_self = std::filesystem::read_symlink("/proc/self/exe");
  if (argc == 4 && std::string_view(argv[1]) == "worker")
    return train::run_trial(std::filesystem::current_path());
  if (argc == 4 && std::string_view(argv[1]) == "run-and-die") {
    Scene scene{std::string(argv[2])};
    int notes = 0;
    const auto result = scene.run("", [&](const Progress& progress) {
      if (progress.kind == Progress::Kind::kNote && progress.step == argv[3] && ++notes == 2)
        kill(getpid(), SIGKILL);
    });
    fmt::print(stderr, "the run was not killed: {}\n",
               result.ok() ? "it ended" : result.error().str());
    return 1;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

}  // namespace heddle::flow

int main(int argc, char** argv) { return heddle::flow::main_of(argc, argv); }
