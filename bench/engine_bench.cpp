// The tree engine against others on the same trees and rows, one thread each: XGBoost's C API, ONNX
// Runtime and treelite on an XGBoost model, LightGBM's C API and lleaves on a LightGBM model of the
// same size. Prints a table and writes bench/NAME.json's list.
// Then models of seven classes and of a number against XGBoost's and LightGBM's C APIs, whose
// margins must be the same in every bit.
//   engine_bench train FOLDER COLUMNS TREES...
//   engine_bench train-tasks FOLDER COLUMNS
//   engine_bench measure FOLDER COLUMNS RESULT.json PYTHON ONNX_SCRIPT TREES...

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "doc/json.hpp"
#include "engine_peers.hpp"
#include "model/scorer.hpp"

namespace {

using heddle::doc::Value;
using heddle::model::Scorer;
constexpr int kRuns = 7;
constexpr const char* kXgboost = "XGBoost C API";

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class Ours {
 public:
  Ours(std::string bytes, const EngineRows& rows) : bytes_(std::move(bytes)), rows_(rows) {
    auto loaded = Scorer::load(bytes_);
    if (!loaded.ok()) {
      fmt::print(stderr, "{}\n", loaded.error().str());
      std::exit(1);
    }
    scorer_ = std::move(*loaded);
    out_.resize(static_cast<std::size_t>(rows.count() * rows.outputs));
    doubles_.resize(out_.size());
  }
  /// Into doubles where the library's margins are doubles.
  double seconds(std::int64_t count, int repeats) {
    const bool doubles = gives_doubles();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < repeats; ++i) {
      if (doubles)
        scorer_->margins(rows_.at(i, count), count, doubles_.data());
      else
        scorer_->margins(rows_.at(i, count), count, out_.data());
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
           repeats;
  }
  double load_seconds() const {
    const auto start = std::chrono::steady_clock::now();
    const auto loaded = Scorer::load(bytes_);
    const double took =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return loaded.ok() ? took : 1e9;
  }
  double first_margin() { return first_margins(1)[0]; }
  std::vector<double> first_margins(std::int64_t count) {
    const auto numbers = static_cast<std::ptrdiff_t>(count * rows_.outputs);
    if (gives_doubles()) {
      scorer_->margins(rows_.values.data(), count, doubles_.data());
      return {doubles_.begin(), doubles_.begin() + numbers};
    }
    scorer_->margins(rows_.values.data(), count, out_.data());
    return {out_.begin(), out_.begin() + numbers};
  }
  const Scorer& scorer() const { return *scorer_; }
  std::size_t size() const { return bytes_.size(); }

 private:
  bool gives_doubles() const { return scorer_->format() == "lightgbm"; }

  std::string bytes_;
  const EngineRows& rows_;
  std::unique_ptr<Scorer> scorer_{};
  std::vector<float> out_{};
  std::vector<double> doubles_{};
};

struct Contest {
  std::string name;
  std::string version;
  Ours* ours;
  std::unique_ptr<EnginePeer> peer;
};

/// Runs enough calls to take some 30 ms.
int repeats_for(double seconds) {
  return std::clamp(static_cast<int>(0.03 / std::max(seconds, 1e-7)), 1, 200'000);
}

Value array_of(std::initializer_list<double> numbers) {
  Value::Array items;
  for (const double number : numbers) items.emplace_back(number);
  return Value(std::move(items));
}

double goal_of(const std::string& peer, std::int64_t count) {
  if (peer != kXgboost) return 1;
  return count == 1 ? 15 : count == 100 ? 4 : 3;
}

/// Measures all of them in turns, prints the table, and adds to `results`. Whether all goals were
/// met.
bool compete(std::vector<Contest>& contests, std::initializer_list<std::int64_t> counts,
             const std::string& what, Value& results) {
  bool all_met = true;
  fmt::print("  {:>6}  {:<14} {:<8} {:>12} {:>12} {:>8} {:>17} {:>5}\n", "rows", "peer", "version",
             "ours us", "theirs us", "ratio", "spread", "goal");
  for (const std::int64_t count : counts) {
    std::vector<std::vector<double>> mine(contests.size());
    std::vector<std::vector<double>> theirs(contests.size());
    std::vector<std::vector<double>> ratios(contests.size());
    for (int run = -1; run < kRuns; ++run) {  // the first round warms up; then all take turns
      for (std::size_t c = 0; c < contests.size(); ++c) {
        auto& [name, peer_version, ours, peer] = contests[c];
        const double x = ours->seconds(count, repeats_for(ours->seconds(count, 3)));
        const double y = peer->seconds(count, repeats_for(peer->seconds(count, 3)));
        if (run < 0) continue;
        mine[c].push_back(x * 1e6);
        theirs[c].push_back(y * 1e6);
        ratios[c].push_back(y / x);
      }
    }
    for (std::size_t c = 0; c < contests.size(); ++c) {
      const double ratio = median(ratios[c]);
      const auto [low, high] = std::minmax_element(ratios[c].begin(), ratios[c].end());
      const double goal = goal_of(contests[c].name, count);
      const bool met = ratio >= goal;
      all_met = all_met && met;
      fmt::print(
          "  {:>6}  {:<14} {:<8} {:>12.2f} {:>12.2f} {:>8.1f} {:>8.1f}-{:<8.1f} {:>5.0f} {}\n",
          count, contests[c].name, contests[c].version, median(mine[c]), median(theirs[c]), ratio,
          *low, *high, goal, met ? "met" : "missed");
      results.push(Value::object({{"what", fmt::format("tree engine, {}, {} rows", what, count)},
                                  {"peer", contests[c].name},
                                  {"peer_version", contests[c].version},
                                  {"ours", median(mine[c])},
                                  {"theirs", median(theirs[c])},
                                  {"unit", "us"},
                                  {"ratio", ratio},
                                  {"spread", array_of({*low, *high})},
                                  {"runs", kRuns},
                                  {"goal", goal},
                                  {"met", met}}));
    }
  }
  return all_met;
}

/// Whether the margins of the first rows are the peer's in every bit; says so.
bool same_bits(Contest& contest, std::int64_t count) {
  const std::vector<double> mine = contest.ours->first_margins(count);
  const std::vector<double> theirs = contest.peer->first_margins(count);
  std::size_t differ = 0;
  for (std::size_t i = 0; i < mine.size() && i < theirs.size(); ++i)
    differ +=
        std::bit_cast<std::uint64_t>(mine[i]) == std::bit_cast<std::uint64_t>(theirs[i]) ? 0 : 1;
  const bool same = mine.size() == theirs.size() && differ == 0;
  fmt::print("  {} {}: {} of {} margins differ in a bit\n", contest.name, contest.version, differ,
             mine.size());
  return same;
}

/// Models of seven classes and of a number, 100 rounds each.
bool measure_tasks(const std::string& folder, const EngineRows& rows, const Value& versions,
                   Value& results) {
  bool all_met = true;
  for (const auto& [task, outputs] : {std::pair{"classes", 7}, std::pair{"regression", 1}}) {
    EngineRows shaped = rows;
    shaped.outputs = outputs;
    std::vector<std::unique_ptr<Ours>> ours;
    std::vector<Contest> contests;
    const auto add = [&](const char* name, std::string version, const std::string& model,
                         std::unique_ptr<EnginePeer> peer) {
      if (peer == nullptr) return;
      ours.push_back(std::make_unique<Ours>(read(model), shaped));
      contests.push_back({name, std::move(version), ours.back().get(), std::move(peer)});
    };
    const std::string xgboost = fmt::format("{}/xgboost-{}.json", folder, task);
    const std::string lightgbm = fmt::format("{}/lightgbm-{}.txt", folder, task);
    add(kXgboost, xgboost_version(), xgboost, xgboost_peer(xgboost, shaped));
    add("LightGBM", std::string(versions.string_or("LightGBM")), lightgbm,
        lightgbm_peer(std::string(versions.string_or("lib_lightgbm")), lightgbm, shaped));
    const std::string what =
        outputs == 1 ? "a number, 100 rounds" : fmt::format("{} classes, 100 rounds", outputs);
    fmt::print("{}, {} features; layouts for 1, 100, 10,000 rows:", what, rows.columns);
    for (std::size_t i = 0; i < ours.size(); ++i)
      fmt::print(" {} ({} model)", ours[i]->scorer().layouts(), contests[i].name);
    fmt::print("\n");
    for (Contest& contest : contests) all_met = same_bits(contest, rows.count()) && all_met;
    all_met = compete(contests, {1, 10'000}, what, results) && all_met;
  }
  return all_met;
}

int measure(int argc, char** argv) {
  const std::string folder = argv[2];
  EngineRows rows;
  rows.columns = std::atoi(argv[3]);
  const std::string scored = read(folder + "/score.bin");
  rows.values.resize(scored.size() / sizeof(float));
  std::copy(scored.begin(), scored.end(), reinterpret_cast<char*>(rows.values.data()));
  const auto versions = heddle::doc::parse_json(read(folder + "/versions.json"));
  if (!versions.ok()) return 1;
  Value results = Value::array();
  bool all_met = true;
  for (int a = 7; a < argc; ++a) {
    const std::string trees = argv[a];
    Ours ours_xgboost(read(fmt::format("{}/xgboost-{}.json", folder, trees)), rows);
    const std::string lightgbm = fmt::format("{}/lightgbm-{}.txt", folder, trees);
    std::unique_ptr<Ours> ours_lightgbm;
    if (const std::string bytes = read(lightgbm); !bytes.empty())
      ours_lightgbm = std::make_unique<Ours>(bytes, rows);
    std::vector<Contest> contests;
    const auto add = [&](std::string name, std::string version, Ours* ours,
                         std::unique_ptr<EnginePeer> peer) {
      if (ours != nullptr && peer != nullptr)
        contests.push_back({std::move(name), std::move(version), ours, std::move(peer)});
    };
    const auto version = [&](const char* name) { return std::string(versions->string_or(name)); };
    add(kXgboost, xgboost_version(), &ours_xgboost,
        xgboost_peer(fmt::format("{}/xgboost-{}.json", folder, trees), rows));
    add("ONNX Runtime", version("ONNX Runtime"), &ours_xgboost,
        onnx_peer(argv[5], argv[6], fmt::format("{}/onnx-{}.onnx", folder, trees),
                  folder + "/score.bin", rows));
    add("treelite", version("treelite"), &ours_xgboost,
        treelite_peer(fmt::format("{}/treelite-{}.so", folder, trees), rows));
    add("LightGBM", version("LightGBM"), ours_lightgbm.get(),
        lightgbm_peer(version("lib_lightgbm"), lightgbm, rows));
    add("lleaves", version("lleaves"), ours_lightgbm.get(),
        lleaves_peer(fmt::format("{}/lleaves-{}.so", folder, trees), rows));
    fmt::print(
        "{} trees, {} features; layouts for 1, 100, 10,000 rows: {} (XGBoost model), {} (LightGBM "
        "model)\n",
        trees, rows.columns, ours_xgboost.scorer().layouts(),
        ours_lightgbm ? ours_lightgbm->scorer().layouts() : "-");
    for (auto& contest : contests) {
      const double mine = contest.ours->first_margin();
      const double theirs = contest.peer->first_margin();
      if (std::abs(mine - theirs) > 1e-4 * std::max(1.0, std::abs(mine))) {
        fmt::print(stderr, "engine_bench: {} scores another model: {} and {}\n", contest.name, mine,
                   theirs);
        return 1;
      }
    }
    all_met = compete(contests, {1, 100, 10'000}, trees + " trees", results) && all_met;
    std::vector<double> loads;
    for (int run = 0; run < kRuns; ++run) loads.push_back(ours_xgboost.load_seconds() * 1e3);
    const auto [low, high] = std::minmax_element(loads.begin(), loads.end());
    const bool met = median(loads) < 100;
    all_met = all_met && met;
    fmt::print(
        "  load: {} bytes of JSON to a ready scorer in {:.1f} ms ({:.1f} to {:.1f} over {} runs), "
        "goal < 100 ms: {}\n",
        ours_xgboost.size(), median(loads), *low, *high, kRuns, met ? "met" : "missed");
    results.push(Value::object({{"what", fmt::format("tree engine, load of {} trees", trees)},
                                {"peer", "100 ms"},
                                {"peer_version", ""},
                                {"ours", median(loads)},
                                {"theirs", 100.0},
                                {"unit", "ms"},
                                {"ratio", 100.0 / median(loads)},
                                {"spread", array_of({100.0 / *high, 100.0 / *low})},
                                {"runs", kRuns},
                                {"goal", 1.0},
                                {"met", met}}));
  }
  all_met = measure_tasks(folder, rows, *versions, results) && all_met;
  std::ofstream(argv[4]) << heddle::doc::to_json(results) << "\n";
  fmt::print("{}\n", all_met ? "all goals met" : "some goals missed");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "train" && argc > 4) {
    std::vector<int> counts;
    for (int a = 4; a < argc; ++a) counts.push_back(std::atoi(argv[a]));
    train_models(argv[2], std::atoi(argv[3]), counts);
    return 0;
  }
  if (verb == "train-tasks" && argc == 4) {
    train_task_models(argv[2], std::atoi(argv[3]));
    return 0;
  }
  if (verb == "measure" && argc > 7) return measure(argc, argv);
  fmt::print(stderr,
             "usage: engine_bench train FOLDER COLUMNS TREES... | train-tasks FOLDER COLUMNS | "
             "measure FOLDER COLUMNS RESULT.json PYTHON ONNX_SCRIPT TREES...\n");
  return 2;
}
