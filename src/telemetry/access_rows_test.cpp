// One request of an access log, read back as it was recorded.
#include "telemetry/access_rows.hpp"

#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "table/table.hpp"
#include "telemetry/access_log.hpp"

namespace heddle::telemetry {
namespace {

class AccessRowsTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "access_rows_" +
           testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(dir_);
    ASSERT_TRUE(make_dirs(dir_ + "/spool").ok());
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  static plane::FieldValue text(std::string value) {
    plane::FieldValue out;
    out.kind = expr::Datum::Kind::kString, out.s = std::move(value);
    return out;
  }
  static plane::FieldValue integer(std::int64_t value) {
    plane::FieldValue out;
    out.kind = expr::Datum::Kind::kInt, out.i = value;
    return out;
  }

  /// A request of three rows, each with another outcome.
  static plane::RequestRecord request(const std::string& id) {
    plane::RequestRecord out;
    out.request_id = id;
    out.source = "one";
    out.account = "app";
    out.arrival = 1000;
    out.event_time = 5;
    out.slot = "canary";
    out.cohort = plane::Cohort::kCanary;
    out.route_version = 3;
    out.micros = 42;
    plane::FieldValue missing, real, yes;
    real.kind = expr::Datum::Kind::kDouble, real.d = 0.1;
    yes.kind = expr::Datum::Kind::kBool, yes.i = 1;
    out.rows.push_back({.fields = {text(" a"), integer(7)}, .prediction = {0.1F, 1e-30F}});
    out.rows.push_back(
        {.outcome = plane::RowOutcome::kRefused, .rules = {"a", "b"}, .fields = {missing, real}});
    out.rows.push_back({.outcome = plane::RowOutcome::kFailed, .fields = {yes, integer(-1)}});
    return out;
  }

  void segment(const std::vector<std::string>& ids) const {
    auto writer =
        plane::JournalWriter::open({.dir = dir_ + "/spool", .fields = {"origin", "distance"}});
    ASSERT_TRUE(writer.ok());
    for (const auto& id : ids) (*writer)->append(plane::Record(request(id)));
    ASSERT_TRUE((*writer)->commit().ok());
  }
  void convert(std::uint64_t number, bool fields) const {
    AccessSource source;
    source.spool = dir_ + "/spool";
    source.segment = number;
    source.fields = fields;
    source.bundle_of = [](auto, auto) { return "sha256:aa"; };
    source.repairs_of = [](const auto&, const plane::RowRecord& row,
                           auto) -> std::optional<std::string> {
      if (row.outcome == plane::RowOutcome::kFailed) return std::nullopt;
      return row.rules.empty() ? "origin-trim,origin-case" : "";
    };
    const auto made = write_access(source, dir_ + "/access");
    ASSERT_TRUE(made.ok()) << made.error().str();
  }
  Result<std::optional<AccessRequest>> find(const std::string& id) const {
    return find_access_request(dir_ + "/access", id);
  }

  std::string dir_;
};

TEST_F(AccessRowsTest, ARequestComesBackAsItWasRecorded) {
  segment({"p", "q", "r"});
  segment({"other"});
  for (const bool fields : {true, false}) {
    convert(1, fields);
    const auto found = find("q");
    ASSERT_TRUE(found.ok()) << found.error().str();
    ASSERT_TRUE(found->has_value());
    const AccessRequest& got = **found;
    const plane::RequestRecord sent = request("q");
    EXPECT_EQ(got.segment, 1U);
    EXPECT_EQ(got.bundle, "sha256:aa");
    EXPECT_EQ(got.request.request_id, "q");
    EXPECT_EQ(got.request.source, sent.source);
    EXPECT_EQ(got.request.account, sent.account);
    EXPECT_EQ(got.request.arrival, sent.arrival);
    EXPECT_EQ(got.request.event_time, sent.event_time);
    EXPECT_EQ(got.request.slot, sent.slot);
    EXPECT_EQ(got.request.cohort, sent.cohort);
    EXPECT_EQ(got.request.route_version, sent.route_version);
    EXPECT_EQ(got.request.micros, sent.micros);
    ASSERT_EQ(got.request.rows.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) {
      const auto &a = got.request.rows[i], &b = sent.rows[i];
      EXPECT_EQ(a.outcome, b.outcome);
      EXPECT_EQ(a.rules, b.rules);
      EXPECT_EQ(a.prediction, b.prediction) << "the same bits";
      ASSERT_EQ(a.fields.size(), fields ? 2U : 0U);
      for (std::size_t f = 0; f < a.fields.size(); ++f) {
        EXPECT_EQ(a.fields[f].kind, b.fields[f].kind);
        EXPECT_EQ(a.fields[f].i, b.fields[f].i);
        EXPECT_EQ(a.fields[f].d, b.fields[f].d);
        EXPECT_EQ(a.fields[f].s, b.fields[f].s);
      }
    }
    EXPECT_EQ(got.fields.size(), fields ? 2U : 0U);
    EXPECT_EQ(*got.repairs[0], (std::vector<std::string>{"origin-trim", "origin-case"}));
    EXPECT_TRUE(got.repairs[1]->empty()) << "none were made";
    EXPECT_FALSE(got.repairs[2].has_value()) << "nobody knows";
  }
}

TEST_F(AccessRowsTest, TheNewestOfAnIdIsFoundAndAnUnknownOneIsNot) {
  segment({"q"});
  segment({"q", "p", "q"});
  segment({"p"});
  segment({});
  for (const std::uint64_t number : {1, 2, 3}) convert(number, false);
  EXPECT_EQ((**find("q")).segment, 2U);
  EXPECT_EQ((**find("q")).request.rows.size(), 3U) << "of one of the two";
  EXPECT_EQ((**find("p")).segment, 3U);
  EXPECT_FALSE(find("s")->has_value());
  EXPECT_FALSE(find_access_request(dir_ + "/none", "q")->has_value());
}

TEST_F(AccessRowsTest, AFileThatIsNoAccessLogIsRefused) {
  segment({"q"});
  segment({});
  convert(1, false);
  const auto path = access_path(dir_ + "/access", 1);
  const auto rows = *table::read_table(path);
  ASSERT_TRUE(table::write_parquet(rows.slice(1, 3), path).ok());
  EXPECT_EQ(find("q").error().id, "access-format") << "its first row is gone";
  std::vector<table::Column> columns(rows.columns().begin(), rows.columns().end() - 1);
  ASSERT_TRUE(table::write_parquet(*table::Table::make(columns), path).ok());
  EXPECT_EQ(find("q").error().id, "access-format");
}

}  // namespace
}  // namespace heddle::telemetry
