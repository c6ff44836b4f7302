#include "profile/profile.hpp"

#include <cmath>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "base/folder_fixture.hpp"
#include "profile/association.hpp"
#include "profile/reading.hpp"

namespace heddle::profile {
namespace {

using fixture::Folder;

std::string write(const Folder& folder, const std::string& text) {
  const std::string path = folder / "rows.csv";
  std::ofstream(path) << text;
  return path;
}

Profile of(const std::string& text) {
  const Folder folder;
  auto profile = profile_file(write(folder, text));
  EXPECT_TRUE(profile.ok()) << profile.error().str();
  return *std::move(profile);
}

TEST(Look, CellsAreWhatReadersOfRowsMakeOfThem) {
  const std::pair<std::string_view, Look> cells[] = {{"12", Look::kInteger},
                                                     {"-3", Look::kInteger},
                                                     {"1.5", Look::kNumber},
                                                     {"2e-3", Look::kNumber},
                                                     {".5", Look::kNumber},
                                                     {"1,5", Look::kComma},
                                                     {"1.234,56", Look::kComma},
                                                     {"true", Look::kBoolean},
                                                     {"False", Look::kBoolean},
                                                     {"nan", Look::kNan},
                                                     {"NA", Look::kMissing},
                                                     {"?", Look::kMissing},
                                                     {" ", Look::kBlank},
                                                     {"2011-01-31", Look::kTime},
                                                     {"2011-01-31 05:00", Look::kTime},
                                                     {"31/1/2011", Look::kOtherTime},
                                                     {"3 Jan 2012", Look::kOtherTime},
                                                     {"a", Look::kText},
                                                     {"1-2-", Look::kText},
                                                     {"inf", Look::kText},
                                                     {"2011-02-31", Look::kOtherTime}};
  for (const auto& [text, look] : cells) EXPECT_EQ(look_at(text).look, look) << text;
  EXPECT_TRUE(look_at("007").leading_zero);
  EXPECT_FALSE(look_at("0").leading_zero);
  EXPECT_FALSE(look_at("0.5").leading_zero);
  EXPECT_EQ(look_at("1.234,5").number, 1234.5);
  EXPECT_EQ(look_at("2011-01-31T05:00:00+05:30").offset_minutes, 330);
  EXPECT_TRUE(look_at("2011-01-31T05:00:00Z").is_zoned);
  EXPECT_FALSE(look_at("2011-01-31T05:00:00").is_zoned);
  EXPECT_EQ(shape_of("AB-123", true), "A{2}-9{3}");
}

TEST(DistinctSample, IsExactWhileThereIsRoomAndCloseAfter) {
  DistinctSample few(100);
  for (std::int64_t row = 0; row < 1000; ++row)
    few.add(mixed(static_cast<std::uint64_t>(row % 50)), row,
            [&] { return std::to_string(row % 50); });
  EXPECT_TRUE(few.is_exact());
  EXPECT_EQ(few.estimate(), 50);
  EXPECT_EQ(few.entries()[3].count, 20);
  EXPECT_EQ(few.entries()[3].first, 3);
  EXPECT_EQ(few.entries()[3].second, 53);
  DistinctSample many(4096);
  for (std::int64_t row = 0; row < 1'000'000; ++row)
    many.add(mixed(static_cast<std::uint64_t>(row)), row, [] { return std::string(); });
  EXPECT_FALSE(many.is_exact());
  EXPECT_NEAR(many.estimate(), 1e6, 6e4);  // three standard errors
}

/// Rows of every kind of column, in text.
std::string some_rows(std::mt19937_64& draw, int count) {
  std::string out;
  const auto pick = [&](int n) { return static_cast<int>(draw() % static_cast<std::uint64_t>(n)); };
  for (int i = 0; i < count; ++i) {
    out += pick(9) == 0 ? "" : std::to_string(pick(100000));
    out += ',';
    out += pick(7) == 0 ? "NA" : std::to_string(pick(1000)) + "." + std::to_string(pick(10));
    out += ',';
    out += std::string(1, static_cast<char>('a' + pick(26)));
    out += ",2001-01-" + std::to_string(10 + pick(20)) + "T0" + std::to_string(pick(10)) + ":00:00";
    out += pick(3) == 0 ? "Z," : ",";
    out += std::to_string(draw());
    out += '\n';
  }
  return out;
}

/// `merge(profile(a), profile(b))` is `profile(a + b)`, wherever a file is cut.
TEST(Profile, OfTwoPartsIsThatOfTheWhole) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 draw(seed);
  for (int turn = 0; turn < 12; ++turn) {
    const std::string head = "n,x,c,t,id\n";
    const std::string first = some_rows(draw, static_cast<int>(draw() % 12'000));
    const std::string second = some_rows(draw, static_cast<int>(draw() % 12'000));
    const Folder folder;
    const auto part = [&](const std::string& text, std::int64_t from) {
      const auto reader = table::TableReader::open(write(folder, head + text));
      Profiler profiler((*reader)->columns(), from);
      while (auto rows = *(*reader)->next()) profiler.add(*rows);
      return profiler.finish();
    };
    Profile parts = part(first, 0);
    merge(parts, part(second, parts.rows));
    const Profile whole = part(first + second, 0);
    ASSERT_EQ(parts.rows, whole.rows);
    EXPECT_TRUE(parts.repeats == whole.repeats);
    EXPECT_EQ(parts.sample.numbers(), whole.sample.numbers());
    EXPECT_EQ(parts.sample.rows().content_digest(), whole.sample.rows().content_digest());
    for (std::size_t i = 0; i < whole.columns.size(); ++i) {
      const ColumnProfile& a = parts.columns[i];
      const ColumnProfile& b = whole.columns[i];
      SCOPED_TRACE(b.name);
      EXPECT_EQ(a.missing, b.missing);
      EXPECT_EQ(a.looks, b.looks);
      EXPECT_EQ(a.look_rows, b.look_rows);
      EXPECT_TRUE(a.values == b.values);
      EXPECT_TRUE(a.shapes == b.shapes);
      EXPECT_EQ(a.numbers.count, b.numbers.count);
      EXPECT_EQ(a.numbers.low, b.numbers.low);
      EXPECT_EQ(a.numbers.high, b.numbers.high);
      EXPECT_NEAR(a.numbers.mean, b.numbers.mean, 1e-9 * std::abs(b.numbers.mean));
      EXPECT_NEAR(a.numbers.sd(), b.numbers.sd(), 1e-9 * b.numbers.sd());
      EXPECT_EQ(a.earliest, b.earliest);
      EXPECT_EQ(a.latest, b.latest);
      EXPECT_EQ(a.zoned, b.zoned);
      EXPECT_EQ(a.order.is_ascending, b.order.is_ascending);
      EXPECT_EQ(a.order.largest.size, b.order.largest.size);
      EXPECT_TRUE(a.order.steps == b.order.steps);
    }
  }
}

TEST(Profile, ASampleOfALongFileIsDrawnAndBounded) {
  std::string text = "x\n";
  for (int i = 0; i < 200'000; ++i) text += std::to_string(i) + "\n";
  const Profile profile = of(text);
  EXPECT_EQ(profile.rows, 200'000);
  EXPECT_FALSE(profile.sample.is_whole());
  EXPECT_LE(profile.sample.size(), 1 << 16);
  EXPECT_GE(profile.sample.size(), 1 << 15);
  // Its mean is that of the file but for chance.
  double sum = 0;
  for (const auto row : profile.sample.numbers()) sum += static_cast<double>(row);
  EXPECT_NEAR(sum / static_cast<double>(profile.sample.size()), 1e5, 1200);
}

std::map<std::string, Reading> readings(const Profile& profile) {
  std::map<std::string, Reading> out;
  for (const auto& reading : read_columns(profile)) out.emplace(reading.name(), reading);
  return out;
}

TEST(Reading, ColumnsAreReadAsWhatTheyHold) {
  std::string text = "n,id,zip,size,when,day,flag,comma,name,none,one,odd,free\n";
  const std::string names[] = {"red", "green", "blue"};
  for (int i = 0; i < 60; ++i) {
    text += std::to_string(i * 7 % 50) + "," + std::to_string(1000 + i) + ",0" +
            std::to_string(100 + i % 9) + "," + std::to_string(i) +
            ".5,2001-02-03T04:" + std::to_string(10 + i % 50) + ":00Z,31/1/2011," +
            (i % 2 == 0 ? "true" : "false") + ",\"1," + std::to_string(i) + "\"," + names[i % 3] +
            ",,7," + (i == 9 ? "none yet" : std::to_string(i % 30)) + ",text number " +
            std::to_string(i) + "\n";
  }
  const Profile profile = of(text);
  const auto found = readings(profile);
  const std::pair<std::string, Kind> wanted[] = {
      {"n", Kind::kInteger},    {"id", Kind::kInteger},        {"zip", Kind::kCategory},
      {"size", Kind::kNumber},  {"when", Kind::kTime},         {"day", Kind::kConstant},
      {"flag", Kind::kBoolean}, {"comma", Kind::kCommaNumber}, {"name", Kind::kCategory},
      {"none", Kind::kEmpty},   {"one", Kind::kConstant},      {"odd", Kind::kNumberInText},
      {"free", Kind::kText}};
  for (const auto& [name, kind] : wanted)
    EXPECT_EQ(found.at(name).kind, kind) << name << ": " << in_words(found.at(name).kind);
  EXPECT_TRUE(found.at("id").is_key);
  EXPECT_TRUE(found.at("id").is_row_number);
  EXPECT_FALSE(found.at("n").is_key);
  EXPECT_FALSE(found.at("size").is_key) << "a measure may well differ in each row";
  EXPECT_TRUE(found.at("free").is_key);
  EXPECT_EQ(found.at("odd").odd, 1);
}

TEST(Profile, WordsForNoValueAndCommasAreDeclared) {
  std::string text = "a,b,c\n";
  for (int i = 0; i < 60; ++i)
    text += (i % 9 == 0 ? "NA" : std::to_string(i)) + ",\"" + std::to_string(i) + ",5\",word\n";
  const Profile profile = of(text);
  ASSERT_TRUE(profile.input.form.nulls.has_value());
  EXPECT_EQ(*profile.input.form.nulls, (std::vector<std::string>{"", "NULL", "null", "NA"}));
  EXPECT_EQ(profile.nulls.front().second, 7);
  EXPECT_EQ(profile.input.form.decimal, ',');
  const auto found = readings(profile);
  EXPECT_EQ(found.at("a").kind, Kind::kInteger);
  EXPECT_EQ(found.at("a").missing, 7);
  EXPECT_EQ(found.at("b").kind, Kind::kNumber);
  EXPECT_EQ(found.at("b").column->numbers.high, 59.5);
}

TEST(Association, WhatExplainsTheTargetIsTold) {
  std::mt19937_64 draw(7);
  std::normal_distribution<double> normal;
  std::string text = "signal,noise,twice,half,rest,y\n";
  for (int i = 0; i < 4000; ++i) {
    const double x = normal(draw);
    const double y = 3 * x + normal(draw);
    const double half = normal(draw);
    text += fmt::format("{},{},{},{},{},{}\n", x, normal(draw), 2 * y, half, y - half, y);
  }
  const Profile profile = of(text);
  const auto found = readings(profile);
  const table::Table rows = profile.sample.rows();
  Target target;
  target.codes = numbers_of(*rows.find("y"), found.at("y"));
  const auto share = [&](const std::string& name) {
    return associate(*rows.find(name), found.at(name), target).explained;
  };
  EXPECT_NEAR(share("signal"), .9, .03);  // the share of 3x in the variance, less what bins lose
  EXPECT_NEAR(share("noise"), 0, .03);
  const std::vector<std::string> names = {"signal", "noise", "half", "rest"};
  std::vector<std::vector<double>> columns;
  for (const auto& name : names) columns.push_back(numbers_of(*rows.find(name), found.at(name)));
  EXPECT_EQ(find_formula(names, columns, target.codes).text, "half + rest");
  const std::vector<std::string> one = {"twice"};
  const std::vector<std::vector<double>> its = {numbers_of(*rows.find("twice"), found.at("twice"))};
  EXPECT_EQ(find_formula(one, its, target.codes).text, "twice * 0.5");
}

TEST(Association, AColumnThatFixesAnotherIsFound) {
  const std::vector<std::vector<int>> columns = {
      {0, 0, 1, 1, 2, 2}, {0, 0, 1, 1, 1, 1}, {0, 1, 0, 1, 0, 1}};
  const auto found = find_dependencies(columns);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].determinant, 0u);
  EXPECT_EQ(found[0].dependent, 1u);
  EXPECT_EQ(found[0].values, 3);
}

}  // namespace
}  // namespace heddle::profile
