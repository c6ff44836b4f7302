#include "batch/batch.hpp"

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "batch/cells.hpp"
#include "doc/json.hpp"
#include "score/bundle_fixture.hpp"
#include "statistic/statistic.hpp"
#include "stats/conformal_bounds.hpp"
#include "table/stream.hpp"

namespace heddle::batch {
namespace {

using score::fixture::MemoryObjects;

class BatchTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "batch_test_" +
           testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(dir_);
    ASSERT_TRUE(make_dirs(dir_).ok());
    const auto digest = score::fixture::pack(objects_, 0.25);
    ASSERT_TRUE(digest.ok()) << digest.error().str();
    const auto bundle = bundle::open(objects_, *digest);
    ASSERT_TRUE(bundle.ok());
    auto plan = score::Plan::load(*bundle);
    ASSERT_TRUE(plan.ok()) << plan.error().str();
    plan_ = *std::move(plan);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string path(const std::string& name) const { return dir_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
  }

  /// Rows of the fixture with a key; every 7th has a distance that its origin does not have, and is
  /// refused.
  table::Table rows(int n) const {
    auto all = score::fixture::rows(n);
    table::Column distance = *all.find("distance");
    for (std::size_t i = 6; i < distance.ints.size(); i += 7) distance.ints[i] += 1;
    table::Column key{.name = "key", .type = expr::Type::kInt};
    for (int i = 0; i < n; ++i) key.ints.push_back(i);
    return *(*all.with_column(distance)).with_column(key);
  }

  Result<Report> score(const std::string& in, const std::string& out, unsigned threads = 1,
                       std::vector<std::string> columns = {},
                       const std::string& refused = "") const {
    Options options;
    options.input = path(in);
    options.output = path(out);
    options.refused = refused;
    options.threads = threads;
    options.columns = std::move(columns);
    auto report = score_file(*plan_, options);
    if (report.ok()) {
      EXPECT_FALSE(path_exists(path(out))) << "visible before it is published";
      const auto published = report->publish();
      EXPECT_TRUE(published.ok());
    }
    return report;
  }

  MemoryObjects objects_;
  std::unique_ptr<const score::Plan> plan_;
  std::string dir_;
};

TEST_F(BatchTest, AFileHasTheBitsThatEachRowGetsByItself) {
  const auto all = rows(5000);
  ASSERT_TRUE(table::write_parquet(all, path("in.parquet")).ok());
  const auto report = score("in.parquet", "out.parquet", 3);
  ASSERT_TRUE(report.ok()) << report.error().str();
  EXPECT_EQ(report->rows, 5000);
  EXPECT_EQ(report->refused, 5000 / 7);
  EXPECT_EQ(report->served + report->refused, 5000);
  EXPECT_EQ(report->rules.at("distance-of-origin"), report->refused);
  EXPECT_GT(report->warned, 0);
  const auto out = table::read_table(path("out.parquet"));
  ASSERT_TRUE(out.ok()) << out.error().str();
  ASSERT_EQ(out->rows(), report->served);
  std::vector<expr::ColumnView> fields;
  for (const auto& field : plan_->contract().request_fields())
    fields.push_back(all.find(field.name)->view());
  score::Scratch scratch;
  score::RowResult result;
  std::vector<expr::Datum> raw(fields.size());
  for (std::int64_t i = 0; i < out->rows(); ++i) {
    const auto key = out->find("key")->view().at(i).i;
    for (std::size_t f = 0; f < fields.size(); ++f) raw[f] = fields[f].at(key);
    plan_->score_row(raw, result, scratch);
    ASSERT_FALSE(result.check.refused);
    const auto wrote = static_cast<float>(out->find("probability")->view().at(i).d);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(wrote),
              std::bit_cast<std::uint32_t>(result.prediction.at(0)))
        << key;
    ASSERT_EQ(out->find("validation")->view().at(i).is_null(), result.check.broken.empty());
    ASSERT_EQ(out->find("bundle")->view().at(i).str(), plan_->bundle().str());
  }
  const auto refused = table::read_table(path("out.refused.parquet"));
  ASSERT_TRUE(refused.ok());
  ASSERT_EQ(refused->rows(), report->refused);
  for (std::int64_t i = 0; i < refused->rows(); ++i) {
    EXPECT_EQ(refused->find("key")->view().at(i).i % 7, 6);
    EXPECT_THAT(std::string(refused->find("validation")->view().at(i).str()),
                testing::HasSubstr("distance-of-origin"));
  }
}

TEST_F(BatchTest, WhatAFileLacksIsComputedAsItsSourceHasIt) {
  const table::Table all = score::fixture::rows(5000);
  ASSERT_TRUE(table::write_parquet(all, path("all.parquet")).ok());
  std::string lacking = "date,origin\n";
  const auto date = all.find("date")->view(), origin = all.find("origin")->view();
  for (std::int64_t row = 0; row < all.rows(); ++row)
    lacking += fmt::format("{},{}\n", format_time(date.at(row).i), origin.at(row).str());
  write("lacking.csv", lacking);
  write("known.csv",
        "from,since,miles\nABQ,1990-01-01,100\nLAX,1990-01-01,400\nJFK,1990-01-01,700\n"
        "ORD,1990-01-01,1000\nSEA,1990-01-01,1300\nSEA,2100-01-01,7\n");
  spec::Project project;
  project.sources["known"] = table::Input(path("known.csv"));
  spec::Field distance{.name = "distance", .type = expr::Type::kInt};
  distance.upstream = spec::Upstream{
      .source = "known", .key = {{"origin", "from"}}, .time = "since", .value = "miles"};
  upstream::Joiner::Options joining;
  joining.project = &project;
  joining.contract = &plan_->contract();
  joining.fields = {distance};
  joining.time_field = "date";
  const auto joiner = upstream::Joiner::open(joining);
  ASSERT_TRUE(joiner.ok()) << joiner.error().str();
  Options options;
  options.input = path("lacking.csv");
  options.output = path("lacking.out.csv");
  options.joiner = &*joiner;
  options.threads = 2;
  options.joined = {{"known", sha256("known")}};
  auto report = score_file(*plan_, options);
  ASSERT_TRUE(report.ok()) << report.error().str();
  ASSERT_TRUE(report->publish().ok());
  EXPECT_EQ(report->served, 5000);
  EXPECT_THAT(report->computed, testing::ElementsAre("distance"));
  EXPECT_THAT(report->absent, testing::IsEmpty());
  EXPECT_EQ(report->profile.find("joined")->string_or("known"), sha256("known").str());
  ASSERT_TRUE(score("all.parquet", "all.out.csv").ok());
  const auto computed = *table::read_table(path("lacking.out.csv"));
  const auto had = *table::read_table(path("all.out.csv"));
  for (std::int64_t row = 0; row < 5000; ++row) {
    ASSERT_EQ(computed.find("probability")->view().at(row).str(),
              had.find("probability")->view().at(row).str());
    ASSERT_EQ(computed.find("distance")->view().at(row).str(),
              had.find("distance")->view().at(row).str());
  }
  // Without its key nothing can be computed, and that is told.
  write("keyless.csv", "date,distance2\n2001-01-01,1\n");
  options.input = path("keyless.csv");
  const auto refused = score_file(*plan_, options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().id, "column-missing");
  EXPECT_THAT(refused.error().message, testing::HasSubstr("by which `distance` is computed"));
}

TEST_F(BatchTest, TheEndsOfAnIntervalAreThoseThatTheEndpointAnswers) {
  const auto bundle = bundle::open(objects_, *score::fixture::pack_number(objects_, 0.1));
  ASSERT_TRUE(bundle.ok());
  plan_ = score::Plan::load(*bundle).value();
  ASSERT_TRUE(table::write_parquet(rows(500), path("in.parquet")).ok());
  ASSERT_TRUE(score("in.parquet", "out.parquet").ok());
  ASSERT_TRUE(score("in.parquet", "out.csv").ok());
  const auto out = *table::read_table(path("out.parquet"));
  const auto texts = *table::read_table(path("out.csv"));
  int moved = 0;
  for (std::int64_t i = 0; i < out.rows(); ++i) {
    const auto number = [&](const char* name) { return out.find(name)->view().at(i).d; };
    const auto value = static_cast<float>(number("value"));
    const auto ends = stats::conformal_bounds(value, 0.1);
    EXPECT_EQ(number("lower"), static_cast<double>(ends.lower));
    EXPECT_EQ(number("upper"), static_cast<double>(ends.upper));
    // What the interval holds, its ends still hold.
    EXPECT_LE(number("lower"), static_cast<double>(value) - 0.1);
    EXPECT_GE(number("upper"), static_cast<double>(value) + 0.1);
    moved += ends.lower != static_cast<float>(static_cast<double>(value) - 0.1) ? 1 : 0;
    EXPECT_EQ(std::stof(std::string(texts.find("upper")->view().at(i).str())), ends.upper);
  }
  EXPECT_GT(moved, 0) << "rounded to the nearest float some would lie within";
}

TEST_F(BatchTest, TheSameFileGivesTheSameBytesWhateverTheThreads) {
  ASSERT_TRUE(table::write_parquet(rows(9000), path("in.parquet")).ok());
  for (const char* format : {"parquet", "csv"}) {
    const auto one = score("in.parquet", fmt::format("a.{}", format), 1);
    const auto four = score("in.parquet", fmt::format("b.{}", format), 4);
    ASSERT_TRUE(one.ok() && four.ok());
    EXPECT_EQ(*read_file(path(fmt::format("a.{}", format))),
              *read_file(path(fmt::format("b.{}", format))));
    EXPECT_EQ(*read_file(path(fmt::format("a.refused.{}", format))),
              *read_file(path(fmt::format("b.refused.{}", format))));
    EXPECT_EQ(one->output, sha256(*read_file(path(fmt::format("a.{}", format)))));
    EXPECT_EQ(doc::to_json(one->profile), doc::to_json(four->profile));
  }
}

TEST_F(BatchTest, CsvIsReadByTheContractAndWhatItCannotReadIsRefused) {
  write("in.csv",
        "key,date,origin,distance,note\n"
        "a,2001-04-01T00:00:00Z,ABQ,100,\"one, two\"\n"
        "b,2001-04-01 10:00:00,LAX,400,\n"
        "c,2001-04-01,JFK,far,\"\"\n"
        "d,not a time,JFK,700,NULL\n"
        "e,2001-04-01,,700,x\n"
        "f,2001-04-01,JFK,700.0,x\n");
  const auto report = score("in.csv", "out.csv", 1, {"note", "key"});
  ASSERT_TRUE(report.ok()) << report.error().str();
  EXPECT_EQ(report->served, 3);
  EXPECT_EQ(report->refused, 3);
  EXPECT_THAT(report->rules, testing::UnorderedElementsAre(testing::Pair("distance-type", 1),
                                                           testing::Pair("date-type", 1),
                                                           testing::Pair("origin-required", 1)));
  const std::string out = *read_file(path("out.csv"));
  EXPECT_THAT(out,
              testing::StartsWith("note,key,probability,validation,bundle\n\"one, two\",a,0."));
  EXPECT_THAT(out, testing::HasSubstr("\n,b,0."));
  const std::string refused = *read_file(path("out.refused.csv"));
  EXPECT_THAT(refused, testing::HasSubstr("\"\",c,2001-04-01,JFK,far,distance-type," +
                                          plan_->bundle().str() + "\n"));
}

TEST_F(BatchTest, AFileOfAnotherContractIsToldApartFromRefusedRows) {
  write("in.csv", "date,origin\n2001-04-01,ABQ\n");
  EXPECT_EQ(score("in.csv", "out.csv").error().id, "column-missing");
  auto all = rows(10);
  table::Column distance{.name = "distance", .type = expr::Type::kString};
  distance.codes.assign(10, 0);
  distance.dictionary = std::make_shared<table::Dictionary>(std::vector<std::string>{"far"});
  ASSERT_TRUE(table::write_parquet(*all.with_column(distance), path("in.parquet")).ok());
  EXPECT_EQ(score("in.parquet", "out.csv").error().id, "column-type");
  EXPECT_EQ(score("absent.parquet", "out.csv").error().kind, ErrorKind::kNotFound);
  ASSERT_TRUE(table::write_parquet(all, path("in.parquet")).ok());
  EXPECT_EQ(score("in.parquet", "in.parquet").error().id, "score-same-file");
  std::filesystem::create_symlink(path("in.parquet"), path("link.parquet"));
  EXPECT_EQ(score("in.parquet", "link.parquet").error().id, "score-same-file");
  std::filesystem::remove(path("link.parquet"));
  EXPECT_EQ(score("in.parquet", "out.csv", 1, {}, path("./out.csv")).error().id, "score-same-file");
  std::filesystem::create_directory(path("folder.csv"));
  EXPECT_EQ(score("in.parquet", "folder.csv").error().id, "table-no-file");
  std::filesystem::remove(path("folder.csv"));
  EXPECT_EQ(score("in.parquet", "out.txt").error().id, "table-extension");
  for (const auto& name : list_dir(dir_))
    EXPECT_TRUE(name == "in.csv" || name == "in.parquet") << name << " was left behind";
}

/// A contract that repairs, and one row for each key in time: the first or the last.
class DuplicatesTest : public BatchTest {
 protected:
  void take(bool keep_last) {
    auto definition = score::fixture::repairing_contract();
    definition.fields[0].required = false;
    definition.deduplicate = {.key = {"origin", "distance"}, .by = "date", .keep_last = keep_last};
    const auto digest = score::fixture::pack(objects_, 0.25, false, definition);
    ASSERT_TRUE(digest.ok()) << digest.error().str();
    plan_ = score::Plan::load(*bundle::open(objects_, *digest)).value();
  }
  /// Column `column` of what was written, row by row.
  std::vector<std::string> written(const std::string& name, const std::string& column) const {
    const auto rows = table::read_table(path(name)).value();
    std::vector<std::string> out;
    for (std::int64_t row = 0; row < rows.rows(); ++row) {
      const auto value = rows.find(column)->view().at(row);
      out.emplace_back(value.is_null() ? "" : value.str());
    }
    return out;
  }
  using Texts = std::vector<std::string>;
};

constexpr const char* kTwice =
    "key,date,origin,distance\n"
    "a,01.04.2001 05:00,ABQ,100\n"
    "b,02.04.2001 05:00,abq,\"100,0\"\n"  // the same as its repairs leave it
    "c,31.03.2001 05:00, ABQ,100\n"       // the first in time is not the first of the file
    "d,01.04.2001 05:00,LAX,400\n"
    "e,01.04.2001 05:00,LAX,400\n"  // of one time
    "f,30.03.2001 05:00,LAX,401\n"  // refused: it stands for nobody
    "g,,LAX,400\n"                  // no time: nobody's duplicate
    "h,01.04.2001 05:00,JFK,700\n";

TEST_F(DuplicatesTest, OneRowOfAKeyIsServedTheFirst) {
  take(false);
  write("in.csv", kTwice);
  const auto report = score("in.csv", "out.csv");
  ASSERT_TRUE(report.ok()) << report.error().str();
  EXPECT_EQ(written("out.csv", "key"), (Texts{"c", "d", "g", "h"}));
  EXPECT_EQ(written("out.refused.csv", "key"), (Texts{"a", "b", "e", "f"}));
  EXPECT_EQ(written("out.refused.csv", "validation"),
            (Texts{"deduplicate", "deduplicate", "deduplicate", "distance-of-origin"}));
  EXPECT_EQ(report->rules.at("deduplicate"), 3);
  EXPECT_EQ(report->served + report->refused, report->rows);
  EXPECT_EQ(written("out.refused.csv", "origin")[1], "abq") << "as it came";
  // What is left out is not checked again, and counts for no repair.
  EXPECT_EQ(report->repaired,
            (std::map<std::string, std::int64_t>{{"date-dates", 4}, {"origin-trim", 1}}));
  EXPECT_EQ(written("out.csv", "repairs"),
            (Texts{"date-dates,origin-trim", "date-dates", "", "date-dates"}));
}

TEST_F(DuplicatesTest, OrTheLast) {
  take(true);
  write("in.csv", kTwice);
  ASSERT_TRUE(score("in.csv", "out.csv").ok());
  EXPECT_EQ(written("out.csv", "key"), (Texts{"b", "e", "g", "h"}));
  EXPECT_EQ(written("out.refused.csv", "key"), (Texts{"a", "c", "d", "f"}));
}

TEST_F(DuplicatesTest, RowsOfRequestsAreAnsweredEach) {
  take(false);
  write("in.csv", kTwice);
  Options options;
  options.input = path("in.csv");
  options.output = path("out.csv");
  options.keeps_duplicates = true;
  options.id_column = "key";
  const auto report = score_file(*plan_, options);
  ASSERT_TRUE(report.ok()) << report.error().str();
  EXPECT_EQ(report->served_ids, (Texts{"a", "b", "c", "d", "e", "g", "h"}));
}

TEST_F(DuplicatesTest, AcrossChunksAndThreads) {
  take(false);
  // Two keys, and each row again far behind and a little later: the first two rows stay.
  constexpr int kHalf = 150'000;
  std::string text = "key,date,origin,distance\n";
  for (int copy = 0; copy < 2; ++copy) {
    for (int i = 0; i < kHalf; ++i) {
      const Micros time = 986'083'200 * kSecond + (i + copy) * kHour;
      text += fmt::format("{}-{},{},{},{}\n", copy, i, format_time(time),
                          i % 2 == 0 ? "ABQ" : "LAX", i % 2 == 0 ? 100 : 400);
    }
  }
  write("in.csv", text);
  for (const unsigned threads : {1U, 3U}) {
    const auto report = score("in.csv", fmt::format("out{}.csv", threads), threads);
    ASSERT_TRUE(report.ok()) << report.error().str();
    EXPECT_EQ(report->served, 2);
    EXPECT_EQ(report->rules.at("deduplicate"), 2 * kHalf - 2);
    EXPECT_EQ(written(fmt::format("out{}.csv", threads), "key"), (Texts{"0-0", "0-1"}));
  }
  EXPECT_EQ(*read_file(path("out1.refused.csv")), *read_file(path("out3.refused.csv")));
}

TEST_F(DuplicatesTest, OfARefusedFileWhatAnotherRowStoodForStaysSo) {
  take(false);
  write("in.csv", kTwice);
  ASSERT_TRUE(score("in.csv", "out.csv").ok());
  Options options;
  options.input = path("out.refused.csv");
  options.output = path("again.csv");
  options.columns = {"key", "date", "origin", "distance"};
  options.duplicates_column = "validation";
  const auto report = score_file(*plan_, options);
  ASSERT_TRUE(report.ok()) << report.error().str();
  EXPECT_EQ(report->served, 0);
  EXPECT_EQ(report->rules,
            (std::map<std::string, std::int64_t>{{"deduplicate", 3}, {"distance-of-origin", 1}}));
  // Without the rule in the contract they are rows like others.
  plan_ = score::Plan::load(
              *bundle::open(objects_, *score::fixture::pack(objects_, 0.25, false,
                                                            score::fixture::repairing_contract())))
              .value();
  options.output = path("later.csv");
  const auto later = score_file(*plan_, options);
  ASSERT_TRUE(later.ok()) << later.error().str();
  EXPECT_EQ(later->served, 3);
}

TEST_F(DuplicatesTest, APersonAcceptsWhatIsNotMalformed) {
  take(false);
  write("in.csv", "key,date,origin,distance\na,01.04.2001 05:00,LAX,401\nb,01/04/2001,LAX,400\n");
  Options options;
  options.input = path("in.csv");
  options.output = path("out.csv");
  options.accepts = true;
  const auto report = score_file(*plan_, options);
  ASSERT_TRUE(report.ok()) << report.error().str();
  ASSERT_TRUE(report->publish().ok());
  EXPECT_EQ(written("out.csv", "key"), Texts{"a"});
  EXPECT_EQ(written("out.csv", "validation"), Texts{"distance-of-origin"});
  EXPECT_EQ(written("out.refused.csv", "validation"), Texts{"date-type"});
}

TEST_F(BatchTest, NoRowsAreAnEmptyFile) {
  write("in.csv", "date,origin,distance\n");
  const auto report = score("in.csv", "out.csv");
  ASSERT_TRUE(report.ok()) << report.error().str();
  EXPECT_EQ(report->rows, 0);
  EXPECT_EQ(*read_file(path("out.csv")), "date,origin,distance,probability,validation,bundle\n");
}

/// A worker (tests/fixtures/worker) answers by `distance`: 20 is more likely `late`, 70 `early`,
/// 1001 makes it fail.
class WorkerTest : public BatchTest {
 protected:
  void SetUp() override {
    BatchTest::SetUp();
    task_ = {.kind = stats::TaskKind::kClasses, .classes = {"early", "late", "lost"}};
    spec::Contract definition = score::fixture::contract();
    definition.row_rules.clear();
    definition.fields.push_back({.name = "prediction", .type = expr::Type::kDouble});
    const auto contract =
        contract::Contract::compile(definition, [](const std::string&, const std::string&) {
          return Result<std::vector<std::string>>(std::vector<std::string>{});
        });
    ASSERT_TRUE(contract.ok()) << contract.error().str();
    spec::FeatureSet set;
    set.identity.name = "trips";
    set.features = {{.name = "x", .expression = {"distance", {}}}};
    const auto program = feature::Program::compile(set, contract->request_fields());
    ASSERT_TRUE(program.ok()) << program.error().str();
    const auto files = runtime::pack_folder("tests/fixtures/worker");
    ASSERT_TRUE(files.ok()) << files.error().str();
    runtime::Runtime runtime;
    runtime.command = {"/usr/bin/python3", "serve.py", "--task", "classes"};
    runtime.output = "probabilities";
    auto plan = score::Plan::from_runtime(contract->to_value(), program->to_value(), runtime,
                                          *files, task_, score::uncalibrated(task_));
    ASSERT_TRUE(plan.ok()) << plan.error().str();
    plan_ = *std::move(plan);
  }
  stats::Task task_;
};

TEST_F(WorkerTest, ARowWithoutAnAnswerIsAmongTheRefusedAndCounted) {
  write("in.csv",
        "key,date,origin,distance\n"
        "a,2001-04-01,ABQ,20\nb,2001-04-01,ABQ,1001\nc,2001-04-01,ABQ,70\n"
        "d,2001-04-01,ABQ,9999\n");
  const auto report = score("in.csv", "out.csv", 1, {"key"});
  ASSERT_TRUE(report.ok()) << report.error().str();
  EXPECT_EQ(report->served, 2);
  EXPECT_EQ(report->refused, 2);
  EXPECT_EQ(report->unanswered, 1);
  EXPECT_EQ(report->rules.at("no-answer"), 1);
  EXPECT_THAT(*read_file(path("out.csv")), testing::HasSubstr("\na,late,"));
  EXPECT_THAT(*read_file(path("out.csv")), testing::HasSubstr("\nc,early,"));
  EXPECT_THAT(*read_file(path("out.csv")), testing::Not(testing::HasSubstr("\nb,")));
  EXPECT_THAT(*read_file(path("out.refused.csv")),
              testing::HasSubstr("b,2001-04-01,ABQ,1001,no-answer,"));
  EXPECT_EQ(report->profile.find("fields")->as_array().front().int_or("missing"), 0);
}

TEST_F(WorkerTest, TheLikeliestClassIsHeldAgainstTheBaseline) {
  watch::MetricReference likeliest;
  likeliest.metric = {
      .name = "answers", .column = "prediction", .kind = &statistic::total_variation()};
  likeliest.binning = stats::Binning::categories({"late", "early"});
  likeliest.reference = stats::Histogram(likeliest.binning.size());
  for (const char* name : {"late", "late", "early"})
    likeliest.reference.add(*likeliest.bin_of(expr::Datum::string(name)));
  watch::Baseline baseline;
  baseline.metrics.push_back(likeliest);
  write("in.csv",
        "date,origin,distance\n2001-04-01,ABQ,20\n2001-04-01,ABQ,30\n2001-04-01,ABQ,70\n");
  Options options;
  options.input = path("in.csv");
  options.output = path("out.csv");
  options.baseline = &baseline;
  const auto report = score_file(*plan_, options);
  ASSERT_TRUE(report.ok()) << report.error().str();
  const auto& metric = report->profile.find("metrics")->as_array().at(0);
  EXPECT_EQ(metric.double_or("statistic"), 0) << doc::to_json(metric);
  std::vector<std::int64_t> counts;
  for (const auto& count : metric.find("counts")->as_array()) counts.push_back(count.as_int());
  const auto wanted = likeliest.reference.counts();
  EXPECT_EQ(counts, std::vector<std::int64_t>(wanted.begin(), wanted.end()));
}

TEST_F(BatchTest, TwoWritersOfOneFileDoNotMix) {
  auto first = table::TableWriter::open(path("out.csv"), {{"a", expr::Type::kInt}});
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(table::TableWriter::open(path("out.csv"), {{"a", expr::Type::kInt}}).error().id,
            "table-being-written");
  first->reset();
  EXPECT_FALSE(path_exists(path("out.csv.part")));
  EXPECT_TRUE(table::TableWriter::open(path("out.csv"), {{"a", expr::Type::kInt}}).ok());
}

}  // namespace
}  // namespace heddle::batch
