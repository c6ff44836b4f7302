#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.hpp"
#include "base/ids.hpp"
#include "control/amend.hpp"
#include "control/secret.hpp"
#include "control/traffic.hpp"
#include "doc/yaml.hpp"
#include "plane/journal.hpp"

namespace heddle::control {
namespace {

TEST(Amend, AppendsToAListAndKeepsComments) {
  const std::string text =
      "# why\nkind: Monitor\nrules:\n  - id: a  # first\n    threshold: 1\nwindow: 1d\n";
  EXPECT_EQ(*amend(text, "rules[]", "- id: b\n  threshold: 2\n"),
            "# why\nkind: Monitor\nrules:\n  - id: a  # first\n    threshold: 1\n  - id: b\n    "
            "threshold: 2\nwindow: 1d\n");
  EXPECT_EQ(*amend("kind: Monitor\n", "rules[]", "- id: b\n  threshold: 2\n"),
            "kind: Monitor\nrules:\n  - id: b\n    threshold: 2\n");
  EXPECT_EQ(*amend("gates:\n- id: a\n", "gates[]", "- id: b\n"), "gates:\n- id: a\n- id: b\n");
}

TEST(Amend, SetsAValueInBlockAndFlowStyle) {
  EXPECT_EQ(*amend("quality:\n  sds: 3\n  chunk_rows: 2000\nkind: Monitor\n", "quality.chunk_rows",
                   "1000"),
            "quality:\n  sds: 3\n  chunk_rows: 1000\nkind: Monitor\n");
  EXPECT_EQ(*amend("kind: Monitor\n", "refused.rows", "25"),
            "kind: Monitor\nrefused:\n  rows: 25\n");
  const auto flow = amend("refused: {share: 0.02, rows: 50}\n", "refused.rows", "25");
  ASSERT_TRUE(flow.ok());
  EXPECT_EQ(doc::parse_yaml(*flow, "f")->find("refused")->int_or("rows"), 25);
}

TEST(Amend, AFileThatIsWrittenOtherwiseIsAmendedTheSame) {
  // Four spaces a level, with a comment that stays.
  EXPECT_EQ(*amend("train:\n    rows: 1  # few\n    window: 60d\n", "train.window", "30d"),
            "train:\n    rows: 1  # few\n    window: 30d\n");
  EXPECT_EQ(*amend("train:\n    rows: 1\n", "train.other", "2"),
            "train:\n    rows: 1\n    other: 2\n");
  // A value that was a block goes with its lines.
  EXPECT_EQ(*amend("a:\n  b:\n    - 1\n    - 3\n  c: 4\n", "a.b", "[2]"), "a:\n  b: [2]\n  c: 4\n");
  // A list in flow style, and a key that a multi-line text only seems to have.
  const auto flow = amend("rules: [{id: a}]\n", "rules[]", "- id: b\n");
  ASSERT_TRUE(flow.ok());
  EXPECT_EQ(*doc::parse_yaml(*flow, "f"), *doc::parse_yaml("rules: [{id: a}, {id: b}]", "f"));
  const auto text = amend("note: |\n  x\nwhy: \"a\n  b: 1\"\nb: 3\n", "b", "2");
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(doc::parse_yaml(*text, "f")->int_or("b"), 2);
  EXPECT_FALSE(amend("rules: 3\n", "rules[]", "- id: b\n").ok());
}

TEST(Secret, ResolvesAtUseAndNamesOnlyTheName) {
  ::setenv("HEDDLE_TEST_SECRET", "open sesame", 1);
  EXPECT_EQ(*resolve_secret("${env:HEDDLE_TEST_SECRET}"), "open sesame");
  EXPECT_EQ(*resolve_secret("plain"), "plain");
  EXPECT_EQ(resolve_secret("${env:HEDDLE_TEST_ABSENT}").error().id, "secret-not-set");
  EXPECT_EQ(resolve_secret("${vault:x}").error().id, "secret-form");
}

TEST(Traffic, JoinsTheLatestLabelAndKeepsTheNewestRows) {
  const std::string dir = ::testing::TempDir() + uuid7();
  ASSERT_TRUE(make_dirs(dir).ok());
  plane::JournalWriter::Options options;
  options.dir = dir;
  options.fields = {"date", "distance"};
  auto writer = *plane::JournalWriter::open(options);
  for (int i = 0; i < 10; ++i) {
    plane::RequestRecord request;
    request.request_id = fmt::format("r-{}", i);
    request.event_time = i * kHour;
    plane::RowRecord row;
    row.outcome = i == 3 ? plane::RowOutcome::kRefused : plane::RowOutcome::kServed;
    plane::FieldValue date, distance;
    date.kind = expr::Datum::Kind::kString;
    date.s = format_time(i * kHour);
    distance.kind = expr::Datum::Kind::kInt;
    distance.i = 100 + i;
    row.fields = {date, distance};
    request.rows = {row};
    writer->append(request);
  }
  for (int i = 0; i < 8; ++i)
    writer->append(plane::LabelRecord{fmt::format("r-{}#0", i), false, kDay + i});
  writer->append(plane::LabelRecord{"r-5#0", true, kDay + 100});
  writer->append(
      plane::LabelRecord{"r-6#0", true, kDay - 100});  // older than what is known: does not count
  writer->append(plane::LabelRecord{"nobody#0", true, kDay});
  ASSERT_TRUE(writer->commit().ok());

  spec::Field date, distance, label;
  date.name = "date";
  date.type = expr::Type::kTimestamp;
  distance.name = "distance";
  distance.type = expr::Type::kInt;
  label.name = "delay";
  label.label_time = true;
  const auto rows = read_labelled_rows(dir, {date, distance, label}, {2 * kHour, INT64_MAX, 4});
  ASSERT_TRUE(rows.ok()) << rows.error().str();
  EXPECT_EQ(rows->event_times, (std::vector<Micros>{4 * kHour, 5 * kHour, 6 * kHour, 7 * kHour}));
  EXPECT_EQ(rows->labels, (std::vector<stats::Label>{false, true, false, false}));
  EXPECT_EQ(*rows->codes(stats::Task{}), (std::vector<double>{0, 1, 0, 0}));
  EXPECT_EQ(rows->rows.find("date")->ints, rows->event_times);
  EXPECT_EQ(rows->rows.find("distance")->ints, (std::vector<std::int64_t>{104, 105, 106, 107}));
  EXPECT_EQ(rows->rows.find("delay"), nullptr);
}

TEST(Traffic, ServedRowsAreReadWithoutTheirLabels) {
  const std::string dir = ::testing::TempDir() + uuid7();
  ASSERT_TRUE(make_dirs(dir).ok());
  const auto write = [&](const std::vector<std::string>& fields, int from, int to) {
    auto writer = *plane::JournalWriter::open({.dir = dir, .fields = fields});
    for (int i = from; i < to; ++i) {
      plane::RequestRecord request;
      request.request_id = fmt::format("r-{}", i);
      request.event_time = i * kHour;
      plane::RowRecord row;
      row.outcome = i == 3 ? plane::RowOutcome::kRefused : plane::RowOutcome::kServed;
      plane::FieldValue value;
      value.kind = expr::Datum::Kind::kInt;
      value.i = 100 + i;
      row.fields.assign(fields.size(), value);
      request.rows = {row};
      writer->append(request);
    }
    ASSERT_TRUE(writer->commit().ok());
  };
  // The service had no `wind` at first.
  write({"size"}, 0, 2);
  write({"size", "wind"}, 2, 8);
  const std::vector<spec::Field> fields = {{.name = "wind", .type = expr::Type::kDouble},
                                           {.name = "size", .type = expr::Type::kInt}};
  const auto all = read_served_rows(dir, fields, INT64_MIN, INT64_MAX, 100);
  ASSERT_TRUE(all.ok()) << all.error().str();
  EXPECT_EQ(all->ids, (std::vector<std::string>{"r-2#0", "r-4#0", "r-5#0", "r-6#0", "r-7#0"}));
  EXPECT_EQ(all->rows.find("wind")->doubles, (std::vector<double>{102, 104, 105, 106, 107}));
  EXPECT_EQ(all->rows.find("size")->ints, (std::vector<std::int64_t>{102, 104, 105, 106, 107}));
  EXPECT_EQ(all->incomplete, 2);
  EXPECT_TRUE(all->is_all);
  const auto newest = read_served_rows(dir, fields, INT64_MIN, INT64_MAX, 2).value();
  EXPECT_EQ(newest.event_times, (std::vector<Micros>{6 * kHour, 7 * kHour}));
  EXPECT_FALSE(newest.is_all);
  const auto some = read_served_rows(dir, fields, 4 * kHour, 6 * kHour, 100).value();
  EXPECT_EQ(some.event_times, (std::vector<Micros>{4 * kHour, 5 * kHour}));
  EXPECT_TRUE(read_served_rows(dir, fields, kDay, INT64_MAX, 100).value().ids.empty());
}

TEST(Traffic, RowsOfAClassThatTheModelDoesNotHaveAreLeftOutAndCounted) {
  const std::string dir = ::testing::TempDir() + uuid7();
  ASSERT_TRUE(make_dirs(dir).ok());
  plane::JournalWriter::Options options;
  options.dir = dir;
  options.fields = {"distance"};
  auto writer = *plane::JournalWriter::open(options);
  for (int i = 0; i < 8; ++i) {
    plane::RequestRecord request;
    request.request_id = fmt::format("r-{}", i);
    request.event_time = i * kHour;
    plane::FieldValue distance;
    distance.kind = expr::Datum::Kind::kInt;
    distance.i = i;
    plane::RowRecord row;
    row.fields = {distance};
    request.rows = {row};
    writer->append(request);
  }
  const auto say = [&](int row, stats::Label label, Micros at, const char* account = "app") {
    writer->append(plane::LabelRecord{fmt::format("r-{}#0", row), std::move(label), at, account});
  };
  for (int i = 0; i < 4; ++i) say(i, std::string(i % 2 == 0 ? "early" : "late"), kDay);
  say(4, std::string("lost"), kDay);
  say(5, std::string("lost"), kDay);
  say(6, std::string("stolen"), kDay);
  say(7, 12.5, kDay);                          // no class at all
  say(3, std::string("lost"), kDay, "other");  // somebody gave it a class that there is
  say(6, std::string("late"), kDay + kHour);   // and later he said otherwise
  writer->append(plane::LabelRecord{"nobody#0", std::string("lost"), kDay, "app"});
  ASSERT_TRUE(writer->commit().ok());
  spec::Field distance;
  distance.name = "distance";
  distance.type = expr::Type::kInt;
  TrafficSelection selection;
  selection.task = {stats::TaskKind::kClasses, {"early", "late"}};
  const auto rows = read_labelled_rows(dir, {distance}, selection);
  ASSERT_TRUE(rows.ok()) << rows.error().str();
  EXPECT_EQ(rows->rows.find("distance")->ints, (std::vector<std::int64_t>{0, 1, 2, 3, 6}));
  EXPECT_EQ(rows->unknown_classes, (std::map<std::string, std::int64_t>{{"lost", 2}}));
}

TEST(Traffic, ARowThatTwoAccountsContradictEachOtherAboutTeachesNothing) {
  const std::string dir = ::testing::TempDir() + uuid7();
  ASSERT_TRUE(make_dirs(dir).ok());
  plane::JournalWriter::Options options;
  options.dir = dir;
  options.fields = {"size"};
  options.segment_bytes = 256;  // labels and rows in segments of their own
  auto writer = *plane::JournalWriter::open(options);
  for (int i = 0; i < 5; ++i) {
    plane::RequestRecord request;
    request.request_id = fmt::format("r-{}", i);
    request.event_time = i * kHour;
    plane::RowRecord row;
    row.fields.resize(1);
    row.fields[0].kind = expr::Datum::Kind::kInt;
    row.fields[0].i = i;
    request.rows = {row};
    writer->append(request);
    ASSERT_TRUE(writer->commit().ok());
  }
  const std::vector<plane::LabelRecord> labels = {
      {"r-0#0", true, kDay, "one"},     {"r-1#0", true, kDay, "one"},
      {"r-2#0", true, kDay, "one"},     {"r-3#0", true, kDay, "two"},
      {"r-4#0", true, kDay, "one"},     {"r-1#0", false, 2 * kDay, "two"},
      {"r-2#0", true, 2 * kDay, "two"}, {"r-4#0", false, 3 * kDay, "one"}};
  for (const auto& label : labels) {
    writer->append(label);
    ASSERT_TRUE(writer->commit().ok());
  }
  spec::Field size;
  size.name = "size";
  size.type = expr::Type::kInt;
  const auto rows = read_labelled_rows(dir, {size}, {}).value();
  EXPECT_EQ(rows.rows.find("size")->ints, (std::vector<std::int64_t>{0, 2, 3, 4}));
  EXPECT_EQ(rows.labels, (std::vector<stats::Label>{true, true, true, false}));
  std::vector<std::string> by;
  for (const auto number : rows.label_accounts) by.push_back(rows.accounts.at(number));
  EXPECT_EQ(by, (std::vector<std::string>{"one", "", "two", "one"})) << "two said the same of r-2";
  // What was known by then: nobody who labels later can move it.
  TrafficSelection before;
  before.until = kDay;
  before.to = 4 * kHour;
  const auto then = read_labelled_rows(dir, {size}, before).value();
  EXPECT_EQ(then.rows.find("size")->ints, (std::vector<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(then.labels, (std::vector<stats::Label>{true, true, true, true}));
}

/// A journal of many small segments: row and label side by side.
class LongJournal : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + uuid7();
    ASSERT_TRUE(make_dirs(dir_).ok());
    size_.name = "size";
    size_.type = expr::Type::kInt;
  }
  void write(int from, int to, std::vector<std::string> fields = {"size"}) {
    plane::JournalWriter::Options options;
    options.dir = dir_;
    options.fields = std::move(fields);
    options.segment_bytes = 4096;
    const auto writer = *plane::JournalWriter::open(options);
    for (int i = from; i < to; ++i) {
      plane::RequestRecord request;
      request.request_id = fmt::format("r-{}", i);
      request.event_time = i * kHour;
      plane::RowRecord row;
      row.fields.resize(options.fields.size());
      for (auto& field : row.fields) {
        field.kind = expr::Datum::Kind::kInt;
        field.i = i;
      }
      request.rows = {row};
      writer->append(request);
      writer->append(plane::LabelRecord{fmt::format("r-{}#0", i), i % 2 == 0, i * kHour + kDay});
      ASSERT_TRUE(writer->commit().ok());
    }
  }
  LabelledRows read(const TrafficSelection& selection) {
    auto rows = read_labelled_rows(dir_, {size_}, selection);
    EXPECT_TRUE(rows.ok()) << rows.error().str();
    return rows.ok() ? *std::move(rows) : LabelledRows{};
  }

  std::string dir_;
  spec::Field size_;
};

TEST_F(LongJournal, IsReadFromItsEndAndNoFurtherThanTheBound) {
  write(0, 2000);
  const auto all = read({});
  ASSERT_EQ(all.labels.size(), 2000U);
  EXPECT_TRUE(all.is_all);
  ASSERT_GT(all.bytes, 100'000U);  // far larger than the bound
  TrafficSelection bounded;
  bounded.most_bytes = 20'000;
  std::vector<std::uint64_t> told;
  bounded.progress = [&](std::uint64_t read, std::uint64_t of, std::int64_t) {
    told.push_back(read);
    EXPECT_EQ(of, 20'000U);
  };
  const auto newest = read(bounded);
  EXPECT_FALSE(newest.is_all);
  EXPECT_LE(newest.bytes, 20'000U);
  ASSERT_GT(newest.labels.size(), 50U);
  ASSERT_LT(newest.labels.size(), 1000U);
  EXPECT_EQ(newest.event_times.back(), 1999 * kHour);
  EXPECT_TRUE(std::is_sorted(newest.event_times.begin(), newest.event_times.end()));
  EXPECT_GT(told.size(), 1U);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  // As many rows as are wanted, and then no further.
  TrafficSelection few;
  few.limit = 10;
  const auto ten = read(few);
  EXPECT_EQ(ten.event_times.front(), 1990 * kHour);
  EXPECT_LT(ten.bytes, 10'000U);
  EXPECT_FALSE(ten.is_all);
}

TEST_F(LongJournal, AFieldIsReadWhereTheSegmentHasIt) {
  write(0, 10, {"other", "size"});
  write(10, 20, {"size"});
  write(20, 30, {"size", "kind"});
  const auto rows = read({});
  ASSERT_EQ(rows.labels.size(), 30U);
  for (int i = 0; i < 30; ++i)
    EXPECT_EQ(rows.rows.find("size")->ints[static_cast<std::size_t>(i)], i);
  spec::Field kind;
  kind.name = "kind";
  kind.type = expr::Type::kInt;
  const auto both = read_labelled_rows(dir_, {size_, kind}, {}).value();
  EXPECT_EQ(both.rows.find("kind")->null_count(), 20);
  TrafficSelection whole;
  whole.every_field = true;
  const auto complete = read_labelled_rows(dir_, {size_, kind}, whole).value();
  EXPECT_EQ(complete.labels.size(), 10U);
  EXPECT_EQ(complete.incomplete, 20);
  EXPECT_EQ(complete.lacks, "kind");
}

}  // namespace
}  // namespace heddle::control
