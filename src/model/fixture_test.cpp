// Models that other programs trained, with what those programs answered: src/model/testdata/make_fixtures.py.
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "doc/json.hpp"
#include "model/scorer.hpp"

namespace heddle::model {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

double number(const doc::Value& value) {
  if (value.is_number()) return value.as_double();
  if (value.is_string()) return value.as_string() == "inf" ? std::numeric_limits<double>::infinity() : -std::numeric_limits<double>::infinity();
  return kNan;
}

struct Fixture {
  std::string name, model, library;
  int features = 0, outputs = 0;
  std::vector<float> rows;
  std::vector<double> margins;
  std::vector<std::vector<double>> contributions;
};

std::vector<Fixture> fixtures() {
  std::vector<Fixture> out;
  for (const auto& entry : std::filesystem::directory_iterator("src/model/testdata")) {
    const std::string file = entry.path().filename();
    if (!file.ends_with(".expect.json")) continue;
    const auto parsed = doc::parse_json(read(entry.path()));
    EXPECT_TRUE(parsed.ok()) << file;
    if (!parsed.ok()) continue;
    const doc::Value& root = *parsed;
    Fixture fixture;
    fixture.name = file.substr(0, file.size() - 12);
    fixture.library = root.string_or("library");
    fixture.model = read(entry.path().parent_path() / std::string(root.string_or("model")));
    fixture.features = static_cast<int>(root.find("features")->as_int());
    fixture.outputs = static_cast<int>(root.find("outputs")->as_int());
    for (const auto& row : root.find("rows")->as_array()) {
      for (const auto& cell : row.as_array()) fixture.rows.push_back(static_cast<float>(number(cell)));
    }
    for (const auto& margin : root.find("margins")->as_array()) fixture.margins.push_back(number(margin));
    if (const auto* lines = root.find("contributions")) {
      for (const auto& line : lines->as_array()) {
        for (auto& numbers = fixture.contributions.emplace_back(); const auto& cell : line.as_array()) numbers.push_back(number(cell));
      }
    }
    out.push_back(std::move(fixture));
  }
  std::sort(out.begin(), out.end(), [](const Fixture& a, const Fixture& b) { return a.name < b.name; });
  return out;
}

/// What may differ: nothing for trees of XGBoost and LightGBM; ONNX Runtime does not say in which order it multiplies a linear model.
double tolerance(const Fixture& fixture, double expected) {
  if (fixture.name.starts_with("onnx_log") || fixture.name == "onnx_linear") return 1e-5 * std::max(1.0, std::abs(expected));
  return 0;
}

TEST(Fixtures, MarginsAreTheLibrarys) {
  const auto all = fixtures();
  ASSERT_GE(all.size(), std::size_t{28});
  for (const auto& fixture : all) {
    for (const Layout layout : {Layout::kMeasured, Layout::kInterleaved, Layout::kPerfect, Layout::kLanes}) {
      SCOPED_TRACE(fmt::format("{} of {}, layout {}", fixture.name, fixture.library, static_cast<int>(layout)));
      const auto loaded = Scorer::load(fixture.model, {layout});
      ASSERT_TRUE(loaded.ok()) << loaded.error().str();
      const Scorer& scorer = **loaded;
      ASSERT_EQ(scorer.features(), fixture.features);
      ASSERT_EQ(scorer.outputs(), fixture.outputs);
      EXPECT_TRUE(fixture.name.starts_with(scorer.format())) << scorer.format();
      const auto n = static_cast<std::int64_t>(fixture.margins.size()) / fixture.outputs;
      std::vector<double> ours(fixture.margins.size());
      std::vector<float> rounded(fixture.margins.size());
      scorer.margins(fixture.rows.data(), n, ours.data());
      scorer.margins(fixture.rows.data(), n, rounded.data());
      int differ = 0;
      for (std::size_t i = 0; i < ours.size(); ++i) {
        if (!(std::abs(ours[i] - fixture.margins[i]) <= tolerance(fixture, fixture.margins[i])) && ++differ <= 3) {
          ADD_FAILURE() << "margin " << i << ": " << fmt::format("{} and {}", ours[i], fixture.margins[i]);
        }
        EXPECT_EQ(rounded[i], static_cast<float>(ours[i]));
      }
      EXPECT_EQ(differ, 0);
      std::vector<double> one(static_cast<std::size_t>(fixture.outputs));
      for (std::int64_t r = 0; r < n; ++r) {
        scorer.margins(fixture.rows.data() + r * fixture.features, 1, one.data());
        for (std::size_t k = 0; k < one.size(); ++k) EXPECT_EQ(one[k], ours[static_cast<std::size_t>(r) * one.size() + k]);
      }
    }
  }
}

TEST(Fixtures, ContributionsAreTheLibrarys) {
  int compared = 0;
  for (const auto& fixture : fixtures()) {
    SCOPED_TRACE(fmt::format("{} of {}", fixture.name, fixture.library));
    const auto loaded = Scorer::load(fixture.model);
    ASSERT_TRUE(loaded.ok()) << loaded.error().str();
    std::vector<double> ours(static_cast<std::size_t>(fixture.outputs * (fixture.features + 1)));
    const auto row = [&](std::size_t r) {
      return std::span<const float>(fixture.rows).subspan(r * static_cast<std::size_t>(fixture.features), static_cast<std::size_t>(fixture.features));
    };
    if (fixture.contributions.empty()) {
      const auto refused = (*loaded)->contributions(row(0), ours);
      ASSERT_FALSE(refused.ok());
      EXPECT_EQ(refused.error().id, "model-no-contributions");
      continue;
    }
    int differ = 0;
    for (std::size_t r = 0; r < fixture.contributions.size(); ++r) {
      const auto explained = (*loaded)->contributions(row(r), ours);
      ASSERT_TRUE(explained.ok()) << explained.error().str();
      ASSERT_EQ(ours.size(), fixture.contributions[r].size());
      for (std::size_t i = 0; i < ours.size(); ++i) {
        ++compared;
        if (ours[i] != fixture.contributions[r][i] && ++differ <= 3) {
          ADD_FAILURE() << "row " << r << ", number " << i << ": " << fmt::format("{} and {}", ours[i], fixture.contributions[r][i]);
        }
      }
    }
    EXPECT_EQ(differ, 0);
    EXPECT_FALSE((*loaded)->contributions(row(0), std::span<double>(ours).first(1)).ok());
  }
  EXPECT_GT(compared, 500);
}

TEST(Fixtures, EveryCutOffModelIsRefused) {
  for (const auto& fixture : fixtures()) {
    SCOPED_TRACE(fixture.name);
    // A LightGBM model may lose what follows `end of trees`, which is not read; an ONNX one ends with fields that are not, too.
    const std::size_t end = fixture.name.starts_with("lightgbm") ? fixture.model.find("end of trees") : fixture.model.size() * 3 / 4;
    for (std::size_t size = 0; size < end; size += std::max<std::size_t>(1, end / 150)) {
      const auto loaded = Scorer::load(std::string_view(fixture.model).substr(0, size), {Layout::kInterleaved});
      ASSERT_FALSE(loaded.ok()) << size;
      EXPECT_EQ(loaded.error().kind, ErrorKind::kCorrupt) << size << ": " << loaded.error().str();
    }
  }
}

}  // namespace
}  // namespace heddle::model
