// Models that other programs trained, with what those programs answered:
// src/model/testdata/make_fixtures.py.
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <tuple>

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
  if (value.is_string())
    return value.as_string() == "inf" ? std::numeric_limits<double>::infinity()
                                      : -std::numeric_limits<double>::infinity();
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
      for (const auto& cell : row.as_array())
        fixture.rows.push_back(static_cast<float>(number(cell)));
    }
    for (const auto& margin : root.find("margins")->as_array())
      fixture.margins.push_back(number(margin));
    if (const auto* lines = root.find("contributions")) {
      for (const auto& line : lines->as_array()) {
        for (auto& numbers = fixture.contributions.emplace_back();
             const auto& cell : line.as_array())
          numbers.push_back(number(cell));
      }
    }
    out.push_back(std::move(fixture));
  }
  std::sort(out.begin(), out.end(),
            [](const Fixture& a, const Fixture& b) { return a.name < b.name; });
  return out;
}

/// What may differ: nothing for trees of XGBoost and LightGBM; ONNX Runtime does not say in which
/// order it multiplies a linear model.
double tolerance(const Fixture& fixture, double expected) {
  if (fixture.name.starts_with("onnx_log") || fixture.name == "onnx_linear")
    return 1e-5 * std::max(1.0, std::abs(expected));
  return 0;
}

TEST(Fixtures, MarginsAreTheLibrarys) {
  const auto all = fixtures();
  ASSERT_GE(all.size(), std::size_t{48});
  for (const auto& fixture : all) {
    for (const Layout layout :
         {Layout::kMeasured, Layout::kInterleaved, Layout::kPerfect, Layout::kLanes}) {
      SCOPED_TRACE(fmt::format("{} of {}, layout {}", fixture.name, fixture.library,
                               static_cast<int>(layout)));
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
        if (!(std::abs(ours[i] - fixture.margins[i]) <= tolerance(fixture, fixture.margins[i])) &&
            ++differ <= 3) {
          ADD_FAILURE() << "margin " << i << ": "
                        << fmt::format("{} and {}", ours[i], fixture.margins[i]);
        }
        EXPECT_EQ(rounded[i], static_cast<float>(ours[i]));
      }
      EXPECT_EQ(differ, 0);
      std::vector<double> one(static_cast<std::size_t>(fixture.outputs));
      for (std::int64_t r = 0; r < n; ++r) {
        scorer.margins(fixture.rows.data() + r * fixture.features, 1, one.data());
        for (std::size_t k = 0; k < one.size(); ++k)
          EXPECT_EQ(one[k], ours[static_cast<std::size_t>(r) * one.size() + k]);
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
      return std::span<const float>(fixture.rows)
          .subspan(r * static_cast<std::size_t>(fixture.features),
                   static_cast<std::size_t>(fixture.features));
    };
    if (fixture.contributions.empty()) {
      const auto refused = (*loaded)->contributions(row(0), ours);
      ASSERT_FALSE(refused.ok());
      EXPECT_EQ(refused.error().id, "model-no-contributions");
      continue;
    }
    // From 3.3 on XGBoost integrates over the weights (quadrature), so that only the last bits
    // differ.
    const bool quadrature =
        fixture.library.starts_with("xgboost 3.3") || fixture.library.starts_with("xgboost 3.4");
    const double rounding = quadrature ? 1e-6 : 0;
    int differ = 0;
    for (std::size_t r = 0; r < fixture.contributions.size(); ++r) {
      const auto explained = (*loaded)->contributions(row(r), ours);
      ASSERT_TRUE(explained.ok()) << explained.error().str();
      ASSERT_EQ(ours.size(), fixture.contributions[r].size());
      for (std::size_t i = 0; i < ours.size(); ++i) {
        ++compared;
        if (!(std::abs(ours[i] - fixture.contributions[r][i]) <= rounding) && ++differ <= 3) {
          ADD_FAILURE() << "row " << r << ", number " << i << ": "
                        << fmt::format("{} and {}", ours[i], fixture.contributions[r][i]);
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
    // A LightGBM model may lose what follows `end of trees`, which is not read; an ONNX one ends
    // with fields that are not, too.
    const std::size_t end = fixture.name.starts_with("lightgbm")
                                ? fixture.model.find("end of trees")
                                : fixture.model.size() * 3 / 4;
    for (std::size_t size = 1; size < end; size += std::max<std::size_t>(1, end / 150)) {
      const auto loaded =
          Scorer::load(std::string_view(fixture.model).substr(0, size), {Layout::kInterleaved});
      ASSERT_FALSE(loaded.ok()) << size;
      EXPECT_EQ(loaded.error().kind, ErrorKind::kCorrupt) << size << ": " << loaded.error().str();
    }
  }
}

/// What each version of XGBoost makes of a base score: a tree of one leaf for it, and the margin
/// that version gave (testdata/make_xgboost_versions.py).
TEST(Fixtures, BaseScoresAreTheWritingVersions) {
  const auto parsed = doc::parse_json(read("src/model/testdata/xgboost_base_scores.json"));
  ASSERT_TRUE(parsed.ok());
  int finite = 0;
  for (const auto& line : parsed->as_array()) {
    const auto& cells = line.as_array();
    const std::string objective = cells[1].as_string();
    const std::int64_t classes = cells[2].as_int();
    const std::string leaf = fmt::format("{}", static_cast<float>(cells[4].as_double()));
    const std::string tree =
        fmt::format(R"({{"default_left":[0],"left_children":[-1],"right_children":[-1],)"
                    R"("split_conditions":[{}],"split_indices":[0]}})",
                    leaf);
    std::string trees = tree;
    std::string info = "0";
    for (std::int64_t k = 1; k < classes; ++k) {
      trees += "," + tree;
      info += fmt::format(",{}", k);
    }
    for (const auto& version : cells[0].as_array()) {
      SCOPED_TRACE(fmt::format("xgboost {}, {}, base_score {}", version.as_string(), objective,
                               cells[3].as_string()));
      std::string numbers = version.as_string();
      std::replace(numbers.begin(), numbers.end(), '.', ',');
      const std::string model = fmt::format(
          R"({{"learner":{{"gradient_booster":{{"model":{{"tree_info":[{}],"trees":[{}]}},)"
          R"("name":"gbtree"}},)"
          R"("learner_model_param":{{"base_score":"{}","num_class":"{}","num_feature":"1"}},)"
          R"("objective":{{"name":"{}"}}}},"version":[{}]}})",
          info, trees, cells[3].as_string(), classes, objective, numbers);
      const auto loaded = Scorer::load(model, {Layout::kInterleaved});
      if (objective == "binary:hinge" ||
          cells[5].is_string()) {  // no link to a probability; no finite margin
        ASSERT_FALSE(loaded.ok());
        EXPECT_EQ(loaded.error().id, "model-unsupported") << loaded.error().str();
        continue;
      }
      ASSERT_TRUE(loaded.ok()) << loaded.error().str();
      std::vector<float> margins(static_cast<std::size_t>((*loaded)->outputs()));
      const float row = 0;
      (*loaded)->margins(&row, 1, margins.data());
      EXPECT_EQ(margins[0], static_cast<float>(cells[5].as_double()));
      ++finite;
    }
  }
  EXPECT_GT(finite, 500);
}

/// Of scikit-learn, LightGBM and XGBoost by skl2onnx 1.20.0 and onnxmltools 1.16.0: graphs that are
/// more than one model, or change its scores.
TEST(Fixtures, AnOnnxGraphThatIsNotScoredNamesItsNode) {
  const std::pair<std::string_view, std::string_view> files[] = {
      {"pipe_nozip", "`Scaler`"},
      {"gbexp_nozip", "`Mul`"},
      {"sgdlog_nozip", "`MatMul`"},
      {"lgbrf_nozip", "`ArrayFeatureExtractor`"},
      {"lgbr_split", "`TreeEnsembleRegressor`"},
      {"poisreg", "`MatMul`"},
      {"ada_nozip", "`TreeEnsembleClassifier`"},
      {"xgbpois", "`Mul`"},
  };
  for (const auto& [name, node] : files) {
    const auto loaded = Scorer::load(read(fmt::format("src/model/testdata/refused/{}.onnx", name)));
    ASSERT_FALSE(loaded.ok()) << name;
    EXPECT_EQ(loaded.error().id, "model-unsupported") << name << ": " << loaded.error().str();
    EXPECT_NE(loaded.error().message.find(node), std::string::npos)
        << name << ": " << loaded.error().str();
  }
}

/// Scores that are no log odds: an SVM's distance, a forest's own probabilities.
TEST(Fixtures, AClassifierWithoutLogOddsSaysSo) {
  for (const std::string_view name : {"svc", "ridgec", "rf_nozip"}) {
    const auto loaded = Scorer::load(read(fmt::format("src/model/testdata/refused/{}.onnx", name)));
    if (!loaded.ok()) {
      EXPECT_EQ(loaded.error().id, "model-unsupported") << name << ": " << loaded.error().str();
      continue;
    }
    EXPECT_FALSE((*loaded)->use().log_odds) << name;
    EXPECT_EQ((*loaded)->use().classes, (std::vector<std::string>{"0", "1"})) << name;
  }
}

TEST(Fixtures, LinksAreTheLibrarys) {
  const std::tuple<std::string_view, Link, bool> links[] = {
      {"lightgbm_nan.txt", Link::kLogistic, true},
      {"lightgbm_none.txt", Link::kIdentity, false},
      {"lightgbm_multi.txt", Link::kSoftmax, false},
      {"lightgbm_ova.txt", Link::kOneVsAll, false},
      {"lightgbm_tweedie.txt", Link::kExp, false},
      {"lightgbm_poisson.txt", Link::kExp, false},
      {"lightgbm_entropy.txt", Link::kLogistic, true},
      {"lightgbm_quantile.txt", Link::kIdentity, false},
      {"onnx_catboost.onnx", Link::kLogistic, true},
      {"onnx_catboost3.onnx", Link::kSoftmax, false},
      {"onnx_lightgbm_poisson.onnx", Link::kExp, false},
      {"onnx_lightgbm_plain.onnx", Link::kLogistic, true},
      {"onnx_shared.onnx", Link::kLogistic, true},
      {"onnx_leq_inf_0.onnx", Link::kIdentity, false},
      {"xgboost34_dart_json.json", Link::kLogistic, true},
      {"xgboost34_cox_json.json", Link::kExp, false},
      {"xgboost34_expectile_json.json", Link::kIdentity, false},
  };
  for (const auto& [name, link, log_odds] : links) {
    const auto loaded =
        Scorer::load(read(fmt::format("src/model/testdata/{}", name)), {Layout::kInterleaved});
    ASSERT_TRUE(loaded.ok()) << name << ": " << loaded.error().str();
    EXPECT_EQ((*loaded)->link(), link) << name;
    EXPECT_EQ((*loaded)->use().log_odds, log_odds) << name;
  }
}

/// What LightGBM 4.7.0 writes in the line `objective=` where its predictions are another function
/// of the margins.
TEST(Fixtures, LightgbmObjectivesThatAreNotScoredAreNamed) {
  const std::string model = read("src/model/testdata/lightgbm_none.txt");
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string out = model;
    const auto at = out.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return at == std::string::npos ? out : out.replace(at, from.size(), to);
  };
  for (const std::string_view objective :
       {"regression sqrt", "regression_l1 sqrt", "fair sqrt", "quantile sqrt", "mape sqrt",
        "huber sqrt", "binary sigmoid:2", "multiclassova num_class:3 sigmoid:0.5",
        "cross_entropy_lambda", "xentlambda", "lambdarank of_tomorrow:3"}) {
    const auto loaded =
        Scorer::load(with("objective=regression\n", fmt::format("objective={}\n", objective)));
    ASSERT_FALSE(loaded.ok()) << objective;
    EXPECT_EQ(loaded.error().id, "model-unsupported");
    EXPECT_NE(loaded.error().message.find(fmt::format("`{}`", objective)), std::string::npos)
        << loaded.error().str();
  }
  for (const std::string_view objective :
       {"regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank",
        "rank_xendcg", "binary sigmoid:1"}) {
    EXPECT_TRUE(
        Scorer::load(with("objective=regression\n", fmt::format("objective={}\n", objective))).ok())
        << objective;
  }
  const auto newer = Scorer::load(with("version=v4", "version=v5"));
  ASSERT_FALSE(newer.ok());
  EXPECT_EQ(newer.error().id, "model-unsupported");
  EXPECT_NE(newer.error().message.find("newer than 4"), std::string::npos) << newer.error().str();
  const auto linear = Scorer::load(with("is_linear=0", "is_linear=1"));
  ASSERT_FALSE(linear.ok());
  EXPECT_EQ(linear.error().id, "model-unsupported");
  // The data frame's categories, as the Python package notes them after everything else.
  EXPECT_FALSE((*Scorer::load(model + "\npandas_categorical:null\n"))->use().named_categories);
  EXPECT_TRUE(
      (*Scorer::load(model + "\npandas_categorical:[[\"a\", \"b\"]]\n"))->use().named_categories);
}

}  // namespace
}  // namespace heddle::model
