#include "watch/baseline.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "doc/json.hpp"
#include "doc/schema_conformance.hpp"
#include "watch/baseline_format.hpp"
#include "watch/stream_fixture.hpp"

namespace heddle::watch {
namespace {

using expr::Datum;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A baseline of one metric over one column `x`, whose values are borrowed; rows come one a minute.
Result<Baseline> baseline_of(const statistic::Statistic* kind, expr::ColumnView column,
                             double floor = 0.1) {
  std::vector<Micros> time;
  for (std::int64_t i = 0; i < column.length; ++i) time.push_back(i * kMinute);
  spec::Monitor monitor;
  monitor.distributions = {{"x", "x", kind, floor, 3}};
  monitor.labelled_quality = false;
  return build_baseline(monitor, {}, {{"x"}, {column}, time, {}, {}, {}, {}});
}

expr::ColumnView column(expr::Type type, const std::vector<std::int64_t>& values) {
  return {.type = type, .length = static_cast<std::int64_t>(values.size()), .ints = values.data()};
}
expr::ColumnView column(const std::vector<double>& values) {
  return {.type = expr::Type::kDouble,
          .length = static_cast<std::int64_t>(values.size()),
          .doubles = values.data()};
}

double distance(const Result<Baseline>& baseline, const std::vector<Datum>& window) {
  EXPECT_TRUE(baseline.ok()) << baseline.error().str();
  const MetricReference& metric = baseline->metrics.at(0);
  stats::Histogram counts(metric.binning.size());
  for (const Datum& value : window) {
    if (const auto bin = metric.bin_of(value)) counts.add(*bin);
  }
  return metric.statistic(counts);
}

std::vector<Datum> times(int n, Datum value) {
  return std::vector<Datum>(static_cast<std::size_t>(n), value);
}
std::vector<Datum> joined(std::vector<Datum> a, const std::vector<Datum>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// ks: scipy.stats.ks_2samp of SciPy 1.17.1 with the same samples gives the same D.
TEST(Baseline, AConstantThatChangesIsSeen) {
  EXPECT_EQ(distance(baseline_of(&statistic::ks(), column(std::vector<double>(100, 7))),
                     times(50, Datum::real(8))),
            1);
  EXPECT_EQ(distance(baseline_of(&statistic::ks(), column(std::vector<double>(100, 7))),
                     times(50, Datum::real(7))),
            0);
  EXPECT_EQ(distance(baseline_of(&statistic::ks(),
                                 column(expr::Type::kInt, std::vector<std::int64_t>(100, 7))),
                     times(50, Datum::integer(6))),
            1);
  EXPECT_EQ(distance(baseline_of(&statistic::total_variation(),
                                 column(expr::Type::kInt, std::vector<std::int64_t>(100, 7))),
                     times(50, Datum::integer(8))),
            1);
}

TEST(Baseline, AHeavyAtomIsNotItsNeighbours) {
  std::vector<double> mostly_zero(980, 0.0);
  for (int i = 0; i < 20; ++i) mostly_zero.push_back(0.5 + i);
  EXPECT_NEAR(
      distance(baseline_of(&statistic::ks(), column(mostly_zero)), times(100, Datum::real(3))),
      0.983, 1e-12);
  EXPECT_NEAR(
      distance(baseline_of(&statistic::ks(), column(mostly_zero)), times(100, Datum::real(0.25))),
      0.98, 1e-12);
  EXPECT_NEAR(
      distance(baseline_of(&statistic::ks(), column(mostly_zero)), times(100, Datum::real(-0.0))),
      0.02, 1e-12);
}

TEST(Baseline, IntegersAndBooleansAreCategories) {
  std::vector<std::int64_t> thirds;
  for (int i = 0; i < 300; ++i) thirds.push_back(i % 3);
  const auto integers =
      baseline_of(&statistic::total_variation(), column(expr::Type::kInt, thirds));
  EXPECT_NEAR(distance(integers, times(30, Datum::integer(1))), 2.0 / 3, 1e-12);
  EXPECT_NEAR(distance(integers, times(30, Datum::real(1.0))), 2.0 / 3,
              1e-12);  // 1.0 of a JSON request is the integer
  EXPECT_NEAR(distance(integers, times(30, Datum::integer(77))), 1, 1e-12);
  std::vector<std::int64_t> flags;
  for (int i = 0; i < 100; ++i) flags.push_back(i % 10 < 3 ? 1 : 0);
  const auto seventy = joined(times(70, Datum::boolean(true)), times(30, Datum::boolean(false)));
  EXPECT_NEAR(distance(baseline_of(&statistic::total_variation(), column(expr::Type::kBool, flags)),
                       seventy),
              0.4, 1e-12);
  EXPECT_NEAR(distance(baseline_of(&statistic::ks(), column(expr::Type::kBool, flags)), seventy),
              0.4, 1e-12);
}

TEST(Baseline, MissingValuesArePartOfEveryDistribution) {
  std::vector<std::int64_t> hours;
  std::vector<double> numbers;
  std::vector<std::int32_t> codes;
  const std::vector<std::string_view> names{"a", "b"};
  for (int i = 0; i < 240; ++i) {
    hours.push_back(i * kHour);
    numbers.push_back(i);
    codes.push_back(i % 2);
  }
  expr::ColumnView strings{.type = expr::Type::kString,
                           .length = 240,
                           .codes = codes.data(),
                           .dictionary = names.data()};
  std::vector<Datum> same_hours, same_numbers, same_names;
  for (int i = 0; i < 240; ++i) {
    same_hours.push_back(Datum::timestamp(i * kHour));
    same_numbers.push_back(Datum::real(i));
    same_names.push_back(Datum::string(names[static_cast<std::size_t>(i % 2)]));
  }
  const auto absent = times(160, Datum::null());  // 40 % of the window
  EXPECT_NEAR(
      distance(baseline_of(&statistic::hour_of_day(), column(expr::Type::kTimestamp, hours)),
               joined(same_hours, absent)),
      0.4, 1e-12);
  EXPECT_NEAR(
      distance(baseline_of(&statistic::ks(), column(numbers)), joined(same_numbers, absent)), 0.4,
      1e-12);
  EXPECT_NEAR(distance(baseline_of(&statistic::ks(), column(numbers)),
                       joined(same_numbers, times(160, Datum::real(NAN)))),
              0.4, 1e-12);
  EXPECT_NEAR(
      distance(baseline_of(&statistic::total_variation(), strings), joined(same_names, absent)),
      0.4, 1e-12);
  // And the other way: what was missing comes.
  std::vector<std::uint8_t> valid(240, 1);
  for (int i = 0; i < 60; ++i) valid[static_cast<std::size_t>(4 * i)] = 0;
  expr::ColumnView holed = column(numbers);
  holed.valid = valid.data();
  EXPECT_NEAR(distance(baseline_of(&statistic::ks(), holed), same_numbers), 0.25, 1.0 / 64);
  strings.valid = valid.data();
  EXPECT_GE(distance(baseline_of(&statistic::total_variation(), strings), same_names), 0.25);
}

TEST(Baseline, TimesAreNumbersOnALine) {
  std::vector<std::int64_t> days;
  for (int i = 0; i < 300; ++i) days.push_back((i - 150) * kDay);
  EXPECT_NEAR(distance(baseline_of(&statistic::ks(), column(expr::Type::kTimestamp, days)),
                       times(9, Datum::timestamp(200 * kDay))),
              1, 1e-12);
}

TEST(Baseline, AKindThatDoesNotReadTheColumnIsRefused) {
  const std::vector<std::int32_t> codes(10, 0);
  const std::vector<std::string_view> names{"a"};
  const expr::ColumnView text{
      .type = expr::Type::kString, .length = 10, .codes = codes.data(), .dictionary = names.data()};
  const std::vector<double> numbers(10, 1);
  for (const auto& [kind, view, hint] : {std::tuple{&statistic::ks(), text, "`total_variation`"},
                                         {&statistic::hour_of_day(), text, "`total_variation`"},
                                         {&statistic::total_variation(), column(numbers), "`ks`"},
                                         {&statistic::hour_of_day(), column(numbers), "`ks`"}}) {
    const auto built = baseline_of(kind, view);
    ASSERT_FALSE(built.ok());
    EXPECT_EQ(built.error().id, "watch-kind");
    EXPECT_NE(built.error().hint.find(hint), std::string::npos) << built.error().hint;
  }
}

TEST(Baseline, AMetricThatCannotAlertIsRefused) {
  std::vector<std::int64_t> ids;
  for (int i = 0; i < 1000; ++i) ids.push_back(i);
  // 50 of 1,000 equally frequent values: were every value new, 5 % would be missed and the rest be
  // as before.
  EXPECT_EQ(baseline_of(&statistic::total_variation(), column(expr::Type::kInt, ids)).error().id,
            "watch-cannot-alert");
  EXPECT_TRUE(baseline_of(&statistic::total_variation(), column(expr::Type::kInt, ids), 0.01).ok());
  EXPECT_EQ(baseline_of(&statistic::ks(), column(expr::Type::kInt, ids), 1).error().id,
            "watch-cannot-alert");
  spec::Monitor monitor;
  monitor.distributions = {{"score", "prediction", &statistic::ks(), 0.1, 3}};
  const std::vector<Micros> time{0, 1};
  EXPECT_EQ(build_baseline(monitor, {}, {{}, {}, time, {}, {}, {}, {}}).error().id,
            "watch-no-reference");
}

TEST(Baseline, InfinitiesAreReadBackAsTheyWere) {
  std::vector<double> values;
  for (int i = 0; i < 2000; ++i)
    values.push_back(i % 10 == 0 ? kInfinity : i % 10 == 1 ? -kInfinity : i);
  const auto built = baseline_of(&statistic::ks(), column(values));
  ASSERT_TRUE(built.ok()) << built.error().str();
  const std::string text = doc::to_json(baseline_schema().print(*built));
  EXPECT_EQ(text.find("null"), std::string::npos);
  EXPECT_NE(text.find("\"-Infinity\""), std::string::npos);
  const auto read = baseline_schema().parse_text(text);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(doc::to_json(baseline_schema().print(*read)), text);
  EXPECT_NEAR(distance(read, times(10, Datum::real(kInfinity))), 0.9, 1e-12);
  EXPECT_EQ(distance(read, times(10, Datum::real(kInfinity))),
            distance(built, times(10, Datum::real(kInfinity))));
}

/// Every scalar of a document in turn, replaced.
void each_leaf(doc::Value& at, const std::string& path,
               const std::function<void(const std::string&, doc::Value&)>& visit) {
  if (at.is_array()) {
    for (std::size_t i = 0; i < at.size(); ++i)
      each_leaf(at.as_array()[i], path + "[" + std::to_string(i) + "]", visit);
  } else if (at.is_object()) {
    for (auto& [name, member] : at.as_object()) each_leaf(member, path + "." + name, visit);
  } else {
    visit(path, at);
  }
}

/// Every object of a document in turn, without each of its members.
void each_absence(doc::Value& at, const std::string& path,
                  const std::function<void(const std::string&)>& visit) {
  if (at.is_array()) {
    for (std::size_t i = 0; i < at.size(); ++i)
      each_absence(at.as_array()[i], path + "[" + std::to_string(i) + "]", visit);
  }
  if (!at.is_object() || path.ends_with(".expected")) return;  // a map: any key may be absent
  for (std::size_t i = 0; i < at.as_object().size(); ++i) {
    auto& members = at.as_object();
    const auto taken = members[i];
    members.erase(members.begin() + static_cast<std::ptrdiff_t>(i));
    visit(path + "." + taken.first);
    members.insert(members.begin() + static_cast<std::ptrdiff_t>(i), taken);
    each_absence(members[i].second, path + "." + taken.first, visit);
  }
}

TEST(Baseline, NothingThatWasLostInWritingIsReadAsZero) {
  doc::Value value = baseline_schema().print(fixture::Stream(15).baseline());
  ASSERT_TRUE(baseline_schema().parse(value).ok());
  int leaves = 0;
  each_leaf(value, "", [&](const std::string& path, doc::Value& leaf) {
    ++leaves;
    const doc::Value kept = leaf;
    const doc::Value mistyped = kept.is_string() ? doc::Value(1) : doc::Value("one");
    for (const doc::Value& wrong :
         {doc::Value(nullptr), doc::Value(NAN), doc::Value(true), doc::Value::array(),
          doc::Value::object({}), doc::Value(std::string()), mistyped}) {
      const bool a_text = wrong.is_string() && kept.is_string();  // the digest is what tells
      if (a_text) continue;
      leaf = wrong;
      EXPECT_FALSE(baseline_schema().parse(value).ok()) << path << " = " << doc::to_json(wrong);
    }
    leaf = kInfinity;  // of the numbers only a point may be infinite
    EXPECT_TRUE(path.find(".points[") != std::string::npos || !baseline_schema().parse(value).ok())
        << path;
    leaf = kept;
  });
  EXPECT_GT(leaves, 100);
  int absent = 0;
  each_absence(value, "", [&](const std::string& path) {
    ++absent;
    EXPECT_FALSE(baseline_schema().parse(value).ok()) << path;
  });
  EXPECT_GT(absent, 20);
  EXPECT_TRUE(baseline_schema().parse(value).ok());
  EXPECT_FALSE(baseline_schema().parse(doc::Value::object({{"format", "heddle.baseline/1"}})).ok());
  // A reference without rows can never alert, and counts whose sum is no number mean nothing.
  for (const std::int64_t count : {std::int64_t{0}, INT64_MAX}) {
    doc::Value other = value;
    for (auto& [name, member] : other.as_object()) {
      if (name != "metrics") continue;
      for (auto& [key, counts] : member.as_array()[0].as_object()) {
        if (key != "counts") continue;
        for (auto& each : counts.as_array()) each = count;
      }
    }
    EXPECT_FALSE(baseline_schema().parse(other).ok()) << count;
  }
}

TEST(Baseline, ADependencyIsNotLearnedFromWhatIsNoNumber) {
  const std::vector<std::int32_t> codes{0, 0, 1};
  const std::vector<std::string_view> names{"a", "b"};
  const std::vector<double> distances{kInfinity, 12, NAN};
  const expr::ColumnView place{
      .type = expr::Type::kString, .length = 3, .codes = codes.data(), .dictionary = names.data()};
  const std::vector<Micros> time{0, 1, 2};
  spec::Monitor monitor;
  monitor.labelled_quality = false;
  const auto built =
      build_baseline(monitor, fixture::Stream::contract(),
                     {{"place", "distance"}, {place, column(distances)}, time, {}, {}, {}, {}});
  ASSERT_TRUE(built.ok());
  EXPECT_EQ(built->dependencies.at(0).expected, (std::map<std::string, double>{{"a\x1f", 12}}));
}

/// As Heddle wrote it before there was a schema: the bundle's digest covers these bytes.
constexpr std::string_view kBaselineOfBefore =
    R"({"format":"heddle.baseline/3","metrics":[{"name":"distance","column":"distance",)"
    R"("kind":"ks","floor":0.1,"sds":3.0,"mean":0.02,"sd":0.01,"chunks":7,)"
    R"("counts":[1,0,2,3,4,0,5,0],"points":["-Infinity",1.5,"Infinity"]},)"
    R"({"name":"place","column":"place","kind":"total_variation","floor":0.2,"sds":4.0,)"
    R"("mean":0.0,"sd":0.0,"chunks":2,"counts":[0,3,2,1],"categories":["AMS","JFK"]},)"
    R"({"name":"hour","column":"at","kind":"hour_of_day","floor":0.1,"sds":3.0,"mean":0.0,)"
    R"("sd":0.0,"chunks":0,"counts":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}],)"
    R"("dependencies":[{"rule":"place-fixes-distance","determinant":["place"],)"
    R"("dependent":"distance","expected":{"a\u001f":12.0,"b\u001f":-0.5}}],)"
    R"("quality":{"mean":0.9,"sd":0.05,"chunks":30},"labels":{"median":4.0,"scale":3.0},)"
    R"("coverage":{"mean":0.91,"sd":0.02,"chunks":12}})";

TEST(Baseline, BytesOfBeforeAreReadAndWrittenAgain) {
  const auto read = baseline_schema().parse_text(kBaselineOfBefore);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(doc::to_json(baseline_schema().print(*read)), kBaselineOfBefore);
  doc::RecordConformance<Baseline>(baseline_schema(), *read).run("docs/formats/baseline.md");
}

TEST(Baseline, BinsAreThoseOfTheStatistic) {
  const auto refusal = [](std::size_t metric, const char* member, std::optional<doc::Value> to) {
    auto value = *doc::parse_json(kBaselineOfBefore);
    auto& at = value.find("metrics")->as_array()[metric];
    std::erase_if(at.as_object(), [&](const auto& each) { return each.first == member; });
    if (to) at.set(member, *to);
    const auto read = baseline_schema().parse(value);
    return read.ok() ? std::string() : read.error().message;
  };
  EXPECT_EQ(refusal(0, "points", {}),
            "the baseline profile: `metrics[0].points` is not a list of numbers");
  EXPECT_EQ(refusal(0, "categories", doc::Value::array()),
            "the baseline profile: unknown member `metrics[0].categories`");
  EXPECT_EQ(refusal(1, "counts", doc::Value::array({0, 1})),
            "the baseline profile: `metrics[1].counts` must have one count for each of 4 bins");
  EXPECT_EQ(refusal(2, "kind", "wasserstein"),
            "the baseline profile: `metrics[2].kind` is `wasserstein`, a statistic that this "
            "Heddle does not have");
}

}  // namespace
}  // namespace heddle::watch
