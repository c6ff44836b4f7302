#pragma once

// What the tests of flow share: a small project in a folder of its own.

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/jobs/processes.hpp"
#include "adapters/objects/layout.hpp"
#include "base/file.hpp"
#include "flow/flow.hpp"
#include "spec/load.hpp"
#include "table/table.hpp"

namespace heddle::flow {

inline std::string g_self;  ///< this binary is its own worker

/// Rows of a month: late when it is evening and far, with noise that a seed fixes.
inline table::Table make_rows(std::int64_t rows, std::uint64_t seed) {
  table::Column at{.name = "at", .type = table::Type::kTimestamp};
  table::Column place{.name = "place", .type = table::Type::kString};
  table::Column size{.name = "size", .type = table::Type::kInt};
  table::Column late{.name = "late", .type = table::Type::kInt};
  place.dictionary =
      std::make_shared<const table::Dictionary>(std::vector<std::string>{"A", "B", "C", "D"});
  std::uint64_t state = seed;
  const auto draw = [&] {
    state += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  };
  const Micros begin = *parse_time("2001-01-01");
  for (std::int64_t i = 0; i < rows; ++i) {
    const Micros time = begin + i * 30 * kDay / rows;
    at.ints.push_back(time);
    const int where = static_cast<int>(draw() * 4);
    place.codes.push_back(where);
    const auto how = static_cast<std::int64_t>(draw() * 100);
    size.ints.push_back(how);
    const double hour = static_cast<double>(time % kDay) / kHour;
    const double p = 0.1 + (hour > 16 ? 0.3 : 0.0) + (how > 60 ? 0.25 : 0.0) + 0.05 * where;
    late.ints.push_back(draw() < p ? 20 : 0);
  }
  return *table::Table::make({at, place, size, late});
}

/// A project in a folder of its own.
class Scene {
 public:
  explicit Scene(std::int64_t rows = 3000) {
    std::string pattern = testing::TempDir() + "heddle-flow-XXXXXX";
    HEDDLE_CHECK(mkdtemp(pattern.data()) != nullptr, "no temporary folder");
    root = std::filesystem::canonical(pattern);
    write_rows(make_rows(rows, 7));
    put("data/places.csv", "code\nA\nB\nC\nD\n");
    put("heddle.yaml",
        "apiVersion: heddle/v1\nkind: Project\nname: tiny\nsources:\n  rows: data/rows.parquet\n  "
        "places: data/places.csv\n");
    put("contracts/c.odcs.yaml",
        "apiVersion: v3.2.0\nkind: DataContract\nid: c\nversion: 1.0.0\nschema:\n  - name: rows\n  "
        "  properties:\n"
        "      - {name: at, logicalType: timestamp, required: true}\n"
        "      - name: place\n        logicalType: string\n        required: true\n        "
        "customProperties:\n"
        "          - {property: enumFile, vendor: heddle, value: {file: places, column: code}}\n"
        "      - name: size\n        logicalType: integer\n        required: true\n        "
        "logicalTypeOptions: {minimum: 0, "
        "maximum: 99}\n"
        "      - name: late\n        logicalType: integer\n        required: true\n        "
        "customProperties:\n"
        "          - {property: role, vendor: heddle, value: label}\n"
        "    quality:\n      - {id: enough, type: library, metric: rowCount, mustBeGreaterThan: "
        "1}\n");
    put("features/f.yaml",
        "apiVersion: heddle/v1\nkind: FeatureSet\nname: f\ncontract: c\nfeatures:\n  - {name: "
        "hour, expression: at.getHours()}\n"
        "  - {name: big, expression: size * 2}\n  - name: place_late\n    target_encoding: "
        "{inputs: [place]}\n");
    put("models/m.yaml",
        "apiVersion: heddle/v1\nkind: Model\nname: m\nfeatures: f\ntarget: late > 15\n"
        "train: {source: rows, time_field: at, from: \"2001-01-01\", to: \"2001-02-01\"}\n"
        "search:\n  trials: 4\n  startup: 2\n  max_rounds: 20\n  early_stopping_rounds: 5\n  "
        "space:\n"
        "    - {name: eta, kind: log_uniform, low: 0.1, high: 0.3}\n    - {name: max_depth, kind: "
        "integer, low: 2, high: 4}\n"
        "standby: {trainer: logistic}\nseed: 5\n");
    put("evaluations/e.yaml",
        "apiVersion: heddle/v1\nkind: Evaluation\nname: e\nmodel: m\nmetrics:\n  - name: auc\n  - "
        "name: log_loss\ngates:\n"
        "  - {id: good, when: metrics.auc > 0.55}\n");
    put("monitors/w.yaml",
        "apiVersion: heddle/v1\nkind: Monitor\nname: w\nservice: s\nwindow: 1d\nwindow_rows: "
        "20\nquality: {chunk_rows: 50}\n"
        "distributions:\n  - {name: size, column: size, kind: ks, floor: 0.1}\n");
    put("services/s.yaml", "apiVersion: heddle/v1\nkind: Service\nname: s\nmodel: m\nmonitor: w\n");
    put("policies/p.yaml",
        "apiVersion: heddle/v1\nkind: Policy\nname: p\nrules:\n"
        "  - {id: open, effect: allow, who: \"agent:*\", action: incident.open}\n");
    open();
  }
  /// Somebody else's project, which the owner's scene removes.
  explicit Scene(std::string owned_by_other) : root(std::move(owned_by_other)), owns_(false) {
    open();
  }
  ~Scene() {
    if (owns_) std::filesystem::remove_all(root);
  }
  Scene(const Scene&) = delete;

  void open() {
    HEDDLE_CHECK(make_dirs(root + "/.heddle").ok(), "no state folder");
    objects = *adapters::open_layout(root + "/.heddle/objects");
    runner = adapters::make_process_runner({root + "/.heddle", {g_self}});
    host = {objects.get(), runner.get(), *jobs::program_digest(g_self), root + "/.heddle", 2};
    host.open_objects = [](const std::string& dir) { return adapters::open_layout(dir); };
  }
  void put(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root + "/" + path).parent_path());
    HEDDLE_CHECK(write_file_atomic(root + "/" + path, text).ok(), "cannot write");
  }
  void write_rows(const table::Table& rows) const {
    std::filesystem::create_directories(root + "/data");
    HEDDLE_CHECK(table::write_parquet(rows, root + "/data/rows.parquet").ok(), "cannot write");
  }
  void change(const std::string& path, const std::string& what, const std::string& with) const {
    std::string text = *read_file(root + "/" + path);
    const auto at = text.find(what);
    HEDDLE_CHECK(at != std::string::npos, what);
    put(path, text.replace(at, what.size(), with));
  }
  [[nodiscard]] spec::Project project() const {
    auto loaded = spec::load_project(root);
    HEDDLE_CHECK(loaded.ok(), "no project");
    for (const auto& each : loaded->diagnostics)
      ADD_FAILURE() << doc::render_full(each, root, false);
    return std::move(loaded->project);
  }
  Result<RunResult> run(const std::string& until = {}, const ProgressSink& progress = {}) {
    const auto loaded = project();
    return flow::run(loaded, host, {"", until}, progress);
  }
  [[nodiscard]] std::map<std::string, PlannedStep> planned() const {
    const auto plan = flow::plan(project(), host);
    HEDDLE_CHECK(plan.ok(), plan.ok() ? "" : plan.error().message);
    std::map<std::string, PlannedStep> out;
    for (const auto& step : plan->steps) out[step.name] = step;
    return out;
  }
  [[nodiscard]] std::vector<std::string> to_run() const {
    std::vector<std::string> out;
    for (const auto& [name, step] : planned()) {
      if (!step.cached) out.push_back(name);
    }
    return out;
  }

  std::string root;
  std::unique_ptr<store::Objects> objects;
  std::unique_ptr<jobs::Runner> runner;
  Host host;

 private:
  bool owns_ = true;
};

using Names = std::vector<std::string>;

}  // namespace heddle::flow
