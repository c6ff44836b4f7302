#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "doc/json.hpp"
#include "feature/program.hpp"

namespace heddle::feature {
namespace {

using expr::Type;

spec::Field field(const char* name, Type type, bool label = false) {
  spec::Field out;
  out.name = name;
  out.type = type;
  out.label_time = label;
  return out;
}

std::vector<spec::Field> fields() {
  return {field("date", Type::kTimestamp), field("distance", Type::kInt), field("origin", Type::kString), field("delay", Type::kInt, true)};
}

spec::Feature expression(const char* name, const char* text, bool hidden = false) {
  spec::Feature out;
  out.name = name;
  out.expression.text = text;
  out.hidden = hidden;
  return out;
}

spec::Feature encoding(const char* name, spec::Feature::Kind kind, std::vector<std::string> inputs) {
  spec::Feature out;
  out.name = name;
  out.kind = kind;
  out.inputs = std::move(inputs);
  out.smoothing = 2;
  return out;
}

spec::FeatureSet set(std::vector<spec::Feature> features) {
  spec::FeatureSet out;
  out.identity.name = "flights";
  out.features = std::move(features);
  return out;
}

/// `n` rows: hour and origin cycle, the distance has a null now and then.
table::Table rows(std::int64_t n, std::vector<std::uint8_t>& labels) {
  table::Column date{"date", Type::kTimestamp}, distance{"distance", Type::kInt}, origin{"origin", Type::kString}, delay{"delay", Type::kInt};
  origin.dictionary = std::make_shared<const table::Dictionary>(std::vector<std::string>{"ATL", "JFK", "SFO"});
  for (std::int64_t i = 0; i < n; ++i) {
    date.ints.push_back(i * 37 * kMinute);
    distance.ints.push_back(100 + i % 7);
    distance.valid.push_back(i % 11 == 3 ? 0 : 1);
    origin.codes.push_back(static_cast<std::int32_t>(i * i % 3));
    delay.ints.push_back(i % 4);
    labels.push_back(i % 4 == 0 || i % 3 == 1 ? 1 : 0);
  }
  return *table::Table::make({date, distance, origin, delay});
}

std::vector<spec::Feature> all_features() {
  return {expression("late_hour", "hour + 1"), expression("hour", "date.getHours()"), expression("miles", "distance"),
          expression("tag", "origin + string(hour)", true),
          encoding("origin_late", spec::Feature::Kind::kTargetEncoding, {"origin"}),
          encoding("origin_hour", spec::Feature::Kind::kTargetEncoding, {"origin", "hour"}),
          encoding("tag_share", spec::Feature::Kind::kFrequencyEncoding, {"tag"}),
          expression("twice", "origin_late * 2.0")};
}

TEST(Feature, RowAndBatchGiveTheSameBits) {
  std::vector<std::uint8_t> labels;
  const auto table = rows(300, labels);
  auto program = Program::compile(set(all_features()), fields());
  ASSERT_TRUE(program.ok()) << program.error().str();
  ASSERT_TRUE(program->fit(table, labels).ok());
  const auto matrix = *program->apply(table);
  ASSERT_EQ(matrix.columns, 7);
  // The same after a trip through JSON, and from another table with other dictionary codes.
  const auto again = Program::from_value(*doc::parse_json(doc::to_json(program->to_value())));
  ASSERT_TRUE(again.ok()) << again.error().str();
  EXPECT_EQ(doc::to_json(again->to_value()), doc::to_json(program->to_value()));
  Scratch scratch;
  const auto columns = table.views();
  for (std::int64_t row = 0; row < table.rows(); ++row) {
    const std::vector<expr::Datum> typed{columns[0].at(row), columns[1].at(row), columns[2].at(row)};
    std::vector<float> out(7);
    again->apply_row(typed, out, scratch);
    for (int i = 0; i < 7; ++i) {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(out[static_cast<std::size_t>(i)]), std::bit_cast<std::uint32_t>(matrix.row(row)[i])) << row << " " << i;
    }
  }
}

TEST(Feature, EncodersFollowTheirFormulas) {
  std::vector<std::uint8_t> labels;
  const auto table = rows(300, labels);
  auto program = *Program::compile(set({encoding("t", spec::Feature::Kind::kTargetEncoding, {"origin"}),
                                        encoding("f", spec::Feature::Kind::kFrequencyEncoding, {"origin"})}), fields());
  const auto fit = *program.fit(table, labels);
  double n = 0, positive = 0, atl = 0, atl_positive = 0, first_atl = 0, first_atl_positive = 0, first_positive = 0;
  for (std::size_t i = 0; i < 300; ++i) {
    const bool is_atl = table.columns()[2].codes[i] == 0;
    n += 1;
    positive += labels[i];
    if (is_atl) atl += 1, atl_positive += labels[i];
    if (i < 60) first_positive += labels[i];
    if (i < 60 && is_atl) first_atl += 1, first_atl_positive += labels[i];
  }
  Scratch scratch;
  std::vector<float> out(2);
  program.apply_row(std::vector<expr::Datum>{{}, {}, expr::Datum::string("ATL")}, out, scratch);
  EXPECT_FLOAT_EQ(out[0], static_cast<float>((atl_positive + 2 * positive / n) / (atl + 2)));
  EXPECT_FLOAT_EQ(out[1], static_cast<float>(atl / n));
  program.apply_row(std::vector<expr::Datum>{{}, {}, expr::Datum::string("never")}, out, scratch);
  EXPECT_FLOAT_EQ(out[0], static_cast<float>(positive / n));
  EXPECT_EQ(out[1], 0.0F);
  program.apply_row(std::vector<expr::Datum>{{}, {}, {}}, out, scratch);
  EXPECT_TRUE(std::isnan(out[0]));
  // Cross-fitted: row 0 is an ATL row of the first fold, so it sees the four others only.
  const double prior = (positive - first_positive) / 240;
  EXPECT_FLOAT_EQ(fit.train.values[0], static_cast<float>((atl_positive - first_atl_positive + 2 * prior) / (atl - first_atl + 2)));
  EXPECT_EQ(fit.fold_ends, (std::vector<std::int64_t>{60, 120, 180, 240, 300}));
}

TEST(Feature, SaysWhatIsWrong) {
  const auto error = [](std::vector<spec::Feature> features) { return Program::compile(set(std::move(features)), fields()).error(); };
  const auto cycle = error({expression("a", "b + 1"), expression("b", "c"), expression("c", "a * 2")});
  EXPECT_EQ(cycle.id, "feature-cycle");
  EXPECT_NE(cycle.message.find("`a` -> `b` -> `c` -> `a`"), std::string::npos) << cycle.message;
  EXPECT_EQ(error({expression("a", "a + 1")}).id, "feature-cycle");
  EXPECT_EQ(error({expression("a", "delay > 15")}).id, "feature-reads-label");
  EXPECT_EQ(error({encoding("a", spec::Feature::Kind::kTargetEncoding, {"delay"})}).id, "feature-reads-label");
  EXPECT_EQ(error({expression("a", "distanse * 2")}).hint, "did you mean `distance`?");
  EXPECT_EQ(error({encoding("a", spec::Feature::Kind::kTargetEncoding, {"orgin"})}).hint, "did you mean `origin`?");
  EXPECT_EQ(error({expression("a", "origin")}).id, "feature-type");
  EXPECT_EQ(error({encoding("a", spec::Feature::Kind::kTargetEncoding, {"origin"}), encoding("b", spec::Feature::Kind::kTargetEncoding, {"a"})}).id,
            "feature-nested-encoder");
  EXPECT_EQ(error({expression("a", "1"), expression("a", "2")}).id, "feature-name-taken");
  EXPECT_EQ(error({expression("a", "origin", true)}).id, "feature-none");
}

TEST(Feature, RefusesToFitOnNothing) {
  std::vector<std::uint8_t> labels;
  const auto table = rows(40, labels);
  auto program = *Program::compile(set(all_features()), fields());
  EXPECT_EQ(program.fit(table.slice(0, 0), {}).error().id, "feature-fit-empty");
  EXPECT_EQ(program.fit(table, std::vector<std::uint8_t>(40, 1)).error().id, "target-constant");
  table::Column text{"distance", Type::kString};
  text.codes.assign(40, 0);
  text.dictionary = std::make_shared<const table::Dictionary>(std::vector<std::string>{"far"});
  EXPECT_EQ(program.fit(*table.with_column(text), labels).error().id, "feature-column-type");
}

TEST(Feature, MalformedProgramsAreCorrupt) {
  std::vector<std::uint8_t> labels;
  const auto table = rows(60, labels);
  auto program = *Program::compile(set(all_features()), fields());
  ASSERT_TRUE(program.fit(table, labels).ok());
  const auto text = doc::to_json(program.to_value());
  for (std::size_t at = 0; at < text.size(); at += 13) {  // one character gone: no parse, no program, or an equal one; never a crash
    auto broken = text;
    broken.erase(at, 1);
    if (const auto value = doc::parse_json(broken); value.ok()) (void)Program::from_value(*value).ok();
  }
  auto value = program.to_value();
  value.set("format", "heddle.features/2");
  EXPECT_EQ(Program::from_value(value).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace heddle::feature
