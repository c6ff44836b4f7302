// The tree engine against XGBoost's C API, one thread each, on the same model and rows: one row, and 10,000 rows. Prints a ratio
// for each and, when a path is given, writes bench/NAME.json's list there. The peer is its fastest call for the shape,
// XGBoosterPredictFromDense: no DMatrix is built, and no prediction cache can answer.
//   engine_bench [RESULT.json] [MODEL.json]

#include <xgboost/c_api.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "model/scorer.hpp"

namespace {

using heddle::model::Scorer;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr int kRuns = 7;

void check(int rc) {
  if (rc == 0) return;
  fmt::print(stderr, "engine_bench: XGBoost: {}\n", XGBGetLastError());
  std::exit(1);
}

std::vector<float> random_rows(std::mt19937_64& random, std::int64_t count, int columns) {
  std::normal_distribution<float> normal;
  std::vector<float> rows(static_cast<std::size_t>(count * columns));
  for (float& value : rows) value = random() % 50 == 0 ? kNan : normal(random);
  return rows;
}

/// 200 trees of depth 6 over 12 features, trained here by XGBoost.
std::string train_model() {
  constexpr int kColumns = 12;
  constexpr std::int64_t kRows = 50'000;
  std::mt19937_64 random(20260101);
  const std::vector<float> rows = random_rows(random, kRows, kColumns);
  std::vector<float> labels;
  std::normal_distribution<float> noise;
  for (std::int64_t i = 0; i < kRows; ++i) {
    float score = noise(random);
    for (int c = 0; c < kColumns; ++c) {
      const float value = rows[static_cast<std::size_t>(i * kColumns + c)];
      if (value == value) score += (c % 2 == 0 ? 0.5F : -0.4F) * value * (c > 8 ? value : 1);
    }
    labels.push_back(score > 0 ? 1.0F : 0.0F);
  }
  DMatrixHandle matrix = nullptr;
  check(XGDMatrixCreateFromMat(rows.data(), kRows, kColumns, kNan, &matrix));
  check(XGDMatrixSetFloatInfo(matrix, "label", labels.data(), kRows));
  BoosterHandle booster = nullptr;
  check(XGBoosterCreate(&matrix, 1, &booster));
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"objective", "binary:logistic"}, {"max_depth", "6"}, {"eta", "0.1"}, {"tree_method", "hist"}, {"nthread", "1"}, {"verbosity", "0"}}) {
    check(XGBoosterSetParam(booster, name, value));
  }
  for (int i = 0; i < 200; ++i) check(XGBoosterUpdateOneIter(booster, i, matrix));
  bst_ulong size = 0;
  const char* bytes = nullptr;
  check(XGBoosterSaveModelToBuffer(booster, R"({"format": "json"})", &size, &bytes));
  std::string model(bytes, size);
  XGBoosterFree(booster);
  XGDMatrixFree(matrix);
  return model;
}

class Peer {
 public:
  explicit Peer(const std::string& model) {
    check(XGBoosterCreate(nullptr, 0, &booster_));
    check(XGBoosterLoadModelFromBuffer(booster_, model.data(), model.size()));
    check(XGBoosterSetParam(booster_, "nthread", "1"));
    check(XGDMatrixCreateFromMat(nullptr, 0, 0, kNan, &proxy_));
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() {
    XGDMatrixFree(proxy_);
    XGBoosterFree(booster_);
  }
  const float* margins(const float* rows, std::int64_t count, int columns) {
    const std::string array = fmt::format(R"({{"data": [{}, true], "shape": [{}, {}], "typestr": "<f4", "version": 3}})",
                                          reinterpret_cast<std::uintptr_t>(rows), count, columns);
    const bst_ulong* shape = nullptr;
    bst_ulong dimensions = 0;
    const float* result = nullptr;
    check(XGBoosterPredictFromDense(
        booster_, array.c_str(),
        R"({"type": 1, "training": false, "iteration_begin": 0, "iteration_end": 0, "strict_shape": false, "missing": NaN, "cache_id": 0})", nullptr,
        &shape, &dimensions, &result));
    return result;
  }

 private:
  BoosterHandle booster_ = nullptr;
  DMatrixHandle proxy_ = nullptr;
};

double seconds_of(int repeats, const std::function<void(int)>& body) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i) body(i);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / repeats;
}
double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  std::string model;
  if (argc > 2) {
    std::ifstream file(argv[2], std::ios::binary);
    model.assign(std::istreambuf_iterator<char>(file), {});
  } else {
    model = train_model();
  }
  const auto loaded = Scorer::load(model);
  if (!loaded.ok()) {
    fmt::print(stderr, "{}\n", loaded.error().str());
    return 1;
  }
  const Scorer& scorer = **loaded;
  Peer peer(model);
  const int columns = scorer.features();
  std::mt19937_64 random(7);
  constexpr std::int64_t kRows = 10'000;
  const std::vector<float> rows = random_rows(random, kRows, columns);
  std::vector<float> ours(kRows);
  scorer.margins(rows.data(), kRows, ours.data());
  const float* theirs = peer.margins(rows.data(), kRows, columns);
  for (std::int64_t i = 0; i < kRows; ++i) {
    if (std::bit_cast<std::uint32_t>(ours[static_cast<std::size_t>(i)]) != std::bit_cast<std::uint32_t>(theirs[i])) {
      fmt::print(stderr, "engine_bench: row {} differs: {} and {}\n", i, ours[static_cast<std::size_t>(i)], theirs[i]);
      return 1;
    }
  }
  int major = 0;
  int minor = 0;
  int patch = 0;
  XGBoostVersion(&major, &minor, &patch);
  fmt::print("{} trees, {} features, margins of {} rows bit-equal to XGBoost {}.{}.{}\n", scorer.trees(), columns, kRows, major, minor, patch);
  std::string json;
  for (const auto& [count, ours_repeats, theirs_repeats, goal] :
       {std::tuple<std::int64_t, int, int, double>{1, 40'000, 4'000, 15.0}, std::tuple<std::int64_t, int, int, double>{kRows, 20, 8, 3.0}}) {
    std::vector<double> mine;
    std::vector<double> peers;
    std::vector<double> ratios;
    for (int run = -1; run < kRuns; ++run) {  // the first pair warms up; then alternated
      const auto row_of = [&](int i) { return rows.data() + (count == 1 ? i % kRows : 0) * columns; };
      const double a = seconds_of(ours_repeats, [&](int i) { scorer.margins(row_of(i), count, ours.data()); });
      const double b = seconds_of(theirs_repeats, [&](int i) { (void)peer.margins(row_of(i), count, columns); });
      if (run < 0) continue;
      mine.push_back(a * 1e6);
      peers.push_back(b * 1e6);
      ratios.push_back(b / a);
    }
    const double ratio = median(ratios);
    const auto [low, high] = std::minmax_element(ratios.begin(), ratios.end());
    fmt::print("{:>6} rows: ours {:9.2f} us, XGBoost {:9.2f} us, ratio {:5.1f} ({:.1f} to {:.1f} over {} runs), goal {:.0f}: {}\n", count,
               median(mine), median(peers), ratio, *low, *high, kRuns, goal, ratio >= goal ? "met" : "missed");
    json += fmt::format(
        R"({}{{"what": "tree engine, {} rows", "peer": "XGBoost C API", "peer_version": "{}.{}.{}", "ours": {:.3f}, "theirs": {:.3f}, "unit": "us", "ratio": {:.3f}, "spread": [{:.3f}, {:.3f}], "runs": {}, "goal": {}, "met": {}}})",
        json.empty() ? "" : ", ", count, major, minor, patch, median(mine), median(peers), ratio, *low, *high, kRuns, goal, ratio >= goal);
  }
  if (argc > 1) std::ofstream(argv[1]) << "[" << json << "]\n";
  return 0;
}
