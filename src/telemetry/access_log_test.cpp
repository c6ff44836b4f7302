#include "telemetry/access_log.hpp"

#include <cmath>
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "plane/journal.hpp"
#include "plane/segment.hpp"
#include "table/table.hpp"

namespace heddle::telemetry {
namespace {

class AccessLogTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "access_test_" +
           testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(dir_);
    ASSERT_TRUE(make_dirs(dir_ + "/spool").ok());
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  /// One journal segment of `requests` requests with a served, a refused and a quarantined row
  /// each.
  void journal(int requests) const {
    auto writer =
        plane::JournalWriter::open({.dir = dir_ + "/spool", .fields = {"origin", "distance"}});
    ASSERT_TRUE(writer.ok());
    for (int i = 0; i < requests; ++i) {
      plane::RequestRecord request;
      request.request_id = fmt::format("r-{}", i);
      request.source = "one";
      request.account = i == 0 ? "" : "app";
      request.arrival = 1000 + i;
      request.event_time = 5;
      request.slot = i % 2 == 0 ? "primary" : "standby";
      request.route_version = 3;
      request.micros = 42;
      request.cohort = i == 0 ? plane::Cohort::kBaseline : plane::Cohort::kNone;
      plane::FieldValue origin, distance;
      origin.kind = expr::Datum::Kind::kString, origin.s = "a \"secret\"";
      distance.kind = expr::Datum::Kind::kInt, distance.i = 7;
      request.rows.push_back({.fields = {origin, distance}, .prediction = {0.1f}});
      if (i == 1) request.rows[0].prediction = {0.125f, 0.5f, 0.375f};
      request.rows.push_back({.outcome = plane::RowOutcome::kRefused,
                              .rules = {"a", "b"},
                              .fields = {origin, distance}});
      request.rows.push_back(
          {.outcome = plane::RowOutcome::kQuarantined, .rules = {"source-quarantined"}});
      (*writer)->append(plane::Record(request));
      (*writer)->append(plane::Record(plane::TickRecord{i}));
    }
    ASSERT_TRUE((*writer)->commit().ok());
  }

  Result<AccessSegment> convert(std::uint64_t segment, bool fields = false) const {
    AccessSource source;
    source.spool = dir_ + "/spool";
    source.segment = segment;
    source.fields = fields;
    source.bundle_of = [](std::uint64_t version, std::string_view slot) {
      return version == 3 && slot == "primary" ? "sha256:aa" : "";
    };
    source.repairs_of = [](const std::string& bundle, const plane::RowRecord& row,
                           std::span<const std::string> names) -> std::optional<std::string> {
      if (bundle.empty()) return std::nullopt;
      EXPECT_TRUE(row.fields.empty() || names.size() == row.fields.size());
      return row.rules.empty() ? "origin-trim,origin-case" : "";
    };
    return write_access(source, dir_ + "/access");
  }

  std::string dir_;
};

TEST_F(AccessLogTest, ASegmentHasOneRowARowAndNoValues) {
  journal(10'000);
  journal(1);  // the first is finished now
  const auto made = convert(1);
  ASSERT_TRUE(made.ok()) << made.error().str();
  EXPECT_EQ(made->requests, 10'000);
  EXPECT_EQ(made->rows, 30'000);
  EXPECT_EQ(made->served, 10'000);
  EXPECT_EQ(made->refused, 10'000);
  EXPECT_EQ(made->first_arrival, 1000);
  EXPECT_EQ(made->last_arrival, 10'999);
  const auto table = table::read_table(access_path(dir_ + "/access", 1));
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(table->find("fields"), nullptr);
  const auto text = [&](const char* column, std::int64_t row) {
    return table->find(column)->view().at(row);
  };
  EXPECT_EQ(text("request_id", 3).str(), "r-1");
  EXPECT_EQ(text("bundle", 0).str(), "sha256:aa");
  EXPECT_TRUE(text("bundle", 3).is_null());
  EXPECT_EQ(text("cohort", 0).str(), "baseline");
  EXPECT_TRUE(text("account", 0).is_null()) << "nobody knows";
  EXPECT_EQ(text("account", 3).str(), "app");
  EXPECT_EQ(text("outcome", 2).str(), "quarantined");
  EXPECT_EQ(text("rules", 1).str(), "a,b");
  EXPECT_EQ(text("repairs", 0).str(), "origin-trim,origin-case");
  EXPECT_EQ(text("repairs", 1).str(), "") << "none were made";
  EXPECT_TRUE(text("repairs", 3).is_null()) << "nobody knows";
  EXPECT_EQ(text("prediction", 0).str(), "0.1");
  EXPECT_EQ(text("prediction", 3).str(), "0.125,0.5,0.375");
  EXPECT_TRUE(text("prediction", 1).is_null());
  EXPECT_THAT(*read_file(access_path(dir_ + "/access", 1)),
              testing::Not(testing::HasSubstr("secret")));
}

TEST_F(AccessLogTest, TheRootIsReadBackAndAChangedRowShows) {
  journal(100);
  journal(1);
  for (const bool fields : {false, true}) {
    const auto made = convert(1, fields);
    ASSERT_TRUE(made.ok());
    const auto back = read_access(dir_ + "/access", 1);
    ASSERT_TRUE(back.ok()) << back.error().str();
    EXPECT_EQ(back->root, made->root);
    EXPECT_EQ(back->rows, made->rows);
    EXPECT_EQ(back->requests, made->requests);
    // Every column of one row, each by itself.
    const auto path = access_path(dir_ + "/access", 1);
    const auto table = *table::read_table(path);
    for (const auto& column : table.columns()) {
      auto changed = column;
      if (changed.type == expr::Type::kString) {
        changed.codes[30] = 0;
        changed.dictionary = std::make_shared<table::Dictionary>(
            std::vector<std::string>(column.dictionary->views().size(), "x"));
      } else {
        ++changed.ints[30];
      }
      ASSERT_TRUE(table::write_parquet(*table.with_column(changed), path).ok());
      EXPECT_NE(read_access(dir_ + "/access", 1)->root, made->root) << column.name;
    }
    ASSERT_TRUE(table::write_parquet(table.slice(0, table.rows() - 1), path).ok());
    EXPECT_NE(read_access(dir_ + "/access", 1)->root, made->root);
    ASSERT_TRUE(table::write_parquet(table, path).ok());
    EXPECT_EQ(read_access(dir_ + "/access", 1)->root, made->root)
        << "the rows count, not how they are packed";
  }
}

TEST_F(AccessLogTest, OtherColumnsAreRefusedAndAnotherVersionIsNamed) {
  journal(100);
  journal(1);
  ASSERT_TRUE(convert(1).ok());
  const auto path = access_path(dir_ + "/access", 1);
  const auto table = *table::read_table(path);
  std::vector<table::Column> kept(table.columns().begin(), table.columns().end());
  kept.erase(kept.begin() + 5);  // `source`
  ASSERT_TRUE(table::write_parquet(*table::Table::make(kept), path).ok());
  EXPECT_EQ(read_access(dir_ + "/access", 1).error().id, "access-format");
  // `heddle.access/1` had one number.
  kept.assign(table.columns().begin(), table.columns().end());
  table::Column probability{.name = "probability", .type = expr::Type::kDouble};
  probability.doubles.assign(static_cast<std::size_t>(table.rows()), 0.25);
  kept.back() = probability;
  ASSERT_TRUE(table::write_parquet(*table::Table::make(kept), path).ok());
  const std::string before = *read_file(path);
  EXPECT_EQ(read_access(dir_ + "/access", 1).error().id, "access-version");
  EXPECT_EQ(*read_file(path), before);
}

TEST_F(AccessLogTest, ASegmentOfTheVersionBeforeIsVerifiedAsItStands) {
  journal(100);
  journal(1);
  const auto made = convert(1);
  ASSERT_TRUE(made.ok());
  const auto path = access_path(dir_ + "/access", 1);
  const auto table = *table::read_table(path);
  std::vector<table::Column> kept(table.columns().begin(), table.columns().end());
  std::erase_if(kept, [](const table::Column& column) { return column.name == "repairs"; });
  ASSERT_TRUE(table::write_parquet(*table::Table::make(kept), path).ok());
  const auto back = read_access(dir_ + "/access", 1);
  ASSERT_TRUE(back.ok()) << back.error().str();
  EXPECT_EQ(back->rows, made->rows);
  EXPECT_NE(back->root, made->root) << "what a root was made of is what has to be there";
}

TEST_F(AccessLogTest, ARootSaysNothingOfTheRows) {
  journal(1);
  journal(1);
  const auto one = convert(1), two = convert(1);
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_NE(one->root, two->root) << "a new salt";
}

TEST_F(AccessLogTest, TheOldestGoWhenThereAreTooManyBytes) {
  for (int i = 0; i < 4; ++i) journal(50);
  for (std::uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(convert(i).ok());
  EXPECT_THAT(list_access(dir_ + "/access"), testing::ElementsAre(1, 2, 3));
  const auto prune = [&](std::uint64_t bytes) {
    const auto old = past_bound(dir_ + "/access", bytes, -1);
    EXPECT_TRUE(remove_access(dir_ + "/access", old.segments).ok());
    return old.segments.size();
  };
  EXPECT_EQ(prune(1 << 30), 0u);
  const auto size = std::filesystem::file_size(access_path(dir_ + "/access", 3));
  EXPECT_EQ(prune(size * 2 + 100), 1u);
  EXPECT_EQ(prune(0), 1u);
  EXPECT_THAT(list_access(dir_ + "/access"), testing::ElementsAre(3));
  EXPECT_EQ(read_access(dir_ + "/access", 1).error().kind, ErrorKind::kNotFound);
}

TEST_F(AccessLogTest, TakesAQuarterOfASmallDiskAtMost) {
  constexpr std::uint64_t kMiB = 1 << 20;
  EXPECT_EQ(access_bytes(512 * kMiB, 100 * kMiB, std::int64_t{1} << 40), 512 * kMiB);
  EXPECT_EQ(access_bytes(512 * kMiB, 100 * kMiB, 300 * kMiB), 100 * kMiB);
  EXPECT_EQ(access_bytes(512 * kMiB, 100 * kMiB, 0), 25 * kMiB) << "others filled it";
  EXPECT_EQ(access_bytes(512 * kMiB, 0, -1), 512 * kMiB);
  for (int i = 0; i < 4; ++i) journal(1);
  for (std::uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(convert(i).ok());
  std::uint64_t has = 0;
  for (std::uint64_t i = 1; i <= 3; ++i)
    has += std::filesystem::file_size(access_path(dir_ + "/access", i));
  EXPECT_TRUE(
      past_bound(dir_ + "/access", 1 << 30, static_cast<std::int64_t>(4 * has)).segments.empty());
  const auto small = past_bound(dir_ + "/access", 1 << 30, static_cast<std::int64_t>(has));
  EXPECT_EQ(small.bytes, has / 4 + has / 4);
  EXPECT_THAT(small.segments, testing::ElementsAre(1, 2));
  EXPECT_THAT(past_bound(dir_ + "/access", 1 << 30, 0).segments, testing::ElementsAre(1, 2))
      << "the newest stays";
}

TEST_F(AccessLogTest, ASegmentWithoutRowsMakesNone) {
  journal(0);
  journal(1);
  const auto made = convert(1);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->rows, 0);
  EXPECT_THAT(list_dir(dir_ + "/access"), testing::IsEmpty());
}

}  // namespace
}  // namespace heddle::telemetry
