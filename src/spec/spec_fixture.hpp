#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "doc/diagnostic.hpp"
#include "spec/load.hpp"

namespace heddle::spec {

/// A small project in a folder of its own; tests break it one way at a time.
class SpecTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "heddle-spec-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = std::filesystem::canonical(pattern);
    put("data/rows.csv", "at,place,size,late\n");
    put("data/places.csv", "code,name\nA,\"Alpha, the first\"\nB,Beta\nA,again\n");
    put("heddle.yaml",
        "apiVersion: heddle/v1\nkind: Project\nname: tiny\nsources:\n  rows: data/rows.csv\n  "
        "places: data/places.csv\n");
    put("people.yaml",
        "apiVersion: heddle/v1\nkind: People\npeople:\n  - {name: ada, roles: "
        "[approver]}\nservice_accounts:\n"
        "  - {name: bot, permissions: [predict]}\n");
    put("contracts/c.odcs.yaml",
        "apiVersion: v3.2.0\nkind: DataContract\nid: c\nversion: 1.0.0\nschema:\n  - name: rows\n  "
        "  properties:\n"
        "      - {name: at, logicalType: timestamp, required: true}\n"
        "      - name: place\n        logicalType: string\n        customProperties:\n"
        "          - {property: enumFile, vendor: heddle, value: {file: places, column: code}}\n"
        "      - name: size\n        logicalType: integer\n        logicalTypeOptions: {minimum: "
        "0, maximum: 9}\n"
        "      - name: late\n        logicalType: integer\n        customProperties:\n"
        "          - {property: role, vendor: heddle, value: label}\n"
        "    quality:\n"
        "      - {id: enough, type: library, metric: rowCount, mustBeGreaterThan: 1}\n"
        "      - id: odd\n        type: custom\n        engine: heddle\n        severity: warning\n"
        "        implementation: {expression: size != 3}\n");
    put("features/f.yaml",
        "apiVersion: heddle/v1\nkind: FeatureSet\nname: f\ncontract: c\nfeatures:\n"
        "  - {name: twice, expression: base * 2}\n  - {name: base, expression: size + 1}\n"
        "  - name: place_late\n    target_encoding: {inputs: [place]}\n");
    put("models/m.yaml",
        "apiVersion: heddle/v1\nkind: Model\nname: m\nfeatures: f\ntarget: late > 0\n"
        "train: {source: rows, time_field: at, from: \"2001-01-01\", to: \"2001-02-01\"}\n"
        "search:\n  trials: 2\n  space:\n    - {name: eta, kind: log_uniform, low: 0.1, high: "
        "0.3}\n");
    put("evaluations/e.yaml",
        "apiVersion: heddle/v1\nkind: Evaluation\nname: e\nmodel: m\nmetrics:\n  - name: "
        "auc\ngates:\n"
        "  - {id: good, when: metrics.auc > 0.5}\n");
    put("policies/p.yaml",
        "apiVersion: heddle/v1\nkind: Policy\nname: p\nrules:\n"
        "  - {id: yes, effect: allow, who: \"agent:*\", action: slot.swap}\n"
        "  - id: ask\n    effect: require_approval\n    who: [\"person:*\"]\n    action: "
        "[release.promote]\n    needs: {role: "
        "approver}\n");
    put("monitors/w.yaml",
        "apiVersion: heddle/v1\nkind: Monitor\nname: w\nservice: s\nwindow: 1d\nquality: "
        "{}\ndistributions:\n"
        "  - {name: size, column: size, kind: ks, floor: 0.1}\n");
    put("services/s.yaml",
        "apiVersion: heddle/v1\nkind: Service\nname: s\nmodel: m\nmonitor: w\nsources: [a, b]\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + "/" + path).parent_path());
    ASSERT_TRUE(write_file_atomic(root_ + "/" + path, text).ok());
  }
  /// Replaces `what`, which must be there once, in a file.
  void change(const std::string& path, const std::string& what, const std::string& with) {
    std::string text = *read_file(root_ + "/" + path);
    const auto at = text.find(what);
    ASSERT_NE(at, std::string::npos) << what << " in\n" << text;
    text.replace(at, what.size(), with);
    put(path, text);
  }
  std::vector<std::string> findings() {
    const auto loaded = load_project(root_);
    EXPECT_TRUE(loaded.ok());
    std::vector<std::string> out;
    for (const auto& each : loaded->diagnostics) out.push_back(doc::render_concise(each));
    return out;
  }
  using Lines = std::vector<std::string>;

  std::string root_;
};

}  // namespace heddle::spec
