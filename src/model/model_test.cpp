#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <span>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <xgboost/c_api.h>

#include "model/scorer.hpp"
#include "model/standardised.hpp"

namespace heddle::model {
namespace {

constexpr float kNoValue = std::numeric_limits<float>::quiet_NaN();
using Parameters = std::vector<std::pair<std::string, std::string>>;

struct Data {
  int columns = 0;
  std::vector<float> rows;
  std::vector<float> labels;
  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
};

Data random_data(std::uint64_t seed, std::int64_t count, int columns, double missing,
                 int classes = 2) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<double> uniform;
  Data data;
  data.columns = columns;
  for (std::int64_t i = 0; i < count; ++i) {
    float score = 0;
    for (int c = 0; c < columns; ++c) {
      float value = c % 3 == 2 ? std::round(normal(random) * 3)
                               : normal(random);  // ties sit exactly on split points
      score += (c % 2 == 0 ? 1.0F : -0.7F) * value;
      if (uniform(random) < missing) value = kNoValue;
      data.rows.push_back(value);
    }
    const float label = score + 2 * normal(random) > 0 ? 1 : 0;
    data.labels.push_back(classes > 2 ? static_cast<float>(i % classes) : label);
  }
  return data;
}

void check(int rc) { ASSERT_EQ(rc, 0) << XGBGetLastError(); }

/// XGBoost's own model bytes and, for `score`, its own margins.
struct Peer {
  BoosterHandle booster = nullptr;
  bool categorical = false;  ///< columns 2, 5, ... hold categories
  explicit Peer(const Data& data, const Parameters& parameters, int rounds, bool categories = false)
      : categorical(categories) {
    DMatrixHandle matrix = nullptr;
    check(XGDMatrixCreateFromMat(data.rows.data(), static_cast<bst_ulong>(data.count()),
                                 static_cast<bst_ulong>(data.columns), kNoValue, &matrix));
    check(XGDMatrixSetFloatInfo(matrix, "label", data.labels.data(),
                                static_cast<bst_ulong>(data.count())));
    set_types(matrix, data.columns);
    check(XGBoosterCreate(&matrix, 1, &booster));
    check(XGBoosterSetParam(booster, "verbosity", "0"));
    check(XGBoosterSetParam(booster, "nthread", "1"));
    for (const auto& [name, value] : parameters)
      check(XGBoosterSetParam(booster, name.c_str(), value.c_str()));
    for (int i = 0; i < rounds; ++i) check(XGBoosterUpdateOneIter(booster, i, matrix));
    XGDMatrixFree(matrix);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() { XGBoosterFree(booster); }
  void set_types(DMatrixHandle matrix, int columns) const {
    if (!categorical) return;
    std::vector<const char*> types;
    for (int c = 0; c < columns; ++c) types.push_back(c % 3 == 2 ? "c" : "q");
    check(XGDMatrixSetStrFeatureInfo(matrix, "feature_type", types.data(), types.size()));
  }
  std::string bytes(const char* form) const {
    bst_ulong size = 0;
    const char* bytes = nullptr;
    check(XGBoosterSaveModelToBuffer(booster, fmt::format(R"({{"format": "{}"}})", form).c_str(),
                                     &size, &bytes));
    return {bytes, size};
  }
  std::string json() const { return bytes("json"); }
  /// `type` of XGBoosterPredictFromDMatrix: 1 margins, 2 contributions.
  std::vector<float> predict(const Data& data, int type) const {
    DMatrixHandle matrix = nullptr;
    check(XGDMatrixCreateFromMat(data.rows.data(), static_cast<bst_ulong>(data.count()),
                                 static_cast<bst_ulong>(data.columns), kNoValue, &matrix));
    set_types(matrix, data.columns);
    const bst_ulong* shape = nullptr;
    bst_ulong dimensions = 0;
    const float* result = nullptr;
    check(XGBoosterPredictFromDMatrix(
        booster, matrix,
        fmt::format(R"({{"type": {}, "training": false, "iteration_begin": 0, "iteration_end": 0, )"
                    R"("strict_shape": false}})",
                    type)
            .c_str(),
        &shape, &dimensions, &result));
    bst_ulong count = 1;
    for (bst_ulong d = 0; d < dimensions; ++d) count *= shape[d];
    std::vector<float> out(result, result + count);
    XGDMatrixFree(matrix);
    return out;
  }
  std::vector<float> margins(const Data& data) const { return predict(data, 1); }
};

void expect_bit_equal(const std::vector<float>& ours, const std::vector<float>& theirs) {
  ASSERT_EQ(ours.size(), theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(ours[i]), std::bit_cast<std::uint32_t>(theirs[i]))
        << "row " << i;
  }
}

TEST(Forest, MarginsAreBitEqualToXgboost) {
  const std::vector<std::pair<Parameters, int>> cases = {
      {{{"objective", "binary:logistic"}, {"max_depth", "6"}}, 60},
      {{{"objective", "binary:logistic"}, {"max_depth", "1"}, {"tree_method", "exact"}}, 7},
      {{{"objective", "binary:logistic"},
        {"max_depth", "12"},
        {"tree_method", "hist"},
        {"base_score", "0.21"}},
       33},
      {{{"objective", "binary:logistic"},
        {"max_depth", "0"},
        {"max_leaves", "40"},
        {"grow_policy", "lossguide"},
        {"tree_method", "hist"}},
       25},
      {{{"objective", "reg:squarederror"}, {"base_score", "-3.25"}, {"eta", "0.07"}}, 40},
      {{{"objective", "binary:logitraw"},
        {"base_score", "0.9"},
        {"gamma", "2"},
        {"tree_method", "hist"}},
       12},
      {{{"objective", "binary:logistic"},
        {"num_parallel_tree", "3"},
        {"subsample", "0.7"},
        {"seed", "5"}},
       9},
      {{{"objective", "binary:logistic"}, {"gamma", "100000"}}, 3},  // every tree a single leaf
  };
  std::uint64_t seed = 20260101;
  for (const auto& [parameters, rounds] : cases) {
    for (const double missing : {0.0, 0.15}) {
      SCOPED_TRACE(fmt::format("seed {}, {} = {}, missing {}", seed, parameters.back().first,
                               parameters.back().second, missing));
      const Peer peer(random_data(seed, 3000, 9, missing), parameters, rounds);
      const Data fresh =
          random_data(++seed, 1003, 9,
                      0.2);  // missing also where training saw none; not a multiple of the lanes
      const auto loaded = Scorer::load(peer.json());
      ASSERT_TRUE(loaded.ok()) << loaded.error().str();
      const Scorer& scorer = **loaded;
      EXPECT_EQ(scorer.features(), 9);
      EXPECT_EQ(scorer.format(), "xgboost");
      const std::vector<float> theirs = peer.margins(fresh);
      std::vector<float> ours(theirs.size());
      scorer.margins(fresh.rows.data(), fresh.count(), ours.data());
      expect_bit_equal(ours, theirs);
      for (std::int64_t i = 0; i < fresh.count(); ++i)
        scorer.margins(fresh.rows.data() + i * 9, 1, &ours[static_cast<std::size_t>(i)]);
      expect_bit_equal(ours, theirs);
    }
  }
}

TEST(Forest, InfiniteInputsGoWhereXgboostSendsThem) {
  const Peer peer(random_data(3, 2000, 4, 0.1), {{"objective", "binary:logistic"}}, 20);
  const auto scorer = Scorer::load(peer.json());
  ASSERT_TRUE(scorer.ok());
  constexpr float kInf = std::numeric_limits<float>::infinity();
  // XGBoost refuses an infinite input, so the peer gets the largest float: no split lies beyond it.
  const std::vector<float> ours_rows = {kInf, 0, -kInf, 1, -kInf, -kInf, kInf, kInf};
  Data theirs_rows{4, ours_rows, {0, 0}};
  for (float& value : theirs_rows.rows)
    value = std::isinf(value) ? std::copysign(std::numeric_limits<float>::max(), value) : value;
  std::vector<float> ours(2);
  (*scorer)->margins(ours_rows.data(), 2, ours.data());
  expect_bit_equal(ours, peer.margins(theirs_rows));
}

TEST(Forest, EveryFormOfAnXgboostModelScoresTheSame) {
  struct Case {
    Parameters parameters;
    int classes = 2;
    bool categories = false;
  };
  const std::vector<Case> cases = {
      {{{"objective", "binary:logistic"}, {"max_depth", "5"}}},
      {{{"objective", "multi:softprob"}, {"num_class", "4"}, {"max_depth", "4"}}, 4},
      {{{"objective", "multi:softmax"},
        {"num_class", "3"},
        {"num_parallel_tree", "2"},
        {"subsample", "0.7"},
        {"base_score", "0.2"}},
       3},
      {{{"objective", "binary:logistic"},
        {"booster", "dart"},
        {"rate_drop", "0.3"},
        {"one_drop", "1"},
        {"base_score", "0.3"}}},
      {{{"objective", "binary:logistic"}, {"tree_method", "hist"}, {"max_cat_to_onehot", "1"}},
       2,
       true},
      {{{"objective", "binary:logistic"},
        {"tree_method", "hist"},
        {"max_cat_to_onehot", "100"},
        {"max_depth", "10"}},
       2,
       true},
      {{{"objective", "count:poisson"}}},
      {{{"objective", "rank:pairwise"}}},
      {{{"objective", "reg:gamma"}, {"base_score", "1.7"}}, 5},
  };
  std::uint64_t seed = 40;
  for (const auto& [parameters, classes, categories] : cases) {
    SCOPED_TRACE(fmt::format("seed {}, {}, {} = {}", seed, parameters[0].second,
                             parameters.back().first, parameters.back().second));
    const auto make = [&](std::int64_t count, double missing) {
      Data data = random_data(seed++, count, 7, missing, classes);
      if (parameters[0].second == "reg:gamma") {
        for (float& label : data.labels) label += 1;
      }
      for (std::size_t i = 0; categories && i < data.rows.size(); ++i) {
        if (i % 7 % 3 == 2) data.rows[i] = std::abs(data.rows[i]);
      }
      return data;
    };
    const Peer peer(make(1500, 0.1), parameters, 12, categories);
    Data fresh = make(333, 0.2);
    if (categories) {
      const float odd[] = {40, 1000, 3.5F, 16777215,
                           0.25F};  // never seen, or no integer; XGBoost refuses those below 0
      for (std::size_t r = 0; r < 5; ++r) fresh.rows[r * 7 + 2] = odd[r];
    }
    const std::vector<float> theirs = peer.margins(fresh);
    const std::vector<float> explained = peer.predict(fresh, 2);
    for (const char* form : {"json", "ubj"}) {
      for (const Layout layout :
           {Layout::kMeasured, Layout::kInterleaved, Layout::kPerfect, Layout::kLanes}) {
        SCOPED_TRACE(fmt::format("{}, layout {}", form, static_cast<int>(layout)));
        const auto loaded = Scorer::load(peer.bytes(form), {layout});
        ASSERT_TRUE(loaded.ok()) << loaded.error().str();
        const Scorer& scorer = **loaded;
        ASSERT_EQ(scorer.outputs(),
                  classes > 2 && parameters[0].second.starts_with("multi") ? classes : 1);
        ASSERT_EQ(theirs.size(), static_cast<std::size_t>(fresh.count() * scorer.outputs()));
        std::vector<float> ours(theirs.size());
        scorer.margins(fresh.rows.data(), fresh.count(), ours.data());
        expect_bit_equal(ours, theirs);
      }
    }
    // Contributions: the same numbers, to the bit.
    const auto scorer = Scorer::load(peer.json());
    ASSERT_TRUE(scorer.ok());
    const auto width = static_cast<std::size_t>((*scorer)->outputs()) * 8;
    std::vector<double> one(width);
    ASSERT_EQ(explained.size(), width * static_cast<std::size_t>(fresh.count()));
    for (std::size_t r = 0; r < 60; ++r) {
      const auto done =
          (*scorer)->contributions(std::span<const float>(fresh.rows).subspan(r * 7, 7), one);
      ASSERT_TRUE(done.ok()) << done.error().str();
      for (std::size_t i = 0; i < width; ++i)
        ASSERT_EQ(one[i], static_cast<double>(explained[r * width + i]))
            << "row " << r << ", number " << i;
    }
  }
}

TEST(Forest, RefusesWhatItDoesNotScore) {
  const Data two = random_data(5, 300, 3, 0);
  const std::vector<std::string> models = {
      Peer(two, {{"objective", "binary:logistic"}, {"booster", "gblinear"}}, 2).json(),
      Peer(two, {{"objective", "binary:logistic"}, {"booster", "gblinear"}}, 2).bytes("ubj"),
      Peer(two, {{"objective", "binary:hinge"}}, 2).json(),
  };
  for (const auto& bytes : models) {
    const auto loaded = Scorer::load(bytes);
    ASSERT_FALSE(loaded.ok()) << bytes.substr(0, 200);
    EXPECT_EQ(loaded.error().kind, ErrorKind::kInvalid) << loaded.error().str();
    EXPECT_EQ(loaded.error().id, "model-unsupported");
  }
}

std::string replace(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// A stump written by hand: the smallest model there is, and the base of what can be wrong with
/// one.
const std::string kStump =
    R"({"learner":{"attributes":{},"gradient_booster":{"model":{"gbtree_model_param":)"
    R"({"num_trees":"1"},"tree_info":[0],)"
    R"("trees":[{"default_left":[1,0,0],"left_children":[1,-1,-1],"right_children":[2,-1,-1],)"
    R"("split_conditions":[5E-1,-2.5E-1,7.5E-1],)"
    R"("split_indices":[1,0,0],"split_type":[0,0,0],"categories_nodes":[]}]},"name":"gbtree"},)"
    R"("learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"2"},)"
    R"("objective":{"name":"binary:logistic"}},"version":[1,7,4]})";

TEST(Forest, ScoresAStump) {
  const auto scorer = Scorer::load(kStump);
  ASSERT_TRUE(scorer.ok()) << scorer.error().str();
  const std::vector<float> rows = {0, 0.4F, 0, 0.5F, 0, kNoValue};
  std::vector<float> out(3);
  (*scorer)->margins(rows.data(), 3, out.data());
  EXPECT_EQ(out, (std::vector<float>{-0.25F, 0.75F, -0.25F}));
}

TEST(Forest, CorruptBytesAreNamed) {
  const std::vector<std::pair<std::string_view, std::string_view>> changes = {
      {R"("left_children":[1,)", R"("left_children":[0,)"},  // a cycle
      {R"("left_children":[1,)", R"("left_children":[2,)"},  // one child twice
      {R"("left_children":[1,)", R"("left_children":[3,)"},  // out of range
      {R"("left_children":[1,)", R"("left_children":[-7,)"},
      {R"("left_children":[1,)", R"("left_children":[-1,)"},  // half a leaf
      {R"("left_children":[1,)", R"("left_children":[99999999999999999999,)"},
      {R"("split_indices":[1,)", R"("split_indices":[2,)"},  // no such feature
      {R"("split_indices":[1,)", R"("split_indices":[-1,)"},
      {R"("default_left":[1,)", R"("default_left":[)"},  // one too few
      {R"([5E-1,-2.5)", R"(["x",-2.5)"},
      {R"([5E-1,-2.5)", R"([1E99,-2.5)"},
      {R"([5E-1,-2.5)", R"([[5],-2.5)"},
      {R"("base_score":"5E-1")", R"("base_score":"2")"},
      {R"("base_score":"5E-1")", R"("base_score":"x")"},
      {R"("num_feature":"2")", R"("num_feature":"-2")"},
      {R"("num_feature":"2")", R"("num_feature":2)"},
      {R"("name":"gbtree")", R"("name":7)"},
      {R"("trees":)", R"("treez":)"},
      {R"("learner":)", R"("lerner":)"},
      {R"("trees":[{)", R"("trees":[7,{)"},
  };
  for (const auto& [from, to] : changes) {
    const auto loaded = Scorer::load(replace(kStump, from, to));
    ASSERT_FALSE(loaded.ok()) << from << " -> " << to;
    EXPECT_TRUE(loaded.error().kind == ErrorKind::kCorrupt || to == R"("num_feature":"-2")")
        << loaded.error().str();
  }
  for (const std::string_view text :
       {"{}", "[]", "null", "{\"learner\":", "tre", "x,y\n1,2\n", "{\"learner\":{}}"}) {
    const auto loaded = Scorer::load(text);
    ASSERT_FALSE(loaded.ok()) << text;
    EXPECT_EQ(loaded.error().kind, ErrorKind::kCorrupt);
  }
}

TEST(Forest, AFileThatIsNoModelIsNamed) {
  using namespace std::string_view_literals;
  const std::pair<std::string, std::string_view> files[] = {
      {"", "empty"},
      {"\n \n", "blank"},
      {"\x80\x04\x95\x1c\x01", "pickle"},
      {"\x80\x03}q\x00", "pickle"},
      {"ccopy_reg\n_reconstructor\n", "pickle"},
      {"x\x9cK\xcb", "joblib"},
      {"\x1f\x8b\x08", "gzip"},
      {"PK\x03\x04\x14", "zip"},
      {"BZh91AY", "bzip2"},
      {"\x28\xb5\x2f\xfd\x24", "Zstandard"},
      {std::string(257, 'm') + "ustar", "tar"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "LFS"},
      {"<!DOCTYPE html><html>", "web page"},
      {"<html><body>404", "web page"},
      {"<?xml version=\"1.0\"?><PMML>", "PMML"},
      {"binf\x00\x00\x00\x3f", "old binary"},
      {"booster[0]:\n0:[f0<0.5] yes=1,no=2,missing=1\n", "text dump"},
      {"0:[f0<0.5] yes=1,no=2,missing=1\n", "text dump"},
      {"[\n  { \"nodeid\": 0, \"depth\": 0", "JSON dump of XGBoost"},
      {R"({"name": "tree", "version": "v4", "num_class": 1, "max_feature_idx": 1)",
       "JSON dump of LightGBM"},
      {R"({"features_info":{"float_features":[]},"oblivious_trees":[]})", "CatBoost"},
      {"CBM1\x10\x00", "CatBoost"},
      {"\x89HDF\r\n", "HDF5"},
      {std::string("\x0c\0\0\0\0\0\0\0{\"a\":[1,2]}  ", 22), "safetensors"},
      {R"({"learner":{"gradient_booster":{"name":"gbtree"},)"
       R"("learner_train_param":{"booster":"gbtree"}},"version":[3,4,1]})",
       "save_config"},
      {std::string("{L\0\0\0\0\0\0\0\x06"
                   "Config{",
                   17),
       "serialize"},
      {"\xff\xfe{\0", "UTF-16"},
      {"\xef\xbb\xbf{\"learner\":{}}", "byte order mark"},
      {"PAR1\x15", "Parquet"},
      // The beginnings of what CatBoost 1.2.10 (`format=`), joblib, LightGBM 4.7.0, treelite 4.8.1
      // and MLflow write.
      {std::string("\x08\x01\x12\x03\x0a\x01x\xd2\x0d\0", 10), "Core ML"},
      {"#include <string>\n", "source code"},
      {"###  Model data\nclass catboost_model(object):\n", "source code"},
      {std::string("]\0\0\x80\0\xff", 6), "joblib"},
      {"______LightGBM_Binary_File_Token______\n", "data set of LightGBM"},
      {std::string("\4\0\0\0\x08\0\0\0\1\0\0\0", 12), "treelite"},
      {R"({"threshold_type": "float32", "num_feature": 4, "leaf_vector_shape": [1, 1]})",
       "treelite"},
      {"artifact_path: model\nflavors:\n", "MLmodel"},
      {"\n\n <html><body>", "web page"},
  };
  for (const auto& [bytes, is] : files) {
    const auto loaded = Scorer::load(bytes);
    ASSERT_FALSE(loaded.ok()) << is;
    EXPECT_EQ(loaded.error().id, "model-format") << is << ": " << loaded.error().str();
    EXPECT_NE(loaded.error().message.find(is), std::string::npos) << loaded.error().str();
    EXPECT_FALSE(loaded.error().hint.empty());
  }
}

TEST(Forest, AVersionNewerThanWeKnowIsNamed) {
  for (const std::string_view version : {"[3,5,0]", "[3,99,1]", "[4,0,0]"}) {
    const auto loaded = Scorer::load(replace(kStump, "[1,7,4]", version));
    ASSERT_FALSE(loaded.ok()) << version;
    EXPECT_EQ(loaded.error().id, "model-unsupported");
    EXPECT_NE(loaded.error().message.find("newer than 3.4"), std::string::npos)
        << loaded.error().str();
  }
  for (const std::string_view version : {"[3,4,7]", "[2,1,4]", "[1,6,0]"}) {
    const auto loaded = Scorer::load(replace(kStump, "[1,7,4]", version));
    EXPECT_TRUE(loaded.ok()) << loaded.error().str();
  }
}

/// XGBClassifier.predict stops at the best round, Booster.predict does not: neither is taken
/// silently.
TEST(Forest, ABestIterationBeforeTheLastIsAChoice) {
  const std::string best = R"("attributes":{"best_iteration":"0","best_score":"0.5"})";
  EXPECT_TRUE(Scorer::load(replace(kStump, R"("attributes":{})", best)).ok());
  const std::string tree = R"({"default_left":[1],"left_children":[-1],"right_children":[-1],)"
                           R"("split_conditions":[5E-1],"split_indices":[0]})";
  std::string longer = replace(kStump, R"("trees":[)", R"("trees":[)" + tree + ",");
  longer = replace(longer, R"("tree_info":[0])", R"("tree_info":[0,0])");
  ASSERT_TRUE(Scorer::load(longer).ok());
  const auto refused = Scorer::load(replace(longer, R"("attributes":{})", best));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().id, "model-unsupported");
  EXPECT_NE(refused.error().message.find("2 rounds"), std::string::npos) << refused.error().str();
  EXPECT_NE(refused.error().hint.find("booster[:1]"), std::string::npos);
  const std::string none = R"("attributes":{"best_iteration":"-1"})";  // XGBoost 1.7.6 of no rounds
  EXPECT_TRUE(Scorer::load(replace(kStump, R"("attributes":{})", none)).ok());
  // Two trees a round: the same trees are one round, and the best is the last.
  const std::string paired = replace(longer, R"("gbtree_model_param":{)",
                                     R"("gbtree_model_param":{"num_parallel_tree":"2",)");
  EXPECT_TRUE(Scorer::load(replace(paired, R"("attributes":{})", best)).ok());
}

/// What XGBClassifier.save_model of XGBoost 1.5.2 and 1.7.6 notes beside the trees, shortened.
TEST(Forest, TheNoteOfTheScikitLearnWrapperIsHonoured) {
  const auto noted = [](std::string_view note) {
    std::string escaped;
    for (const char c : note) escaped.append(c == '"' || c == '\\' ? "\\" : "").push_back(c);
    return Scorer::load(replace(kStump, R"("attributes":{})",
                                fmt::format(R"("attributes":{{"scikit_learn":"{}"}})", escaped)));
  };
  const auto plain = noted(R"({"missing": NaN, "gamma": -Infinity, "objective": "a \" NaN",)"
                           R"( "classes_": [0, 1], "_estimator_type": "classifier"})");
  ASSERT_TRUE(plain.ok()) << plain.error().str();
  EXPECT_EQ((*plain)->use().classes, (std::vector<std::string>{"0", "1"}));
  EXPECT_EQ((*noted(R"({"classes_": [0.0, 1.0]})"))->use().classes,
            (std::vector<std::string>{"0", "1"}));
  EXPECT_EQ((*noted(R"({"classes_": ["late", "on time"]})"))->use().classes,
            (std::vector<std::string>{"late", "on time"}));
  EXPECT_TRUE((*noted(R"({"_estimator_type": "classifier"})"))->use().classes.empty());
  EXPECT_TRUE(noted(R"({"missing": null})").ok());
  for (const std::string_view missing : {"-999", "0", "-1.5"}) {
    const auto refused = noted(fmt::format(R"({{"missing": {}}})", missing));
    ASSERT_FALSE(refused.ok()) << missing;
    EXPECT_EQ(refused.error().id, "model-unsupported");
    EXPECT_NE(refused.error().message.find(fmt::format("says that {} is a missing value", missing)),
              std::string::npos)
        << refused.error().str();
  }
  EXPECT_EQ(noted("{").error().id, "model-corrupt");
}

TEST(Forest, NothingStandsBehindTheEndOfAJsonModel) {
  const std::string model = kStump;
  EXPECT_TRUE(Scorer::load(model + "\n\n").ok());
  for (const std::string& more : {model, std::string("x"), std::string("{}")})
    EXPECT_EQ(Scorer::load(model + more).error().id, "model-corrupt") << more.substr(0, 9);
}

TEST(Forest, WhatAFileSaysOfItsUseIsKept) {
  const std::string named =
      replace(kStump, R"("attributes":{})", R"("attributes":{},"feature_names":["a","b"])");
  const auto scorer = Scorer::load(named);
  ASSERT_TRUE(scorer.ok()) << scorer.error().str();
  EXPECT_EQ((*scorer)->use().objective, "binary:logistic");
  EXPECT_EQ((*scorer)->use().written_by, "xgboost 1.7.4");
  EXPECT_TRUE((*scorer)->use().log_odds);
  EXPECT_EQ((*scorer)->use().feature_names, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE((*scorer)->use().named_categories);
  const std::string cats = R"("model":{"cats":{"enc":[{"offsets":[0,1],"values":[97]}]},)";
  const auto categories = Scorer::load(replace(kStump, R"("model":{)", cats));
  ASSERT_TRUE(categories.ok()) << categories.error().str();
  EXPECT_TRUE((*categories)->use().named_categories);
  for (const std::string_view other :
       {"reg:squarederror", "count:poisson", "rank:pairwise", "reg:tweedie"}) {
    const auto loaded = Scorer::load(replace(kStump, "binary:logistic", other));
    ASSERT_TRUE(loaded.ok()) << loaded.error().str();
    EXPECT_FALSE((*loaded)->use().log_odds) << other;
  }
}

TEST(Forest, NoChangedByteCrashesTheLoaderOrTheEngine) {
  const std::string bytes =
      Peer(random_data(6, 500, 5, 0.1), {{"objective", "binary:logistic"}, {"max_depth", "3"}}, 3)
          .json();
  const Data data = random_data(7, 40, 5, 0.1);
  std::mt19937_64 random(8);
  int accepted = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string changed = bytes;
    const int count = 1 + static_cast<int>(random() % 3);
    for (int k = 0; k < count; ++k)
      changed[random() % changed.size()] = "0123456789-,[]{}\"eE.:x"[random() % 22];
    if (random() % 8 == 0) changed.resize(random() % changed.size());
    const auto loaded = Scorer::load(changed);
    if (!loaded.ok() || (*loaded)->features() != 5) continue;
    ++accepted;
    std::vector<float> out(static_cast<std::size_t>(data.count()));
    (*loaded)->margins(data.rows.data(), data.count(), out.data());
  }
  EXPECT_GT(accepted, 0);  // a changed weight is a model still: its digest tells, not its form
}

TEST(Forest, LoadsMegabytesFast) {
  const std::string bytes =
      Peer(random_data(9, 12000, 12, 0.1),
           {{"objective", "binary:logistic"}, {"max_depth", "9"}, {"tree_method", "hist"}}, 220)
          .json();
  ASSERT_GT(bytes.size(), std::size_t{2'000'000});
  double quickest_ms = 1e9;  // the least is what a load takes; the rest is who else runs
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto loaded = Scorer::load(bytes);
    quickest_ms =
        std::min(quickest_ms,
                 std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                     .count());
    ASSERT_TRUE(loaded.ok());
  }
  RecordProperty("bytes", static_cast<int>(bytes.size()));
  RecordProperty("milliseconds", static_cast<int>(quickest_ms));
  EXPECT_LT(quickest_ms, 300) << bytes.size() << " bytes";
}

TEST(StandardisedLinear, ScoresWhatItsNumbersSay) {
  StandardisedLinear weights;
  weights.features = {"a", "b"};
  weights.mean = {1, 2};
  weights.scale = {2, 0.5};
  weights.missing = {1, 3};
  weights.weights = {0.5, -1};
  weights.intercepts = {0.125};
  const std::string bytes = to_json(weights);
  const auto scorer = Scorer::load(bytes);
  ASSERT_TRUE(scorer.ok()) << scorer.error().str();
  EXPECT_EQ((*scorer)->format(), "heddle.linear/1");
  EXPECT_EQ((*scorer)->features(), 2);
  const std::vector<float> rows = {3, 2, kNoValue, kNoValue};
  std::vector<float> out(2);
  (*scorer)->margins(rows.data(), 2, out.data());
  EXPECT_EQ(out, (std::vector<float>{0.625F, 0.125F - 2.0F}));
  EXPECT_EQ(to_json(weights), bytes);
  std::vector<double> contributions(3);
  ASSERT_TRUE((*scorer)->contributions(std::span(rows).first(2), contributions).ok());
  EXPECT_EQ(contributions, (std::vector<double>{0.5, 0, 0.125}));
  EXPECT_FALSE(
      (*scorer)->contributions(std::span(rows).first(2), std::span(contributions).first(2)).ok());
}

TEST(StandardisedLinear, HasAMarginOfEachOutput) {
  StandardisedLinear model;
  model.link = Link::kSoftmax;
  model.mean = {1, 2};
  model.scale = {2, 0.5};
  model.missing = {1, 3};
  model.weights = {0.5, -1, 1, 0, 0, 2};
  model.intercepts = {0.125, 0, -1};
  const auto scorer = Scorer::load(to_json(model));
  ASSERT_TRUE(scorer.ok()) << scorer.error().str();
  EXPECT_EQ((*scorer)->outputs(), 3);
  EXPECT_EQ((*scorer)->link(), Link::kSoftmax);
  const std::vector<float> rows = {3, 2, kNoValue, kNoValue};
  std::vector<float> out(6);
  (*scorer)->margins(rows.data(), 2, out.data());
  EXPECT_EQ(out, (std::vector<float>{0.625F, 1, -1, 0.125F - 2, 0, 3}));
  std::vector<double> contributions(9);
  ASSERT_TRUE((*scorer)->contributions(std::span(rows).first(2), contributions).ok());
  EXPECT_EQ(contributions, (std::vector<double>{0.5, 0, 0.125, 1, 0, 0, 0, 0, -1}));
}

TEST(StandardisedLinear, CorruptBytesAreNamed) {
  const std::string good =
      R"({"format":"heddle.linear/1","link":"logistic","features":[],"mean":[0.0],)"
      R"("scale":[1.0],"missing":[0.0],"weights":[1.0],"intercepts":[0.0]})";
  ASSERT_TRUE(Scorer::load(good).ok());
  for (const auto& [from, to] : std::vector<std::pair<std::string_view, std::string_view>>{
           {R"("scale":[1.0])", R"("scale":[0.0])"},
           {R"("scale":[1.0])", R"("scale":[1.0,2.0])"},
           {R"("scale":[1.0])", R"("scale":[null])"},
           {R"("weights":[1.0])", R"("weights":"x")"},
           {R"("intercepts":[0.0])", R"("intercepts":[null])"},
           {R"("intercepts":[0.0])", R"("intercepts":[0.0,0.0])"},
           {R"("link":"logistic")", R"("link":"softmax")"},
           {R"("link":"logistic")", R"("link":"probit")"},
           {"]}", "]"},
           {"[0.0]}", "[0.0]"}}) {
    if (good.find(from) == std::string::npos) continue;
    const auto loaded = Scorer::load(replace(good, from, to));
    ASSERT_FALSE(loaded.ok()) << to;
    EXPECT_EQ(loaded.error().kind, ErrorKind::kCorrupt);
  }
}

}  // namespace
}  // namespace heddle::model
