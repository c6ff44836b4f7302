#include "feature/program.hpp"

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/allocations_fixture.hpp"
#include "base/clock.hpp"
#include "doc/json.hpp"
#include "doc/schema_conformance.hpp"
#include "feature/stored.hpp"
#include "table/lookup.hpp"

namespace heddle::feature {
namespace {

using expr::Datum;
using expr::Type;
using spec::Feature;
using table::Column;
using table::Table;
using testing::ElementsAre;
using testing::HasSubstr;

Feature expression(std::string name, std::string text, bool hidden = false) {
  Feature out;
  out.name = std::move(name);
  out.expression.text = std::move(text);
  out.hidden = hidden;
  return out;
}

Feature encoding(std::string name, Feature::Kind kind, std::vector<std::string> inputs,
                 double smoothing = 10) {
  Feature out;
  out.name = std::move(name);
  out.kind = kind;
  out.inputs = std::move(inputs);
  out.smoothing = smoothing;
  return out;
}

constexpr auto kTarget = Feature::Kind::kTargetEncoding;
constexpr auto kFrequency = Feature::Kind::kFrequencyEncoding;

std::vector<spec::Field> fields(bool with_label = false) {
  std::vector<spec::Field> out;
  const auto add = [&](const char* name, Type type, bool label = false) {
    spec::Field each;
    each.name = name;
    each.type = type;
    each.label_time = label;
    out.push_back(std::move(each));
  };
  add("date", Type::kTimestamp);
  add("distance", Type::kInt);
  if (with_label) add("delay", Type::kInt, true);
  add("origin", Type::kString);
  add("destination", Type::kString);
  return out;
}

/// Those of the flights, out of order on purpose: `late_hour` reads `hour`.
spec::FeatureSet flights() {
  spec::FeatureSet out;
  out.identity.name = "flights";
  out.contract = "flights";
  out.folds = 4;
  out.features = {expression("late_hour", "hour >= 18"),
                  expression("hour", "date.getHours()"),
                  expression("miles", "distance"),
                  expression("region", "origin == \"A0\" ? \"west\" : \"east\"", true),
                  encoding("origin_late", kTarget, {"origin"}),
                  encoding("route_late", kTarget, {"origin", "destination"}, 20),
                  encoding("origin_hour_late", kTarget, {"origin", "hour"}),
                  encoding("region_share", kFrequency, {"region"}),
                  encoding("route_share", kFrequency, {"origin", "destination"}),
                  expression("ratio", "origin_late / route_late")};
  return out;
}

struct Sample {
  Table rows;
  std::vector<double> labels;
};

/// Rows in event-time order, with missing values in `origin` and `distance`.
Sample sample(int n, unsigned seed) {
  std::mt19937 random(seed);
  Column date, distance, origin, destination;
  date.name = "date", date.type = Type::kTimestamp;
  distance.name = "distance", distance.type = Type::kInt;
  origin.name = "origin", origin.type = Type::kString;
  destination.name = "destination", destination.type = Type::kString;
  std::vector<std::string> codes;
  for (int i = 0; i < 12; ++i) codes.push_back(fmt::format("A{}", i));
  origin.dictionary = destination.dictionary = std::make_shared<const table::Dictionary>(codes);
  Sample out;
  for (int i = 0; i < n; ++i) {
    date.ints.push_back(i * kHour);
    distance.ints.push_back(static_cast<std::int64_t>(random() % 3000));
    origin.codes.push_back(static_cast<std::int32_t>(random() % 12));
    destination.codes.push_back(static_cast<std::int32_t>(random() % 12));
    origin.valid.push_back(random() % 20 != 0 ? 1 : 0);
    distance.valid.push_back(random() % 20 != 0 ? 1 : 0);
    out.labels.push_back(random() % 12 < static_cast<unsigned>(origin.codes.back()) ? 1 : 0);
  }
  out.rows = Table::make({date, distance, origin, destination}).value();
  return out;
}

Program compiled() { return Program::compile(flights(), fields()).value(); }

int column(const Program& program, const std::string& name) {
  const auto& names = program.feature_names();
  return static_cast<int>(std::find(names.begin(), names.end(), name) - names.begin());
}

bool same_bits(const Matrix& a, const Matrix& b) {
  return a.rows == b.rows && a.columns == b.columns &&
         std::memcmp(a.values.data(), b.values.data(), a.values.size() * sizeof(float)) == 0;
}

TEST(Compile, OrderFollowsWhatIsRead) {
  const Program program = compiled();
  EXPECT_THAT(program.feature_names(),
              ElementsAre("hour", "miles", "origin_late", "route_late", "origin_hour_late",
                          "region_share", "route_share", "ratio", "late_hour"));
}

TEST(Compile, CycleIsNamed) {
  auto set = flights();
  set.features[1].expression.text = "ratio > 1.0 ? 1 : 2";
  set.features[9].expression.text = "late_hour ? 1.0 : 2.0";
  const auto program = Program::compile(set, fields());
  ASSERT_FALSE(program.ok());
  EXPECT_EQ(program.error().id, "feature-cycle");
  EXPECT_THAT(program.error().message,
              HasSubstr("`late_hour` -> `hour` -> `ratio` -> `late_hour`"));
  set = flights();
  set.features[2].expression.text = "miles + 1";
  EXPECT_THAT(Program::compile(set, fields()).error().message, HasSubstr("`miles` -> `miles`"));
}

TEST(Compile, LeakIsRefused) {
  auto set = flights();
  set.features.push_back(expression("cheat", "delay > 15"));
  EXPECT_EQ(Program::compile(set, fields(true)).error().id, "feature-reads-label");
  EXPECT_EQ(Program::compile(set, fields(false)).error().id, "feature-expression");
  set = flights();
  set.features.push_back(encoding("cheat", kFrequency, {"delay"}));
  EXPECT_EQ(Program::compile(set, fields(true)).error().id, "feature-reads-label");
}

TEST(Compile, AFeatureMayHaveItsFieldsName) {
  // The name means the field wherever it is read, in whatever order the features stand.
  spec::FeatureSet set;
  set.features = {expression("twice", "distance * 2.0"), expression("distance", "distance + 1"),
                  expression("thrice", "distance * 3.0")};
  const auto program = Program::compile(set, fields());
  ASSERT_TRUE(program.ok()) << program.error().str();
  EXPECT_EQ(program->feature_names(), (std::vector<std::string>{"twice", "distance", "thrice"}));
  std::vector<expr::Datum> row(program->fields().size());
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (program->fields()[i].name == "distance") row[i] = expr::Datum::integer(10);
  }
  float out[3];
  Program::Scratch scratch;
  program->apply_row(row, out, scratch);
  EXPECT_EQ(out[0], 20);
  EXPECT_EQ(out[1], 11);
  EXPECT_EQ(out[2], 30);
}

TEST(Compile, Misuse) {
  const auto id = [](const spec::FeatureSet& set) {
    const auto program = Program::compile(set, fields());
    return program.ok() ? std::string("ok") : program.error().id;
  };
  spec::FeatureSet set;
  EXPECT_EQ(id(set), "feature-none");
  set.features = {expression("x", "distance", true)};
  EXPECT_EQ(id(set), "feature-none");
  set.features = {expression("x", "origin")};
  EXPECT_EQ(id(set), "feature-type");
  set.features = {expression("x", "distance +")};
  EXPECT_EQ(id(set), "feature-expression");
  set.features = {expression("x", "distance"), expression("x", "distance")};
  EXPECT_EQ(id(set), "feature-name-twice");
  set.features = {expression("x", "distance"), expression("origin", "distance", true)};
  EXPECT_EQ(id(set),
            "feature-name-twice");  // hidden, and the name means the field: nothing could read it
  set.features = {encoding("x", kTarget, {})};
  EXPECT_EQ(id(set), "feature-inputs");
  set.features = {encoding("x", kTarget, {"origin", "origin"})};
  EXPECT_EQ(id(set), "feature-inputs");
  set.features = {encoding("x", kTarget, {"orgin"})};
  EXPECT_EQ(id(set), "feature-unknown-name");
  EXPECT_THAT(Program::compile(set, fields()).error().hint, HasSubstr("`origin`"));
  set.features = {encoding("x", kTarget, {"origin"}, -1)};
  EXPECT_EQ(id(set), "feature-smoothing");
  set.features = {encoding("x", kTarget, {"origin"}), expression("y", "x * 2.0"),
                  encoding("z", kTarget, {"y"})};
  EXPECT_EQ(id(set), "feature-nested-encoder");
}

TEST(Fit, Misuse) {
  Program program = compiled();
  const Sample data = sample(100, 1);
  EXPECT_EQ(program.fit(data.rows.slice(0, 0), {}).error().id, "feature-too-few-rows");
  const std::vector<double> ones(100, 1);
  EXPECT_EQ(program.fit(data.rows, ones).error().id, "feature-label-constant");
  Column distance;
  distance.name = "distance", distance.type = Type::kDouble;
  distance.doubles.resize(100);
  EXPECT_EQ(program.fit(data.rows.with_column(distance).value(), data.labels).error().id,
            "feature-column-type");
  const Table none = Table::make({*data.rows.find("date")}).value();
  EXPECT_EQ(program.apply(none).error().id, "column-missing");
  auto set = flights();
  set.folds = 1;
  EXPECT_EQ(Program::compile(set, fields()).value().fit(data.rows, data.labels).error().id,
            "feature-folds");
}

/// The formulas over maps, row by row and fold by fold, against the program.
TEST(Fit, AgreesWithTheFormulas) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    const Sample data = sample(997, seed);
    Program program = compiled();
    const FitResult fit = program.fit(data.rows, data.labels).value();
    const Matrix all = program.apply(data.rows).value();
    const auto views = data.rows.views();
    ASSERT_EQ(fit.fold_ends, (std::vector<std::int64_t>{249, 498, 747, 997}));
    const auto fold_of = [&](std::int64_t row) {
      return std::upper_bound(fit.fold_ends.begin(), fit.fold_ends.end(), row) -
             fit.fold_ends.begin();
    };
    using Key = std::pair<std::string, std::string>;
    const auto key_of = [&](std::int64_t row) {
      return Key(views[2].at(row).str(), views[3].at(row).str());
    };
    for (const std::int64_t left_out : {-1, 0, 1, 2, 3}) {
      std::map<Key, std::pair<double, double>> counts;
      double rows = 0;
      double positives = 0;
      for (std::int64_t row = 0; row < 997; ++row) {
        if (fold_of(row) == left_out) continue;
        const double label = data.labels[static_cast<std::size_t>(row)];
        rows += 1, positives += label;
        if (views[2].at(row).is_null()) continue;
        auto& [n, sum] = counts[key_of(row)];
        n += 1, sum += label;
      }
      for (std::int64_t row = 0; row < 997; ++row) {
        if (left_out >= 0 && fold_of(row) != left_out) continue;
        const float* values = left_out >= 0 ? fit.train.row(row) : all.row(row);
        const float late = values[column(program, "route_late")];
        const float share = values[column(program, "route_share")];
        if (views[2].at(row).is_null()) {
          EXPECT_TRUE(std::isnan(late) && std::isnan(share));
          continue;
        }
        const auto found = counts.find(key_of(row));
        const double n = found == counts.end() ? 0 : found->second.first;
        const double sum = found == counts.end() ? 0 : found->second.second;
        EXPECT_EQ(late, static_cast<float>((sum + 20 * (positives / rows)) / (n + 20)));
        EXPECT_EQ(share, static_cast<float>(n / rows));
      }
    }
  }
}

/// Labels of a regression, whose sums are rounded: not even the rounding tells a row its own.
TEST(Fit, ARowsOwnNumberNeverReachesItsFeatures) {
  const Sample data = sample(400, 3);
  std::vector<double> numbers;
  for (std::size_t i = 0; i < 400; ++i)
    numbers.push_back(data.labels[i] + static_cast<double>(i * i % 101) / 7);
  Program program = compiled();
  const Matrix before = program.fit(data.rows, numbers).value().train;
  for (const std::size_t row : {std::size_t{0}, std::size_t{150}, std::size_t{399}}) {
    auto changed = numbers;
    changed[row] = 1e9 / 3;
    Program other = compiled();
    const Matrix after = other.fit(data.rows, changed).value().train;
    EXPECT_EQ(std::memcmp(before.row(static_cast<std::int64_t>(row)),
                          after.row(static_cast<std::int64_t>(row)),
                          sizeof(float) * static_cast<std::size_t>(before.columns)),
              0)
        << row;
  }
}

TEST(Fit, ARowsOwnLabelNeverReachesItsFeatures) {
  const Sample data = sample(400, 3);
  Program program = compiled();
  const Matrix before = program.fit(data.rows, data.labels).value().train;
  for (const std::size_t row : {std::size_t{0}, std::size_t{150}, std::size_t{399}}) {
    auto labels = data.labels;
    labels[row] = 1 - labels[row];
    Program other = compiled();
    const Matrix after = other.fit(data.rows, labels).value().train;
    EXPECT_EQ(std::memcmp(before.row(static_cast<std::int64_t>(row)),
                          after.row(static_cast<std::int64_t>(row)),
                          sizeof(float) * static_cast<std::size_t>(before.columns)),
              0);
    EXPECT_FALSE(same_bits(before, after));
  }
}

TEST(Apply, UnseenMissingAndUnfitted) {
  Program program = compiled();
  const Sample data = sample(500, 2);
  std::vector<float> out(program.feature_names().size());
  Scratch scratch;
  const std::vector<Datum> fresh = {Datum::timestamp(kHour * 20), Datum(), Datum::string("ZZZ"),
                                    Datum::string("A1")};
  program.apply_row(fresh, out, scratch);
  EXPECT_FALSE(program.fitted());
  EXPECT_TRUE(std::isnan(out[static_cast<std::size_t>(column(program, "origin_late"))]));
  ASSERT_TRUE(program.fit(data.rows, data.labels).ok());
  program.apply_row(fresh, out, scratch);
  double prior = 0;
  for (const auto label : data.labels) prior += label;
  EXPECT_EQ(out[static_cast<std::size_t>(column(program, "origin_late"))],
            static_cast<float>(prior / 500));
  EXPECT_EQ(out[static_cast<std::size_t>(column(program, "route_share"))], 0.0f);
  EXPECT_EQ(out[static_cast<std::size_t>(column(program, "late_hour"))], 1.0f);
  EXPECT_TRUE(std::isnan(out[static_cast<std::size_t>(column(program, "miles"))]));
  EXPECT_EQ(out[static_cast<std::size_t>(column(program, "ratio"))], 1.0f);
}

TEST(Apply, BatchRowAndReloadedAgreeInEveryBit) {
  for (unsigned seed = 10; seed < 15; ++seed) {
    const Sample data = sample(700, seed);
    const Sample later = sample(300, seed + 100);
    Program program = compiled();
    ASSERT_TRUE(program.fit(data.rows, data.labels).ok());
    const std::string text = doc::to_json(program.to_value());
    const Program back = Program::from_value(doc::parse_json(text).value()).value();
    EXPECT_EQ(doc::to_json(back.to_value()), text);
    const Matrix batch = program.apply(later.rows).value();
    EXPECT_TRUE(same_bits(batch, back.apply(later.rows).value()));
    // Through strings that live elsewhere, in another order, with one scratch for both programs.
    Scratch scratch;
    std::vector<float> out(static_cast<std::size_t>(batch.columns));
    const auto views = later.rows.views();
    for (std::int64_t row = later.rows.rows() - 1; row >= 0; --row) {
      const std::string origin(views[2].at(row).is_null() ? "" : views[2].at(row).str());
      const std::string destination(views[3].at(row).str());
      const std::vector<Datum> typed = {
          views[0].at(row), views[1].at(row),
          views[2].at(row).is_null() ? Datum() : Datum::string(origin), Datum::string(destination)};
      for (const Program* each : {&std::as_const(program), &back}) {
        each->apply_row(typed, out, scratch);
        ASSERT_EQ(std::memcmp(out.data(), batch.row(row), out.size() * sizeof(float)), 0)
            << "row " << row << ", seed " << seed;
      }
    }
  }
}

TEST(Apply, FittingTwiceGivesTheSameBytes) {
  const Sample data = sample(600, 4);
  Program one = compiled();
  Program two = compiled();
  const Matrix first = one.fit(data.rows, data.labels).value().train;
  ASSERT_TRUE(two.fit(sample(600, 5).rows, data.labels).ok());
  EXPECT_TRUE(same_bits(first, two.fit(data.rows, data.labels).value().train))
      << "a fit forgets the one before";
  EXPECT_EQ(doc::to_json(one.to_value()), doc::to_json(two.to_value()));
}

TEST(Apply, NothingIsAllocatedAtSteadyState) {
  const Sample data = sample(600, 6);
  Program program = compiled();
  ASSERT_TRUE(program.fit(data.rows, data.labels).ok());
  Scratch scratch;
  std::vector<float> out(program.feature_names().size());
  const auto views = data.rows.views();
  std::vector<Datum> typed(4);
  const auto once = [&] {
    for (std::int64_t row = 0; row < 600; ++row) {
      for (std::size_t i = 0; i < 4; ++i) typed[i] = views[i].at(row);
      program.apply_row(typed, out, scratch);
    }
  };
  once();
  const auto before = fixture::allocations;
  once();
  EXPECT_EQ(fixture::allocations, before);
}

TEST(Value, MalformedIsCorrupt) {
  const auto value = compiled().to_value();
  auto other = value;
  other.set("format", "heddle.features/9");
  EXPECT_EQ(Program::from_value(other).error().kind, ErrorKind::kCorrupt);
  other = value;
  other.set("combinations", doc::Value::array());
  EXPECT_EQ(Program::from_value(other).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(Program::from_value(doc::Value("x")).error().kind, ErrorKind::kCorrupt);
}

/// Over the file in HEDDLE_FLIGHTS, when it is set: the time of a fit and of a row with the
/// features of examples/flights.
TEST(Measure, Flights) {
  const char* file = std::getenv("HEDDLE_FLIGHTS");
  if (file == nullptr) GTEST_SKIP() << "HEDDLE_FLIGHTS is not set";
  table::ReadOptions options;
  options.time_column = "date";
  options.time_to = parse_time("2001-03-01").value();
  const Table rows = table::read_table(file, options).value();
  std::vector<double> labels;
  for (const auto delay : rows.find("delay")->ints) labels.push_back(delay > 15 ? 1 : 0);
  spec::FeatureSet set;
  set.features = {expression("hour", "date.getHours()"),
                  expression("minute_of_day", "date.getHours() * 60 + date.getMinutes()"),
                  expression("weekday", "date.getDayOfWeek()"),
                  expression("miles", "distance"),
                  encoding("origin_late", kTarget, {"origin"}, 100),
                  encoding("destination_late", kTarget, {"destination"}, 100),
                  encoding("route_late", kTarget, {"origin", "destination"}, 100),
                  encoding("origin_hour_late", kTarget, {"origin", "hour"}, 100),
                  encoding("origin_share", kFrequency, {"origin"}),
                  encoding("destination_share", kFrequency, {"destination"}),
                  encoding("route_share", kFrequency, {"origin", "destination"}),
                  encoding("origin_hour_share", kFrequency, {"origin", "hour"})};
  Program program = Program::compile(set, fields()).value();
  auto begin = system_clock().mono_ns();
  ASSERT_TRUE(program.fit(rows, labels).ok());
  fmt::print("fit: {} rows, {} ns/row\n", rows.rows(),
             (system_clock().mono_ns() - begin) / rows.rows());
  begin = system_clock().mono_ns();
  const Matrix matrix = program.apply(rows).value();
  fmt::print("apply: {} features, {} ns/row\n", matrix.columns,
             (system_clock().mono_ns() - begin) / rows.rows());
}

/// As Heddle wrote it before there was a schema: the bundle's digest covers these bytes.
constexpr std::string_view kBytesOfBefore =
    R"({"format":"heddle.features/2","name":"trips","contract":"trips","folds":5,)"
    R"("fields":[{"name":"place","type":"string"},{"name":"far","type":"double"}],)"
    R"("features":[{"name":"long","kind":"expression","expression":"far > 100.0","hidden":true},)"
    R"({"name":"late","kind":"target_encoding","inputs":["place","long"],"smoothing":20.0},)"
    R"({"name":"often","kind":"frequency_encoding","inputs":["place","long"]}],)"
    R"("rows":3,"sum":1.5,"combinations":[[["a",true,2,0.5],["b",false,1,1.0]]]})";

TEST(StoredProgram, BytesOfBeforeAreReadAndWrittenAgain) {
  const auto read = program_schema().parse_text(kBytesOfBefore);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(doc::to_json(program_schema().print(*read)), kBytesOfBefore);
  const auto program = Program::from_value(*doc::parse_json(kBytesOfBefore));
  ASSERT_TRUE(program.ok()) << program.error().str();
  EXPECT_EQ(doc::to_json(program->to_value()), kBytesOfBefore);
  doc::RecordConformance<StoredProgram>(program_schema(), *read).run("docs/formats/features.md");
}

/// A feature without a `smoothing` was read with 20, an encoding without inputs as one of none.
TEST(StoredProgram, AFeatureHasTheMembersOfItsKind) {
  const auto refusal = [](std::size_t feature, const char* member, std::optional<doc::Value> to) {
    auto value = *doc::parse_json(kBytesOfBefore);
    auto& at = value.find("features")->as_array()[feature];
    std::erase_if(at.as_object(), [&](const auto& each) { return each.first == member; });
    if (to) at.set(member, *to);
    const auto read = program_schema().parse(value);
    return read.ok() ? std::string() : read.error().message;
  };
  EXPECT_EQ(refusal(1, "smoothing", {}), "the feature program: `features[1].smoothing` is missing");
  EXPECT_EQ(refusal(1, "inputs", {}), "the feature program: `features[1].inputs` is missing");
  EXPECT_EQ(refusal(2, "smoothing", 20.0),
            "the feature program: `features[2].smoothing` is of another kind of feature");
  EXPECT_EQ(refusal(0, "kind", "hash"),
            "the feature program: `hash` is not a value of `features[0].kind`");
}

}  // namespace
}  // namespace heddle::feature
