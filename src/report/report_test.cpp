#include "report/report.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <numeric>
#include <random>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/folder_fixture.hpp"
#include "doc/numbers.hpp"
#include "doc/schema_conformance.hpp"
#include "report/report_format.hpp"
#include "table/table.hpp"

namespace heddle::report {
namespace {

using fixture::Folder;

std::string write(const Folder& folder, const std::string& name, const std::string& text) {
  const std::string path = folder / name;
  std::ofstream(path) << text;
  return path;
}

Report of(const std::string& reference, const std::string& file) {
  const Folder folder;
  const table::Input before = write(folder, "reference.csv", reference);
  auto report = make_report(write(folder, "file.csv", file), &before);
  EXPECT_TRUE(report.ok()) << report.error().str();
  return report.ok() ? *std::move(report) : Report{};
}
Report of(const std::string& file) {
  const Folder folder;
  auto report = make_report(write(folder, "file.csv", file), nullptr);
  EXPECT_TRUE(report.ok()) << report.error().str();
  return report.ok() ? *std::move(report) : Report{};
}

const ColumnReport& column(const Report& report, std::string_view name) {
  static const ColumnReport kNone{};
  const auto found = std::find_if(report.columns.begin(), report.columns.end(),
                                  [&](const auto& each) { return each.name == name; });
  EXPECT_NE(found, report.columns.end()) << name;
  return found == report.columns.end() ? kNone : *found;
}
std::string said(const ColumnReport& of) { return fmt::format("{}", fmt::join(of.says, "; ")); }

/// One column `x`: `value(i)` of each row.
template <class Value>
std::string rows(int count, const Value& value) {
  std::string out = "x\n";
  for (int i = 0; i < count; ++i) out += fmt::format("{}\n", value(i));
  return out;
}

// Reference values: computed by hand with the formulas of the sources that comparison.hpp names.
TEST(Comparison, ChanceIsAsTheInequalitiesHaveIt) {
  EXPECT_NEAR(ks_by_chance(1000, 1000, .001), .087183, 1e-6);  // sqrt(ln(2000) / 2 * 0.002)
  EXPECT_NEAR(ks_by_chance(100, 1'000'000, .001), .194955, 1e-5);
  EXPECT_EQ(ks_by_chance(0, 1000, .001), std::numeric_limits<double>::infinity());
  // sqrt(0.25 * 0.02) / 2 twice, and sqrt(ln(1000) / 2 * 0.02).
  const stats::Histogram half(std::vector<std::int64_t>{50, 50});
  EXPECT_NEAR(total_variation_by_chance(half, half, .001), .070711 + .262826, 1e-5);
  const auto missing = compare_missing(0, 1000, 50, 1000, .001);
  EXPECT_NEAR(missing.size, .05, 1e-12);
  EXPECT_NEAR(missing.by_chance, .027223, 1e-5);
  EXPECT_TRUE(missing.moved);
  EXPECT_FALSE(compare_missing(0, 1000, 5, 1000, .001).moved);
  EXPECT_FALSE(compare_missing(0, 1'000'000, 5000, 1'000'000, .001).moved)
      << "beyond chance, and too little to matter";
}

TEST(Report, AShiftOfNumbersIsFoundWithItsSize) {
  const auto shifted = [](int by) {
    return rows(1000, [by](int i) { return i * 7 % 1000 + by + .5; });
  };
  const Report report = of(shifted(0), shifted(500));
  const ColumnReport& x = column(report, "x");
  EXPECT_EQ(x.state, State::kMoved);
  EXPECT_EQ(x.statistic, "ks");
  ASSERT_TRUE(x.values);
  EXPECT_LE(x.values->size, .5 + 1e-9);
  EXPECT_GT(x.values->size, .5 - 1. / 64);
  EXPECT_NEAR(*x.reference->mean, 500, 1e-9);
  EXPECT_NEAR(*x.file->mean, 1000, 1e-9);
  EXPECT_NE(said(x).find("mean 1,000, in the reference 500"), std::string::npos) << said(x);
  EXPECT_NE(said(x).find("50 % above the reference's largest, 999.5"), std::string::npos)
      << said(x);
  EXPECT_TRUE(report.has_drift());
  // The other way round, and not at all.
  EXPECT_NE(said(column(of(shifted(500), shifted(0)), "x")).find("50 % below"), std::string::npos);
  const Report same = of(shifted(0), shifted(0));
  EXPECT_EQ(column(same, "x").state, State::kSame);
  EXPECT_EQ(column(same, "x").values->size, 0);
  EXPECT_FALSE(same.has_drift());
}

/// Rows of every kind of column out of one distribution.
std::string null_rows(std::mt19937_64& draw, int count) {
  std::normal_distribution<double> normal(10, 3);
  const auto pick = [&](int n) { return static_cast<int>(draw() % static_cast<std::uint64_t>(n)); };
  std::string out = "number,die,rare,many,flag,text,gaps,time\n";
  for (int i = 0; i < count; ++i) {
    out += fmt::format("{:.6f},{},", normal(draw), 1 + pick(6));
    out += fmt::format("{},", pick(20) == 0 ? "rare" : pick(3) == 0 ? "often" : "mostly");
    out += fmt::format("c{},{},", pick(400), pick(3) == 0 ? "true" : "false");
    out += fmt::format("{:x} {:x},", draw(), draw() >> pick(40));
    out += pick(10) == 0 ? "," : fmt::format("{:.3f},", normal(draw));
    out += fmt::format("2001-01-{:02} {:02}:30\n", 1 + pick(28), pick(24));
  }
  return out;
}

TEST(Report, OfOneDistributionNothingMovesInTwoHundredPairs) {
  const int sizes[] = {20, 60, 200, 1000};
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 draw(seed);
    const std::string reference = null_rows(draw, sizes[seed % 4]);
    const Report report = of(reference, null_rows(draw, sizes[seed / 4 % 4]));
    for (const ColumnReport& each : report.columns) {
      EXPECT_TRUE(each.state == State::kSame)
          << "seed " << seed << ": " << each.name << " " << state_name(each.state) << " "
          << said(each) << (each.values ? each.values->size : 0);
    }
  }
}

TEST(Report, CategoriesThatComeAndGoAreNamedWithTheirShares) {
  const Report report =
      of(rows(1000, [](int i) { return i % 10 < 6   ? "a"
                                       : i % 10 < 9 ? "b"
                                                    : "d"; }),
         rows(1000, [](int i) { return i % 10 < 4   ? "a"
                                       : i % 10 < 7 ? "b"
                                                    : "c"; }));
  const ColumnReport& x = column(report, "x");
  EXPECT_EQ(x.state, State::kMoved);
  EXPECT_EQ(x.statistic, "total_variation");
  EXPECT_NEAR(x.values->size, .3, 1e-12);  // (0.2 + 0 + 0.1 + 0.3) / 2
  EXPECT_EQ(said(x),
            "new: `c` (30 %); gone: `d` (10 %); `a` in 40 % of the rows, in the reference in 60 %");
  ASSERT_EQ(x.frequent.size(), 4u);
  EXPECT_EQ(x.frequent[0].value, "a");
  EXPECT_EQ(x.frequent[0].reference, 600);
  EXPECT_EQ(x.frequent[0].file, 400);
}

TEST(Report, AShareThatGoesMissingIsItsOwnComparison) {
  const auto with = [](int share) {
    return rows(1000, [share](int i) {
      return i % 100 < share ? std::string("\"\"") : fmt::format("{}", i / 100 % 10 + .5);
    });
  };
  const Report report = of(with(0), with(20));
  const ColumnReport& x = column(report, "x");
  EXPECT_EQ(x.state, State::kMoved);
  EXPECT_NEAR(x.missing->size, .2, 1e-12);
  EXPECT_TRUE(x.missing->moved);
  EXPECT_FALSE(x.values->moved) << "the values that are there are as they were";
  EXPECT_EQ(said(x), "missing in 20 % of the rows, in the reference in 0 %");
}

TEST(Report, WhatAppearedVanishedOrChangedTypeComesFirst) {
  std::string before = "same,gone,code\n";
  std::string now = "came,same,code\n";
  for (int i = 0; i < 100; ++i) {
    before += fmt::format("{},{},{}\n", i % 5, i % 3, i % 7);
    now += fmt::format("{},{},{}\n", i % 2, i % 5, i % 2 == 0 ? "red" : "blue");
  }
  const Report report = of(before, now);
  ASSERT_EQ(report.columns.size(), 4u);
  EXPECT_EQ(report.columns[0].name, "code");
  EXPECT_EQ(report.columns[0].state, State::kRetyped);
  EXPECT_EQ(said(report.columns[0]), "categories, in the reference whole numbers");
  EXPECT_FALSE(report.columns[0].values);
  EXPECT_EQ(report.columns[1].name, "gone");
  EXPECT_EQ(report.columns[1].state, State::kVanished);
  EXPECT_FALSE(report.columns[1].file);
  EXPECT_EQ(report.columns[2].name, "came");
  EXPECT_EQ(report.columns[2].state, State::kAppeared);
  EXPECT_FALSE(report.columns[2].reference);
  EXPECT_EQ(report.columns[3].state, State::kSame);
  EXPECT_EQ(report.count(State::kVanished), 1);
  EXPECT_TRUE(report.has_drift());
  EXPECT_NE(page_of(report).find("changed type"), std::string::npos);
}

TEST(Report, WholeNumbersAndNumbersAreOneType) {
  const Report report = of(rows(200, [](int i) { return i % 10; }),
                           rows(200, [](int i) { return i % 10 + (i == 0 ? .5 : 0); }));
  EXPECT_EQ(column(report, "x").state, State::kSame);
}

TEST(Report, CodesStayCodesWhereNoneBeginsWithAZero) {
  const Report report = of(rows(200, [](int i) { return fmt::format("{:03}", i % 20); }),
                           rows(200, [](int i) { return 100 + i % 20; }));
  const ColumnReport& x = column(report, "x");
  EXPECT_EQ(x.state, State::kMoved);
  EXPECT_EQ(x.statistic, "total_variation");
}

TEST(Report, WordsForNoValueAreNoneInBothFiles) {
  // Between the numbers of one column `NA` is no value, and then it is none in the other column.
  const auto text = [](const char* number) {
    std::string out = "n,word\n";
    for (int i = 0; i < 200; ++i)
      out += fmt::format("{},{}\n", i == 7 ? number : "1.5", i % 2 == 0 ? "NA" : "yes please");
    return out;
  };
  EXPECT_EQ(column(of(text("NA"), text("2.5")), "word").state, State::kSame);
  EXPECT_EQ(column(of(text("2.5"), text("NA")), "word").state, State::kSame);
}

TEST(Report, AKeyIsNotCompared) {
  const auto numbered = [](int from) {
    std::string out = "id,uuid\n";
    for (int i = 0; i < 500; ++i) out += fmt::format("{},u{:08x}\n", from + i, (from + i) * 7919);
    return out;
  };
  const Report report = of(numbered(0), numbered(5000));
  for (const char* name : {"id", "uuid"}) {
    EXPECT_EQ(column(report, name).state, State::kSame) << name;
    EXPECT_TRUE(column(report, name).names_rows) << name;
    EXPECT_FALSE(column(report, name).values) << name;
  }
  EXPECT_EQ(page_of(report).find(fmt::format("u{:08x}", 5000 * 7919)), std::string::npos)
      << "what names a row is nobody's to see";
}

TEST(Report, OfFreeTextTheLengthIsCompared) {
  const auto texts = [](int longer) {
    return rows(400, [longer](int i) {
      return fmt::format("{:x} {}", static_cast<std::uint64_t>(i) * 2654435761U,
                         std::string(static_cast<std::size_t>(40 + i % 5 + longer), 'x'));
    });
  };
  const Report report = of(texts(0), texts(20));
  const ColumnReport& x = column(report, "x");
  EXPECT_TRUE(x.of_lengths);
  EXPECT_EQ(x.state, State::kMoved);
  EXPECT_NE(said(x).find("length: mean"), std::string::npos) << said(x);
  EXPECT_TRUE(x.frequent.empty());
  EXPECT_EQ(column(of(texts(0), texts(0)), "x").state, State::kSame);
}

TEST(Report, HoursOfAnotherTimeZoneAreSaidToBe) {
  const auto times = [](int later) {
    return rows(480, [later](int i) {
      return fmt::format("2001-01-{:02} {:02}:{:02}", 1 + i % 20, 8 + i % 6 + later, i % 60);
    });
  };
  const Report report = of(times(0), times(5));
  const ColumnReport& x = column(report, "x");
  EXPECT_EQ(x.statistic, "hour_of_day");
  EXPECT_EQ(x.state, State::kMoved);
  EXPECT_NE(said(x).find("hours of the day as in the reference, 5 h later"), std::string::npos)
      << said(x);
  EXPECT_TRUE(x.curve);
  EXPECT_EQ(format_time(*x.file->first), "2001-01-01T13:00:00Z");
}

TEST(Report, AllRowsAreCountedWhereBinsComeFromASample) {
  const auto many = [](int count, int by) {
    return rows(count, [by](int i) { return static_cast<double>(i * 7919LL % 100'003 + by) / 2; });
  };
  const Report report = of(many(150'000, 0), many(120'000, 20'000));
  const ColumnReport& x = column(report, "x");
  const auto sum = [](const std::vector<std::int64_t>& counts) {
    return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  };
  EXPECT_EQ(sum(x.curve->reference) + sum(x.curve->file) + x.curve->outside, 270'000);
  EXPECT_NEAR(x.values->size, .2, 1. / 64 + .01);  // a fifth of the range
}

TEST(Report, TenThousandCategoriesAreCountedAndTheFewAreDrawn) {
  const auto many = [](int by) {
    return rows(40'000, [by](int i) {
      return i % 4 == 0 ? "most" : fmt::format("c{}", i * 7919 % 10'000 + by);
    });
  };
  const Report report = of(many(0), many(0));
  const ColumnReport& x = column(report, "x");
  EXPECT_EQ(x.state, State::kSame);
  EXPECT_LE(x.frequent.size(), 50u);
  EXPECT_EQ(x.frequent[0].value, "most");
  EXPECT_EQ(x.frequent[0].file, 10'000);
  const std::string page = page_of(report);
  EXPECT_NE(page.find("(all others)"), std::string::npos);
  EXPECT_LT(page.size(), 100'000u);
}

TEST(Report, ConstantsNanAndInfinitiesAreNoNumbersOnThePage) {
  const Folder folder;
  const double inf = std::numeric_limits<double>::infinity();
  table::Column constant{.name = "constant", .type = expr::Type::kDouble};
  table::Column odd{.name = "odd", .type = expr::Type::kDouble};
  table::Column huge{.name = "huge", .type = expr::Type::kDouble};
  table::Column empty{.name = "empty", .type = expr::Type::kDouble};
  for (int i = 0; i < 100; ++i) {
    constant.doubles.push_back(7);
    odd.doubles.push_back(i % 4 == 0 ? std::nan("") : i % 4 == 1 ? inf : i % 4 == 2 ? -inf : i);
    huge.doubles.push_back(i % 2 == 0 ? 1.7e308 : -1.7e308);
    empty.doubles.push_back(std::nan(""));
  }
  const auto made = table::Table::make({constant, odd, huge, empty});
  ASSERT_TRUE(made.ok());
  const std::string path = folder / "rows.parquet";
  ASSERT_TRUE(table::write_parquet(*made, path).ok());
  const table::Input input = path;
  for (const table::Input* reference : {static_cast<const table::Input*>(nullptr), &input}) {
    const auto report = make_report(input, reference);
    ASSERT_TRUE(report.ok()) << report.error().str();
    EXPECT_FALSE(report->has_drift());
    EXPECT_EQ(column(*report, "odd").file->missing, 75);
    EXPECT_EQ(column(*report, "empty").file->missing, 100);
    EXPECT_EQ(*column(*report, "constant").file->mean, 7);
    EXPECT_EQ(*column(*report, "constant").file->sd, 0);
    const std::string page = page_of(*report);
    for (const char* what : {"nan", "inf "}) EXPECT_EQ(page.find(what), std::string::npos) << what;
    EXPECT_EQ(page.find("\"inf"), std::string::npos);
    const auto value = report_schema().print(*report);
    EXPECT_EQ(doc::non_finite_at(value), "");
    EXPECT_TRUE(report_schema().parse(value).ok());
  }
}

TEST(Report, OfOneRowNothingIsSaidToHaveMoved) {
  const Report report = of("x,y\n1,a\n", "x,y\n100,b\n");
  EXPECT_FALSE(report.has_drift());
  EXPECT_GE(column(report, "x").values->by_chance, 1);
  EXPECT_NE(page_of(report).find("too few rows"), std::string::npos);
}

TEST(Report, WithoutAReferenceNothingIsCompared) {
  const Report report = of("x,word\n1,a\n2,b\n3,a\n");
  EXPECT_FALSE(report.has_drift());
  EXPECT_EQ(column(report, "x").state, State::kAlone);
  EXPECT_EQ(*column(report, "x").file->mean, 2);
  EXPECT_FALSE(column(report, "x").values);
  const std::string page = page_of(report);
  EXPECT_EQ(page.find("reference"), std::string::npos);
  EXPECT_TRUE(page.starts_with(kPageMark));
}

TEST(Report, AFileWithoutRowsIsRefusedWithWhatToDo) {
  const Folder folder;
  const auto header = make_report(write(folder, "header.csv", "x,y\n"), nullptr);
  ASSERT_FALSE(header.ok());
  EXPECT_EQ(header.error().id, "report-no-rows");
  EXPECT_FALSE(header.error().hint.empty());
  const table::Input none = write(folder, "none.csv", "x,y\n");
  const auto reference = make_report(write(folder, "rows.csv", "x,y\n1,2\n"), &none);
  ASSERT_FALSE(reference.ok());
  EXPECT_NE(reference.error().message.find("none.csv"), std::string::npos);
  const auto empty = make_report(write(folder, "empty.csv", ""), nullptr);
  ASSERT_FALSE(empty.ok());
  EXPECT_FALSE(empty.error().hint.empty());
}

TEST(Report, WhatInitSaysFirstIsSaidWithoutRowsAndFeatures) {
  std::string text = "age,constant,secret\n";
  for (int i = 0; i < 100; ++i) text += fmt::format("{},1,s{:05}\n", i == 3 ? -5 : 20 + i % 50, i);
  const Report report = of(text);
  std::vector<std::string> ids;
  for (const auto& finding : report.findings) {
    ids.push_back(finding.id);
    EXPECT_TRUE(finding.examples.empty()) << finding.id;
    EXPECT_EQ(finding.text.find("feature"), std::string::npos) << finding.text;
    EXPECT_EQ(finding.text.find("contract"), std::string::npos) << finding.text;
  }
  EXPECT_EQ(ids, (std::vector<std::string>{"duplicate-rows", "id-like", "impossible-values",
                                           "constant-column"}));
  EXPECT_EQ(page_of(report).find("s00042"), std::string::npos);
}

TEST(Page, TextsOfTheFileAreEscaped) {
  const std::string bad = "<script>alert(1)</script>";
  const Report report = of("x," + bad + "\na," + bad + "\na,ok\na," + bad + "\n",
                           "x," + bad + "\n" + bad + "," + bad + "\na,ok\na,ok\n");
  const std::string page = page_of(report);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(1)&lt;/script&gt;"), std::string::npos);
  for (const char* what : {"http", "src=", "href=", "url(", "@import"})
    EXPECT_EQ(page.find(what), std::string::npos) << what;
}

TEST(Format, IsReadBackAsItWasAndDocumented) {
  Report report;
  report.file = "file.csv";
  report.reference = "reference.csv";
  report.rows = report.reference_rows = 10;
  report.chance = .0005;
  report.findings.push_back({"constant-column", "one value", {"x"}, {}});
  ColumnReport& column = report.columns.emplace_back();
  column.name = "x";
  column.state = State::kMoved;
  column.reference = column.file = Side{"numbers", 1, 2, 3., 4., 5., 6., 7, 8};
  column.statistic = "ks";
  column.values = column.missing = Difference{.5, .25, true};
  column.says = {"more"};
  column.curve = Curve{1, 2, {3}, {4}, 5};
  column.frequent = {{"a", 1, 2}};
  column.other_values = Frequency{"", 3, 4};
  doc::RecordConformance(report_schema(), report).run("docs/formats/report.md");
}

}  // namespace
}  // namespace heddle::report
