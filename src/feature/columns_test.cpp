// A program over columns gives the bits that it gives row by row, on seeded random and extreme
// values, in as many threads as one likes.
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/clock.hpp"
#include "feature/program.hpp"
#include "table/lookup.hpp"

namespace heddle::feature {
namespace {

using expr::Datum;
using expr::Type;
using spec::Feature;
using table::Column;
using table::Table;

constexpr Type kTypes[] = {Type::kBool,   Type::kInt,    Type::kDouble,
                           Type::kString, Type::kString, Type::kTimestamp};
constexpr const char* kNames[] = {"flag", "count", "size", "origin", "code", "time"};

/// `code` has many texts, `origin` few; missing values in most columns.
Table table_of(std::mt19937_64& draw, std::int64_t rows) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  constexpr double kReals[] = {0.0, -0.0, 2.5, -7, 1e300, kInf, std::nan(""), 3};
  constexpr std::int64_t kInts[] = {0, 1, -3, 7, INT64_MAX, INT64_MIN};
  std::vector<Column> columns;
  for (std::size_t c = 0; c < std::size(kTypes); ++c) {
    Column out;
    out.name = kNames[c];
    out.type = kTypes[c];
    table::StringIndex texts;
    const std::uint64_t distinct = c == 4 ? 5000 : 6;
    const bool misses = draw() % 3 != 0;
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::uint64_t word = draw();
      switch (out.type) {
        case Type::kDouble: out.doubles.push_back(kReals[word % std::size(kReals)]); break;
        case Type::kString:
          out.codes.push_back(texts.insert(fmt::format("A{}", word % distinct)));
          break;
        case Type::kBool: out.ints.push_back(static_cast<std::int64_t>(word & 1)); break;
        case Type::kTimestamp: out.ints.push_back(static_cast<Micros>(word % 1000) * kHour); break;
        default: out.ints.push_back(kInts[word % std::size(kInts)]);
      }
      out.valid.push_back(misses && draw() % 7 == 0 ? 0 : 1);
    }
    if (!misses) out.valid.clear();
    if (texts.size() == 0) texts.insert("");
    if (out.type == Type::kString)
      out.dictionary = std::make_shared<const table::Dictionary>(texts.values());
    columns.push_back(std::move(out));
  }
  return Table::make(std::move(columns)).value();
}

Feature feature_of(const char* name, const char* text, bool hidden = false) {
  Feature out;
  out.name = name;
  out.expression.text = text;
  out.hidden = hidden;
  return out;
}

Feature encoding(const char* name, Feature::Kind kind, std::vector<std::string> inputs) {
  Feature out;
  out.name = name;
  out.kind = kind;
  out.inputs = std::move(inputs);
  out.smoothing = 3;
  return out;
}

/// Expressions of every type, over fields and over each other, and encoders over both.
Program program_of() {
  spec::FeatureSet set;
  set.identity.name = "all";
  set.folds = 3;
  constexpr auto kTarget = Feature::Kind::kTargetEncoding;
  constexpr auto kFrequency = Feature::Kind::kFrequencyEncoding;
  set.features = {
      feature_of("plus", "count + 1"),
      feature_of("ratio", "size / count"),
      feature_of("whole", "count"),
      feature_of("log", "log1p(size)"),
      feature_of("is_west", "origin == 'A1' || code == 'A7'"),
      feature_of("hour", "time.getHours()"),
      feature_of("late", "time + duration('5h')", true),
      feature_of("since", "time - late", true),
      feature_of("long_since", "since < duration('1h')"),
      feature_of("late_hour", "late.getHours() * 2"),
      feature_of("pair", "origin + '-' + lowerAscii(code)", true),
      feature_of("is_pair", "pair.contains('a1')"),
      feature_of("chosen", "flag ? size : 2"),
      encoding("by_origin", kTarget, {"origin"}),
      encoding("by_pair", kTarget, {"pair", "flag"}),
      encoding("by_size", kFrequency, {"size"}),
      encoding("by_hour", kFrequency, {"hour", "origin"}),
      feature_of("scaled", "by_origin * 100.0"),
  };
  std::vector<spec::Field> fields;
  for (std::size_t c = 0; c < std::size(kTypes); ++c) {
    fields.emplace_back();
    fields.back().name = kNames[c];
    fields.back().type = kTypes[c];
  }
  return Program::compile(set, fields).value();
}

void check_rows(const Program& program, const Table& rows) {
  const auto views = rows.views();
  std::vector<float> expected(program.feature_names().size());
  Program::Scratch scratch;
  const Matrix one = program.apply(rows).value();
  for (const unsigned threads : {2U, 3U}) {
    const Matrix other = program.apply(rows, threads).value();
    ASSERT_EQ(one.values.size(), other.values.size());
    for (std::size_t i = 0; i < one.values.size(); ++i)
      ASSERT_EQ(std::bit_cast<std::uint32_t>(one.values[i]),
                std::bit_cast<std::uint32_t>(other.values[i]));
  }
  std::vector<Datum> row(views.size());
  for (std::int64_t r = 0; r < rows.rows(); ++r) {
    for (std::size_t c = 0; c < views.size(); ++c) row[c] = views[c].at(r);
    program.apply_row(row, expected, scratch);
    for (std::size_t k = 0; k < expected.size(); ++k) {
      const float got = one.values[static_cast<std::size_t>(r) * expected.size() + k];
      ASSERT_EQ(std::bit_cast<std::uint32_t>(got), std::bit_cast<std::uint32_t>(expected[k]))
          << program.feature_names()[k] << " in row " << r << ": " << got << ", by row "
          << expected[k];
    }
  }
}

TEST(ApplyColumns, HaveTheBitsOfRows) {
  const char* given = std::getenv("HEDDLE_TEST_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20010412;
  fmt::print("seed {} (HEDDLE_TEST_SEED sets it)\n", seed);
  std::mt19937_64 draw(seed);
  Program program = program_of();
  check_rows(program, table_of(draw, 100));  // before it is fitted encoders are missing
  const Table training = table_of(draw, 3000);
  std::vector<double> labels;
  for (std::int64_t i = 0; i < training.rows(); ++i)
    labels.push_back(static_cast<double>(draw() % 2));
  ASSERT_TRUE(program.fit(training, labels).ok());
  for (const std::int64_t rows :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{2500}, std::int64_t{70'000}})
    check_rows(program, table_of(draw, rows));
}

}  // namespace
}  // namespace heddle::feature
