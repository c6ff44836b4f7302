#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/file_fixture.hpp"
#include "doc/json.hpp"
#include "spec/kinds.hpp"
#include "spec/shares.hpp"
#include "spec/spec_fixture.hpp"
#include "table/table.hpp"

namespace heddle::spec {
namespace {

/// Files are named after definitions: no name leaves its folder.
TEST_F(SpecTest, ANameIsOneThatAFileCanHave) {
  for (const char* path : {"heddle.yaml", "features/f.yaml", "models/m.yaml", "evaluations/e.yaml",
                           "policies/p.yaml", "monitors/w.yaml", "services/s.yaml"}) {
    const std::string before = *read_file(root_ + "/" + path);
    const auto at = before.find("name: ");
    const auto has_bad_name = [&](const std::string& name) {
      std::string text = before;
      put(path, text.replace(at + 6, text.find('\n', at) - at - 6, '"' + name + '"'));
      const auto found = findings();
      return std::any_of(found.begin(), found.end(), [&](const std::string& each) {
        return each.starts_with(fmt::format("{}:3:7: error[bad-name]", path));
      });
    };
    for (const auto& name :
         {std::string("../../../x"), std::string("a/b"), std::string("/x"), std::string(".."),
          std::string(".x"), std::string("-x"), std::string("x\\ny"), std::string("a b"),
          std::string("\\u00e9"), std::string("a\\\\b"), std::string(65, 'a')})
      EXPECT_TRUE(has_bad_name(name)) << path << " " << name;
    for (const auto& name : {std::string("Late-1.b_c"), std::string(64, 'a')})
      EXPECT_FALSE(has_bad_name(name)) << path << " " << name;
    put(path, before);
  }
  EXPECT_EQ(findings(), Lines{});
}

TEST_F(SpecTest, AWellFormedProjectLoadsWhole) {
  const auto loaded = load_project(root_);
  ASSERT_TRUE(loaded.ok());
  for (const auto& each : loaded->diagnostics)
    ADD_FAILURE() << doc::render_full(each, root_, false);
  const Project& project = loaded->project;
  EXPECT_EQ(project.name, "tiny");
  const Contract& contract = project.contracts.at("c");
  ASSERT_EQ(contract.fields.size(), 4U);
  EXPECT_TRUE(contract.fields[3].label_time);
  EXPECT_EQ(contract.fields[2].maximum, 9);
  EXPECT_EQ(contract.fields[1].enum_column, "code");
  ASSERT_EQ(contract.row_rules.size(), 1U);
  EXPECT_EQ(contract.row_rules[0].effect, RuleEffect::kWarn);
  EXPECT_EQ(contract.set_rules.at(0).operation, "mustBeGreaterThan");
  EXPECT_EQ(*load_enum(project, "places", "code"), (Lines{"A", "B"}));
  // A column of another type than text is read as a CSV would have it.
  table::Column column;
  column.name = "code", column.type = expr::Type::kDouble, column.doubles = {1.5, 3};
  ASSERT_TRUE(
      table::write_parquet(*table::Table::make({column}), root_ + "/data/codes.parquet").ok());
  EXPECT_EQ(*load_enum(project, "data/codes.parquet", "code"), (Lines{"1.5", "3"}));
  // A feature stands after what it reads, whatever the file's order.
  EXPECT_EQ(project.feature_sets.at("f").features[0].name, "base");
  EXPECT_EQ(project.models.at("m").search.space[0].kind, SearchDimension::Kind::kLogUniform);
  EXPECT_EQ(project.policies.at("p").rules[1].approver_role, "approver");
  EXPECT_EQ(project.monitors.at("w").window, kDay);
  EXPECT_EQ(project.services.at("s").sources, (Lines{"a", "b"}));
  EXPECT_EQ(project.service_accounts.at(0).name, "bot");
}

TEST_F(SpecTest, AllErrorsComeAtOnce) {
  change("features/f.yaml", "contract: c", "contrct: c");
  change("models/m.yaml", "trials: 2", "trials: \"2\"");
  change("policies/p.yaml", "effect: allow", "effect: allows");
  change("monitors/w.yaml", "window: 1d", "window: one day");
  change("services/s.yaml", "model: m\n", "");
  change("heddle.yaml", "data/places.csv", "data/gone.csv");
  EXPECT_EQ(
      findings(),
      (Lines{
          "contracts/c.odcs.yaml:9:9: error[file-missing]: there is no file `data/gone.csv` to "
          "read the enum from",
          "features/f.yaml:1:1: error[missing-key]: FeatureSet needs the key `contract`",
          "features/f.yaml:4:1: error[unknown-key]: unknown key `contrct` in FeatureSet",
          "heddle.yaml:6:11: error[source-missing]: source `places`: there is no file "
          "`data/gone.csv`",
          "models/m.yaml:8:11: error[wrong-type]: `trials` must be an integer, found a string",
          "monitors/w.yaml:5:9: error[bad-duration]: `one day` is not a duration",
          "policies/p.yaml:5:23: error[unknown-value]: `allows` is not a value of `effect`",
          "services/s.yaml:1:1: error[missing-key]: Service needs the key `model`",
      }));
}

TEST_F(SpecTest, WhatAFileLacksIsShownAtItsBeginning) {
  for (const char* file :
       {"heddle.yaml", "contracts/c.odcs.yaml", "features/f.yaml", "models/m.yaml",
        "evaluations/e.yaml", "policies/p.yaml", "monitors/w.yaml", "services/s.yaml"}) {
    for (const char* text :
         {"", "# nothing\n", "- a list\n", "name\n", "name: x\n", "kind:\n", "{}\n"}) {
      SpecTest::put(file, text);
      const auto loaded = load_project(root_);
      if (!loaded.ok()) continue;
      for (const auto& each : loaded->diagnostics) {
        EXPECT_GE(each.position.line, 1) << doc::render_concise(each);
        EXPECT_GE(each.position.column, 1) << doc::render_concise(each);
      }
    }
  }
}

TEST_F(SpecTest, ADiagnosticShowsTheLineAndANearName) {
  change("features/f.yaml", "contract: c", "contrct: c");
  const auto loaded = load_project(root_);
  ASSERT_TRUE(loaded.ok());
  EXPECT_TRUE(loaded->has_errors());
  EXPECT_EQ(doc::render_full(loaded->diagnostics.at(1), root_, false),
            "error[unknown-key]: unknown key `contrct` in FeatureSet\n"
            "  --> features/f.yaml:4:1\n"
            "4 | contrct: c\n"
            "  | ^^^^^^^\n"
            "hint: did you mean `contract`?\n");
}

TEST_F(SpecTest, NamesThatAreNotThere) {
  change("models/m.yaml", "features: f", "features: g");
  change("services/s.yaml", "monitor: w", "monitor: v");
  change("evaluations/e.yaml", "model: m", "model: mm");
  EXPECT_EQ(findings(),
            (Lines{"evaluations/e.yaml:4:8: error[unknown-name]: there is no model `mm`",
                   "models/m.yaml:4:11: error[unknown-name]: there is no feature set `g`",
                   "services/s.yaml:5:10: error[unknown-name]: there is no monitor `v`"}));
}

TEST_F(SpecTest, AFeatureMayNotReadTheTarget) {
  change("features/f.yaml", "size + 1", "late + 1");
  EXPECT_EQ(findings(), (Lines{"features/f.yaml:7:30: error[reads-label]: feature `base` reads "
                               "`late`, which is known only after the answer"}));
  change("features/f.yaml", "late + 1", "size + 1");
  change("features/f.yaml", "inputs: [place]", "inputs: [late]");
  EXPECT_EQ(findings(), (Lines{"features/f.yaml:8:5: error[reads-label]: feature `place_late` "
                               "encodes `late`, which is known only after the answer"}));
}

TEST_F(SpecTest, FeaturesThatReadEachOther) {
  change("features/f.yaml", "size + 1", "size + twice");
  EXPECT_EQ(findings(), (Lines{"features/f.yaml:6:5: error[feature-cycle]: features read each "
                               "other in a circle: `twice` -> `base` -> `twice`"}));
}

TEST_F(SpecTest, AnExpressionErrorStandsInsideTheFile) {
  change("features/f.yaml", "size + 1", "size + sise");
  const auto found = findings();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].starts_with("features/f.yaml:7:37: error[bad-expression]: feature `base`: "))
      << found[0];
  change("features/f.yaml", "size + sise", "place + \\\"x\\\"");
}

TEST_F(SpecTest, ATargetThatIsAbsent) {
  change("models/m.yaml", "target: late > 0", "target: lateness > 0");
  const auto found = findings();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].starts_with("models/m.yaml:5:9: error[bad-expression]: the target: "))
      << found[0];
}

TEST_F(SpecTest, MalformedYamlNamesItsLine) {
  put("monitors/w.yaml", "apiVersion: heddle/v1\n  kind: Monitor\n");
  const auto found = findings();
  ASSERT_FALSE(found.empty());
  bool named = false;
  for (const auto& line : found)
    named = named || line.starts_with("monitors/w.yaml:2:7: error[yaml-malformed]");
  EXPECT_TRUE(named) << fmt::format("{}", fmt::join(found, "\n"));
}

TEST_F(SpecTest, ACanaryAndAFailOverRule) {
  change("services/s.yaml", "sources: [a, b]",
         "sources: [a, b]\ncanary:\n  steps: [0.5%, 10%]\n  minimum_rows: 50\n  interval: 1h\n  "
         "patience: 1d\n  sticky: field:place\n"
         "  header: x-try\n  header_value: \"yes\"\n  judgement: {loss: 0.02, latency_ratio: 2}");
  put("policies/q.yaml",
      "apiVersion: heddle/v1\nkind: Policy\nname: q\nrules:\n  - {id: r, effect: allow, who: "
      "\"agent:*\", action: slot.swap}\n"
      "failover: {allowed: true, requests: 20, failed_share: 0.25, refused_share: 0.75, most: "
      "2}\n");
  ASSERT_EQ(findings(), Lines{});
  const auto loaded = load_project(root_);
  const CanaryRules& canary = loaded->project.services.at("s").canary;
  EXPECT_EQ(canary.steps, (std::vector<std::uint32_t>{50, 1'000}));
  EXPECT_EQ(canary.judgement.minimum_rows, 50);
  EXPECT_EQ(canary.patience, kDay);
  EXPECT_EQ(canary.judgement.loss, 0.02);
  EXPECT_EQ(canary.judgement.failed_share, 0.01);
  const Policy& policy = loaded->project.policies.at("q");
  EXPECT_EQ(policy.fail_over.requests, 20);
  EXPECT_EQ(policy.fail_over.refused_share, 0.75);
  EXPECT_EQ(policy.fail_over.most, 2);

  change("services/s.yaml", "[0.5%, 10%]", "[5%, 1%, 60%, x]");
  change("services/s.yaml", "field:place", "field:plaze");
  change("services/s.yaml", "  header_value: \"yes\"\n", "");
  change("services/s.yaml", "loss: 0.02", "loss: 2");
  change("policies/q.yaml", "failed_share: 0.25", "failed_share: 25");
  std::string ids;
  for (const auto& line : findings()) ids += line.substr(0, line.find(" `")) + "|";
  EXPECT_EQ(ids,
            "policies/q.yaml:6:55: error[bad-share]:|services/s.yaml:8:3: "
            "error[missing-key]:|services/s.yaml:8:15: error[bad-share]:|"
            "services/s.yaml:8:19: error[bad-share]:|services/s.yaml:8:24: "
            "error[bad-share]:|services/s.yaml:12:11: error[unknown-name]:|"
            "services/s.yaml:14:21: error[bad-share]:|");
}

TEST_F(SpecTest, ASecretStandsInNoDefinition) {
  change("monitors/w.yaml", "window: 1d",
         "window: 1d\nnotifications:\n  - {url: \"http://x\", secret: hunter2}");
  EXPECT_EQ(
      findings(),
      (Lines{"monitors/w.yaml:7:31: error[secret-in-file]: a secret stands in a definition"}));
}

TEST_F(SpecTest, TheBaseIsOfAServiceOfTheModel) {
  const auto before = *read_file(root_ + "/evaluations/e.yaml");
  put("evaluations/e.yaml", before + "base_service: s\n");
  EXPECT_EQ(findings(), Lines{});
  put("evaluations/e.yaml", before + "base_service: t\n");
  const auto found = findings();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(found[0].find("error[unknown-name]: there is no service `t`"), std::string::npos)
      << found[0];
}

TEST_F(SpecTest, AShareOfRowsThatMayRepeatIsAShare) {
  const auto before = *read_file(root_ + "/evaluations/e.yaml");
  EXPECT_EQ(load_project(root_)->project.evaluations.at("e").duplicate_share_max, 0.001);
  put("evaluations/e.yaml", before + "leakage: {duplicate_share_max: 0.02}\n");
  EXPECT_EQ(findings(), Lines{});
  EXPECT_EQ(load_project(root_)->project.evaluations.at("e").duplicate_share_max, 0.02);
  put("evaluations/e.yaml", before + "leakage: {duplicate_share_max: 1.5}\n");
  const auto found = findings();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(found[0].find("error[bad-share]: `duplicate_share_max` must be from 0 to 1"),
            std::string::npos)
      << found[0];
}

TEST_F(SpecTest, ANameThatAppearsTwiceInAListIsPointedAt) {
  change("evaluations/e.yaml", "metrics:\n  - name: auc\n",
         "metrics:\n  - name: auc\n  - name: auc\n");
  EXPECT_EQ(findings(),
            (Lines{"evaluations/e.yaml:7:5: error[duplicate-name]: metric `auc` appears "
                   "twice"}));
}

TEST_F(SpecTest, ARuntimeInPlaceOfTraining) {
  const auto with = [&](std::string_view runtime, std::string_view search = "") {
    put("models/m.yaml",
        fmt::format("apiVersion: heddle/v1\nkind: Model\nname: m\nfeatures: f\ntarget: late > 0\n"
                    "train: {{source: rows, time_field: at, from: \"2001-01-01\", to: "
                    "\"2001-02-01\"}}\nruntime: {}\n{}",
                    runtime, search));
    const auto loaded = load_project(root_);
    EXPECT_TRUE(loaded.ok());
    return *loaded;
  };
  put("worker/serve.py", "x");
  const auto process = with(
      "{kind: process, files: worker, command: [python3, serve.py], inputs: fields, timeout_ms: "
      "700}");
  EXPECT_FALSE(process.has_errors()) << process.diagnostics[0].message;
  const auto& runtime = process.project.models.at("m").runtime;
  ASSERT_TRUE(runtime.has_value());
  EXPECT_EQ(runtime->kind, Runtime::Kind::kProcess);
  EXPECT_EQ(runtime->inputs, Runtime::Inputs::kFields);
  EXPECT_EQ(runtime->timeout_ms, 700);
  EXPECT_FALSE(
      with("{kind: upstream, url: \"http://127.0.0.1:9000\", model: m, token: \"${env:TOKEN}\"}")
          .has_errors());
  for (const auto& [text, search] : std::vector<std::pair<std::string, std::string>>{
           {"{kind: process, files: worker}", ""},
           {"{kind: process, files: nowhere, command: [x]}", ""},
           {"{kind: process, files: worker, command: [x], url: \"http://a\"}", ""},
           {"{kind: upstream, url: \"http://a\"}", ""},
           {"{kind: upstream, url: \"http://a\", model: m, files: worker}", ""},
           {"{kind: process, files: worker, command: [x], tolerance: 2}", ""},
           {"{kind: process, files: worker, command: [x]}", "trainer: xgboost\n"},
           {"{kind: process, files: worker, command: [x]}",
            "search:\n  trials: 2\n  space:\n    - {name: eta, kind: log_uniform, low: 0.1, high: "
            "0.3}\n"}}) {
    const auto loaded = with(text, search);
    ASSERT_TRUE(loaded.has_errors()) << text << search;
    EXPECT_EQ(loaded.diagnostics[0].id, "bad-runtime") << text;
    EXPECT_GT(loaded.diagnostics[0].position.line, 0) << text;
    EXPECT_FALSE(loaded.diagnostics[0].hint.empty());
  }
  EXPECT_EQ(with("{kind: upstream, url: \"http://a\", model: m, token: abc}").diagnostics[0].id,
            "secret-in-file");
}

/// XGBoost passes over what it does not know, and takes objectives that no service could answer
/// with.
TEST_F(SpecTest, ParametersOfTrainersAreChecked) {
  const std::string head = *read_file(root_ + "/models/m.yaml");
  const auto finding = [&](const std::string& more) {
    put("models/m.yaml", head + more);
    const auto found = findings();
    EXPECT_LE(found.size(), 1U) << more << fmt::format("{}", fmt::join(found, "\n"));
    return found.empty() ? std::string() : found[0];
  };
  for (const std::string parameter :
       {"objective: binary:logistic", "booster: dart", "max_depth: 6", "subsample: 1",
        "base_score: 0.3", "tree_method: exact", "rounds: 30", "max_bin: 128",
        "monotone_constraints: \"(1,0)\"", "booster: dart, rate_drop: 0.1, skip_drop: 0.2",
        "num_parallel_tree: 3", "booster: dart, one_drop: 1, sample_type: weighted",
        "tree_method: approx, max_leaves: 8, grow_policy: lossguide"}) {
    EXPECT_EQ(finding("parameters: {" + parameter + "}\n"), "") << parameter;
  }
  const std::pair<std::string, std::string> faults[] = {
      {"objective: reg:squarederror", "bad-parameter"},
      {"objective: count:poisson", "bad-parameter"},
      {"objective: rank:pairwise", "bad-parameter"},
      {"objective: binary:logitraw", "bad-parameter"},
      {"objective: multi:softprob", "bad-parameter"},
      {"booster: gblinear", "bad-parameter"},
      {"tree_method: gpu_hist", "bad-parameter"},
      {"num_class: 2", "fixed-parameter"},
      {"scale_pos_weight: 3", "fixed-parameter"},
      {"eval_metric: auc", "fixed-parameter"},
      {"process_type: update", "fixed-parameter"},
      {"seed: 5", "fixed-parameter"},
      {"random_state: 5", "fixed-parameter"},
      {"nthread: 4", "fixed-parameter"},
      {"n_estimators: 100", "fixed-parameter"},
      {"early_stopping_rounds: 9", "fixed-parameter"},
      {"base_score: 0", "bad-parameter"},
      {"base_score: 1", "bad-parameter"},
      {"max_depth: 6.5", "bad-parameter"},
      {"max_depth: -1", "bad-parameter"},
      {"max_depth: deep", "bad-parameter"},
      {"subsample: 0", "bad-parameter"},
      {"subsample: 1.5", "bad-parameter"},
      {"gamma: -1", "bad-parameter"},
      {"gamma: .nan", "bad-parameter"},
      {"max_dept: 6", "unknown-parameter"},
      {"Max_depth: 6", "unknown-parameter"},
      {"num_leaves: 31", "unknown-parameter"},
      // Held against XGBoost 1.7.6, 2.1.4 and 3.1.3: the trees are the same bytes without them.
      {"rate_drop: 0.1", "unused-parameter"},
      {"skip_drop: 0.1", "unused-parameter"},
      {"one_drop: 1, booster: gbtree", "unused-parameter"},
      {"sample_type: weighted", "unused-parameter"},
      {"normalize_type: forest", "unused-parameter"},
      {"normalize_type: forest, booster: dart", "unused-parameter"},
      {"skip_drop: 0.5, booster: dart, rate_drop: 0", "unused-parameter"},
      {"max_bin: 64, tree_method: exact", "unused-parameter"},
      {"max_leaves: 8, tree_method: exact", "unused-parameter"},
      {"grow_policy: lossguide, tree_method: exact", "unused-parameter"},
      {"learning_rate: 0.1", "duplicate-name"},  // the search varies `eta`
  };
  for (const auto& [parameter, id] : faults) {
    const std::string found = finding("parameters: {" + parameter + "}\n");
    EXPECT_NE(found.find(fmt::format("error[{}]", id)), std::string::npos)
        << parameter << ": " << found;
    EXPECT_NE(found.find(id == "duplicate-name" ? "models/m.yaml:10:" : "models/m.yaml:11:"),
              std::string::npos)
        << found;
  }
  EXPECT_NE(finding("standby: {trainer: logistic, parameters: {l2: -1}}\n").find("bad-parameter"),
            std::string::npos);
  EXPECT_NE(finding("standby: {trainer: xgboost, parameters: {rate_drop: 0.5}}\n")
                .find("error[unused-parameter]"),
            std::string::npos);
  EXPECT_NE(
      finding("standby: {trainer: logistic, parameters: {eta: 0.1}}\n").find("unknown-parameter"),
      std::string::npos);
  EXPECT_NE(finding("standby: {trainer: xgboost, parameters: {objective: \"reg:gamma\"}}\n")
                .find("bad-parameter"),
            std::string::npos);
  EXPECT_EQ(finding("standby: {trainer: logistic, parameters: {l2: 2, max_iterations: 30}}\n"), "");
  put("models/m.yaml", head);
  for (const auto& [dimension, id] : std::vector<std::pair<std::string, std::string>>{
           {"{name: max_depth, kind: uniform, low: 3, high: 7}", "bad-search"},
           {"{name: max_depth, kind: choice, choices: [3, 4.5]}", "bad-parameter"},
           {"{name: subsample, kind: uniform, low: 0.5, high: 1.5}", "bad-parameter"},
           {"{name: scale_pos_weight, kind: uniform, low: 1, high: 5}", "fixed-parameter"},
           {"{name: seed, kind: integer, low: 1, high: 5}", "fixed-parameter"},
           {"{name: rounds, kind: integer, low: 1, high: 5}", "fixed-parameter"},
           {"{name: num_leaves, kind: integer, low: 8, high: 64}", "unknown-parameter"},
       }) {
    put("models/m.yaml", head);
    change("models/m.yaml", "{name: eta, kind: log_uniform, low: 0.1, high: 0.3}", dimension);
    const auto found = findings();
    ASSERT_EQ(found.size(), 1U) << dimension;
    EXPECT_NE(found[0].find(fmt::format("error[{}]", id)), std::string::npos)
        << dimension << ": " << found[0];
    EXPECT_NE(found[0].find("models/m.yaml:10:"), std::string::npos) << found[0];
  }
}

TEST_F(SpecTest, AFolderWithoutAProject) {
  const auto loaded = load_project(root_ + "/contracts");
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(loaded.error().id, "project-not-found");
}

TEST_F(SpecTest, OneOfSeveralObjectsIsNamedWithItsContract) {
  change(
      "contracts/c.odcs.yaml", "  - name: rows\n",
      "  - name: other\n    properties:\n      - {name: x, logicalType: array}\n  - name: rows\n");
  EXPECT_EQ(findings(),
            (Lines{"contracts/c.odcs.yaml:6:5: warning[no-fields]: object `other` has no field "
                   "that can be read",
                   "contracts/c.odcs.yaml:8:9: warning[field-not-read]: `x` is of type array: a "
                   "row is flat, so it is not read and its "
                   "rules are not enforced",
                   "features/f.yaml:4:11: error[unknown-name]: there is no contract `c`"}));
  change("features/f.yaml", "contract: c", "contract: c/rows");
  const auto loaded = load_project(root_);
  EXPECT_FALSE(loaded->has_errors());
  EXPECT_EQ(loaded->project.contracts.at("c/rows").fields.size(), 4U);
  change("features/f.yaml", "contract: c/rows", "contract: c/other");
  change("features/f.yaml", "size + 1", "x + 1");
  bool is_named = false;
  for (const auto& line : findings())
    is_named = is_named || line.find("which contract `c/other` has and a flat row cannot hold") !=
                               std::string::npos;
  EXPECT_TRUE(is_named);
}

TEST_F(SpecTest, AFieldHasANameThatAFileCanHave) {
  const auto ids = [&](const std::string& properties, const std::string& rest = "") {
    put("contracts/names.yaml",
        fmt::format("apiVersion: v3.1.0\nkind: DataContract\nid: x\nversion: 1.0.0\nschema:\n- "
                    "{{name: a, properties: [{}]{}}}\n",
                    properties, rest));
    std::string out;
    const auto loaded = load_contracts(root_ + "/contracts/names.yaml");
    for (const auto& each : loaded->diagnostics) out += each.id + " ";
    return out;
  };
  EXPECT_EQ(ids("{name: größe a-b/c, logicalType: integer}"), "");
  EXPECT_EQ(ids("{name: '', logicalType: integer}"), "bad-name ");
  EXPECT_EQ(ids("{name: ' a', logicalType: integer}"), "bad-name ");
  EXPECT_EQ(ids("{name: a, logicalType: integer},{name: A, logicalType: integer}"), "bad-name ");
  // What a run would refuse is found by `check`: the value of another type that a transform gives.
  const std::string transform =
      ", customProperties: [{{property: transforms, vendor: heddle, value: [{{id: t, field: n, "
      "expression: '{}'}}]}}]";
  EXPECT_EQ(ids("{name: n, logicalType: integer}", fmt::format(fmt::runtime(transform), "n + 1")),
            "");
  EXPECT_EQ(ids("{name: n, logicalType: integer}", fmt::format(fmt::runtime(transform), "n * 1.5")),
            "bad-expression ");
}

TEST_F(SpecTest, ContractsWithoutAProject) {
  std::filesystem::remove(root_ + "/heddle.yaml");
  EXPECT_EQ(load_contracts(root_)->project.contracts.size(), 1U) << "other kinds are passed over";
  put("contracts/old.yaml", "apiVersion: v2.2.2\nkind: DataContract\nid: x\nversion: 1.0.0\n");
  const auto old = load_contracts(root_ + "/contracts/old.yaml");
  ASSERT_TRUE(old.ok());
  EXPECT_TRUE(old->has_errors());
  EXPECT_EQ(doc::render_concise(old->diagnostics.at(0)),
            "old.yaml:1:13: error[unknown-value]: this is a contract of version 2 of the Open Data "
            "Contract Standard, which is not read");
  put("contracts/new.yaml", "apiVersion: v4.0.0\nkind: DataContract\nid: x\nversion: 1.0.0\n");
  const auto next = load_contracts(root_ + "/contracts/new.yaml");
  EXPECT_EQ(
      doc::render_concise(next->diagnostics.at(0)),
      "new.yaml:1:1: warning[no-fields]: the contract has no `schema`: it says nothing of rows");
  EXPECT_EQ(doc::render_concise(next->diagnostics.at(1)),
            "new.yaml:1:13: error[unknown-value]: version `v4.0.0` of the Open Data Contract "
            "Standard is not read");
  EXPECT_EQ(load_contracts(root_ + "/data").error().id, "contract-not-found");
  {
    // Not "OK" of the contracts that come before a folder that cannot be read.
    std::filesystem::create_directory(root_ + "/contracts/closed");
    ASSERT_EQ(::chmod(root_.c_str(), 0755), 0);
    const fixture::ClosedFolder closed(root_ + "/contracts/closed");
    const auto some = load_contracts(root_ + "/contracts");
    ASSERT_FALSE(some.ok());
    EXPECT_EQ(some.error().id, "file-io-failed");
  }
  std::filesystem::remove(root_ + "/contracts/closed");
  const std::string head = "apiVersion: v3.1.0\nkind: DataContract\nid: x\nversion: 1.0.0\n";
  put("contracts/old.yaml", head + "schema: []\n");
  EXPECT_EQ(load_contracts(root_ + "/contracts/old.yaml")->diagnostics.at(0).id, "no-fields");
  put("contracts/old.yaml",
      head + "schema:\n- {name: a, properties: [{name: x, logicalType: date}]}\n- {name: a}\n");
  EXPECT_EQ(load_contracts(root_ + "/contracts/old.yaml")->diagnostics.at(0).id, "duplicate-name");
  EXPECT_TRUE(load_contracts(root_ + "/services/s.yaml")->has_errors());
}

TEST(Schema, EveryKindHasOneAndItIsClosed) {
  for (const auto& kind : kinds().names()) {
    const auto value = schema(kind);
    ASSERT_TRUE(value.ok());
    EXPECT_EQ(value->find("additionalProperties")->as_bool(), false) << kind;
    EXPECT_NE(reference(kind)->find("| `apiVersion` |"), std::string::npos) << kind;
  }
  EXPECT_EQ(schema("Modell").error().hint, "did you mean `Model`?");
}

TEST(Example, TheFlightsAreWell) {
  // Its data is not in the repository: missing sources are the only findings.
  const auto loaded = load_project("examples/flights");
  ASSERT_TRUE(loaded.ok()) << loaded.error().str();
  for (const auto& each : loaded->diagnostics) {
    EXPECT_TRUE(each.id == "source-missing" || each.id == "file-missing")
        << doc::render_concise(each) << "\n"
        << each.hint;
  }
}

TEST_F(SpecTest, AMonitorThatCanNeverAlertIsAnError) {
  const std::string head = "apiVersion: heddle/v1\nkind: Monitor\nname: w\nservice: s\n";
  const std::string size = "distributions: [{name: size, column: size, kind: ks, floor: 0.1}]\n";
  const auto metric = [](const std::string& rest) {
    return "distributions: [{name: m, " + rest + "}]\nquality: {}\n";
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {size + "quality: {chunk_duration: 8d}\n", "never-alerts"},  // 8d + 1d is past 7d
      {size + "quality: {chunk_duration: 7d}\n", "never-alerts"},  // 7d + 1d
      {size + "quality: {chunk_duration: 6d}\n", ""},              // 6d + 1d
      {size + "label_delay: 7d\nquality: {}\n", "never-alerts"},
      {size + "label_delay: 8d\n", "never-alerts"},  // also without quality: no label finds its row
      {size + "label_retention: 1d\nquality: {}\n", "never-alerts"},
      {size + "quality: {chunk_duration: 0d}\n", "never-alerts"},
      {size + "quality: {alert_once: 0.9}\n",
       "never-alerts"},  // below alert_twice 1.0: never confirmed
      {size + "quality: {alert_twice: .inf}\n", "never-alerts"},
      {size + "quality: {prior_shift: .nan}\n", "wrong-type"},
      {size + "quality: {prior_shift: -1}\n", "bad-value"},
      {size + "quality: {}\nwindow: 0d\n", "never-alerts"},
      {size + "quality: {}\nrefused_share: 1\n", "never-alerts"},
      {size + "quality: {}\nrefused_share: .nan\n", "wrong-type"},
      {size + "quality: {}\nrefused_share: -0.1\n", "bad-value"},
      {size + "quality: {}\nquarantined_good_rows: 0\n", "always-alerts"},
      {size + "quality: {}\nquarantined_good_rows: 1\n", ""},
      {size + "quality: {}\nquarantined_good_rows: 9000000000000000000\n", "never-alerts"},
      {size + "quality: {}\nquarantined_good_rows: -1\n", "out-of-range"},
      {size + "quality: {}\nrefused_rows: 9000000000000000000\n", "never-alerts"},
      {size + "quality: {}\nrefused_rows: 0\n", "out-of-range"},
      {size + "quality: {}\nwindow_rows: 9000000000000000000\n", "never-alerts"},
      {size + "quality: {}\nwindow_rows: 0\n", "out-of-range"},
      // Together they would not fit into 64 bits.
      {size + "label_delay: 1d\nquality: {chunk_duration: 106751991d}\n", "bad-duration"},
      {size + "quality: {}\nwindow: 3650001d\n", "bad-duration"},
      {size + "quality: {}\nwindow: 3650000d\n", "never-alerts"},
      {size + "quality: {}\nwindow: 99999d\n", "never-alerts"},
      {size + "quality: {}\ncool_down: 99999d\n", "never-alerts"},
      {size + "quality: {}\nlabel_retention: 99999d\n", "never-alerts"},
      {size + "quality: {chunk_rows: 9000000000000000000}\n", "never-alerts"},
      {size + "quality: {chunk_rows: 0}\n", "out-of-range"},
      {size + "quality: {prior_shift: 20}\n", "never-alerts"},  // no intercept is fitted past it
      {size + "quality: {prior_shift: 19}\n", ""},
      {size + "quality: {prior_shift: 0}\n", "always-alerts"},
      {size + "quality: {prior_shift_chunks: 2000000}\n", "never-alerts"},
      {size + "quality: {prior_shift_chunks: 4294967297}\n", "out-of-range"},  // was read as 1
      {size + "quality: {prior_shift_chunks: 0}\n", "out-of-range"},
      {size + "quality: {alert_twice: 0, sds: 0}\n", "always-alerts"},
      {size + "quality: {alert_twice: 0}\n", ""},  // the reference decides
      {size + "quality: {sds: .inf}\n", "never-alerts"},
      {size + "quality: {}\nrules: [{id: r, expression: size > 1, window_rows: "
              "9000000000000000000}]\n",
       "never-alerts"},
      {size + "quality: {}\nrules: [{id: r, expression: size > 1, window_rows: 0}]\n",
       "out-of-range"},
      {size + "quality: {}\nrules: [{id: r, expression: size > 1, threshold: -1}]\n", "bad-value"},
      {size + "quality: {}\nrules: [{id: r, expression: size > 1, threshold: 1}]\n",
       "never-alerts"},
      {size + "quality: {}\nrules: [{id: r, expression: size > 1, threshold: 1.5}]\n",
       "never-alerts"},
      {size +
           "quality: {}\nrules: [{id: r, expression: size > 1}, {id: r, expression: size > 2}]\n",
       "duplicate-name"},
      {metric("column: size, kind: ks, floor: 1"), "never-alerts"},
      {metric("column: size, kind: ks, floor: 1.2"), "never-alerts"},
      {metric("column: size, kind: ks, floor: .nan"), "wrong-type"},
      {metric("column: size, kind: ks, floor: -0.1"), "bad-value"},
      {metric("column: size, kind: ks, sds: .inf"), "never-alerts"},
      {metric("column: size, kind: ks, floor: 0, sds: 0"), "always-alerts"},
      {metric("column: size, kind: ks, floor: 0"), ""},
      {metric("column: size, kind: ks"), ""},
      {metric("column: size, kind: total_variation"), ""},
      {metric("column: size, kind: hour_of_day"), "watch-kind"},
      {metric("column: place, kind: ks"), "watch-kind"},
      {metric("column: place, kind: hour_of_day"), "watch-kind"},
      {metric("column: place, kind: total_variation"), ""},
      {metric("column: at, kind: total_variation"), "watch-kind"},
      {metric("column: at, kind: hour_of_day"), ""},
      {metric("column: at, kind: hour_of_day") + "window: 6h\n",
       "never-alerts"},                                   // six hours are not a day's
      {metric("column: at, kind: ks"), "always-alerts"},  // the time that orders the rows
      {metric("column: prediction, kind: ks"), ""},
      {metric("column: prediction, kind: total_variation"), "watch-kind"},
      {metric("column: late, kind: ks"), "unknown-name"},  // comes with the label
      {metric("column: base, kind: ks"), "unknown-name"},  // a feature is not in the traffic
      {metric("column: sise, kind: ks"), "unknown-name"},
      {metric("column: size, kind: ks}, {name: m, column: place, kind: total_variation"),
       "duplicate-name"},
  };
  for (const auto& [text, id] : cases) {
    put("monitors/w.yaml", head + text);
    const auto loaded = load_project(root_);
    std::vector<std::string> errors;
    for (const auto& each : loaded->diagnostics) {
      if (each.severity != doc::Severity::kError) continue;
      errors.push_back(each.id);
      EXPECT_GT(each.position.line, 0) << text;
      EXPECT_FALSE(each.hint.empty()) << text;
    }
    EXPECT_EQ(errors, id.empty() ? std::vector<std::string>{} : std::vector<std::string>{id})
        << text;
  }
}

/// What comes out the same whatever the rows are, at each place of an expression.
TEST_F(SpecTest, AnExpressionThatFailsOrDecidesAlikeOnEveryRowIsTold) {
  struct Change {
    std::string file;
    std::string what;
    std::string with;
    Lines expected;
  };
  const std::string contract = "contracts/c.odcs.yaml";
  const std::string rule = "severity: warning\n        implementation: {expression: size != 3}";
  const auto refusal = [&](const std::string& expression) {
    return "implementation: {expression: \"" + expression + "\"}";
  };
  const auto set = [](const std::string& text) { return "metric: rowCount, " + text; };
  const std::string rows = "metric: rowCount, mustBeGreaterThan: 1";
  const std::vector<Change> cases = {
      {contract,
       rule,
       refusal("size / 0 > 1"),
       {"c.odcs.yaml:25:39: error[always-fails]: rule `odd`: `/` always fails: an integer is "
        "divided by 0"}},
      {contract,
       rule,
       refusal("size > 1 && int(string(at)) > 3"),
       {"c.odcs.yaml:25:51: error[always-fails]: rule `odd`: `int` fails on every value that it "
        "can "
        "get"}},
      {contract,
       rule,
       refusal("size > null"),
       {"c.odcs.yaml:25:39: error[always-fails]: rule `odd` is missing on every row: it computes "
        "with `null`"}},
      {contract,
       rule,
       refusal("getMonth(at) == 12"),
       {"c.odcs.yaml:25:39: error[never-true]: rule `odd` is never true: it refuses every row"}},
      {contract,
       rule,
       "severity: warning\n        " + refusal("size > 5 && size < 3"),
       {"c.odcs.yaml:26:39: warning[never-true]: rule `odd` is never true: it warns of every row"}},
      {contract,
       rule,
       refusal("size != 1 || size != 2"),
       {"c.odcs.yaml:25:39: warning[always-true]: rule `odd` is always true: only a row that lacks "
        "what it reads breaks it"}},
      // Rows outside of the bounds break their own rule and this one: it is not known to hold.
      {contract, rule, refusal("size <= 9"), {}},
      {contract,
       rows,
       set("mustBeLessThan: 0"),
       {"c.odcs.yaml:21:9: error[never-true]: rule `enough` is never true: it refuses every set "
        "of "
        "rows"}},
      {contract,
       rows,
       set("mustBe: 0.5, severity: warning"),
       {"c.odcs.yaml:21:9: warning[never-true]: rule `enough` is never true: it warns of every "
        "set "
        "of rows"}},
      {contract,
       rows,
       set("mustBeGreaterOrEqualTo: 0"),
       {"c.odcs.yaml:21:9: warning[always-true]: rule `enough` is always true: no set of rows "
        "breaks it"}},
      {contract,
       "id: enough, type: library, metric: rowCount, mustBeGreaterThan: 1",
       "id: enough, type: sql, query: SELECT COUNT(*) FROM rows WHERE size > 5 AND size < 3, "
       "mustBe: 0",
       {"c.odcs.yaml:21:9: warning[never-true]: the condition of rule `enough` is never true: no "
        "row counts, and the rule measures nothing"}},
      {"features/f.yaml",
       "expression: size + 1",
       "expression: size % (3 - 3)",
       {"features/f.yaml:7:30: error[always-fails]: feature `base`: `%` always fails: an integer "
        "is "
        "divided by 0"}},
      {"features/f.yaml",
       "expression: size + 1",
       "expression: 'bucket(size, size - 20)'",
       {"features/f.yaml:7:31: error[always-fails]: feature `base`: `bucket` fails on every value "
        "that it can get"}},
      {"models/m.yaml",
       "late > 0",
       "late == 1 && late == 0",
       {"models/m.yaml:5:9: error[never-true]: the target is never true: every row has the same "
        "label, and nothing can be learned"}},
      {"evaluations/e.yaml",
       "metrics.auc > 0.5",
       "metrics.auc > 70",
       {"evaluations/e.yaml:8:22: error[never-true]: gate `good` is never true: no candidate ever "
        "passes it"}},
      {"evaluations/e.yaml", "metrics.auc > 0.5", "base.auc >= 0 || metrics.auc < 0.5", {}},
      {"evaluations/e.yaml",
       "metrics.auc > 0.5",
       "leakage.duplicate_rows < 0 - 1",
       {"evaluations/e.yaml:8:22: error[never-true]: gate `good` is never true: no candidate ever "
        "passes it"}},
      {"monitors/w.yaml",
       "quality:",
       "rules: [{id: r, expression: getHours(at) < 24}]\nquality:",
       {"monitors/w.yaml:6:29: error[always-true]: rule `r` is always true: it alerts whatever "
        "comes"}},
      {"monitors/w.yaml",
       "quality:",
       "rules: [{id: r, expression: at == at && size == null && size > 1}]\nquality:",
       {"monitors/w.yaml:6:29: error[never-true]: rule `r` is never true: it never alerts"}},
      {"policies/p.yaml",
       "action: slot.swap",
       "action: slot.swap, when: a.b == 1 && false",
       {"policies/p.yaml:5:71: warning[never-true]: the condition of rule `yes` is never true: the "
        "rule never applies"}},
      {"policies/p.yaml",
       "action: slot.swap",
       "action: slot.swap, when: a.b > 1 / 0",
       {"policies/p.yaml:5:77: error[always-fails]: the condition of rule `yes`: `/` always fails: "
        "an integer is divided by 0"}},
      {"policies/p.yaml", "action: slot.swap", "action: slot.swap, when: a.b > 1 || a.b <= 1", {}},
  };
  for (const Change& each : cases) {
    const std::string before = *read_file(root_ + "/" + each.file);
    change(each.file, each.what, each.with);
    Lines found = findings();
    for (auto& line : found)
      if (line.starts_with("contracts/")) line = line.substr(10);
    EXPECT_EQ(found, each.expected) << each.with;
    put(each.file, before);
  }
}

TEST_F(SpecTest, AMetricOfTheProjectHasNoBuiltInRange) {
  const auto gate = [&](const std::string& name, const std::string& own, const std::string& slice) {
    put("evaluations/e.yaml",
        fmt::format("apiVersion: heddle/v1\nkind: Evaluation\nname: e\nmodel: m\nmetrics:\n"
                    "  - {{name: auc}}\n"
                    "  - {{name: {}, expression: probability, aggregation: sum}}\n"
                    "slices: [{{name: {}, field: place}}]\ngates:\n"
                    "  - {{id: good, when: {} >= 100}}\n",
                    own, slice, name));
    return findings();
  };
  EXPECT_EQ(gate("metrics.accuracy", "accuracy", "place"), Lines{});
  EXPECT_EQ(gate("slices.place.log_loss_max", "log_loss", "place"), Lines{});
  EXPECT_EQ(gate("slices.recall.profit_min", "profit", "recall"), Lines{});
  // A built-in metric keeps its range, also of a slice that is called like one.
  for (const char* name : {"metrics.auc", "base.auc", "slices.recall.auc_min", "constant.auc"}) {
    const Lines found = gate(name, "profit", "recall");
    ASSERT_EQ(found.size(), 1U) << name;
    EXPECT_NE(found[0].find("error[never-true]"), std::string::npos) << found[0];
  }
  // The simple answers are measured by the built-in metrics, whatever the project computes.
  EXPECT_EQ(gate("constant.auc", "log_loss", "place").size(), 1U);
}

TEST_F(SpecTest, AShareIsANumber) {
  EXPECT_EQ(parse_share("5%"), 500U);
  EXPECT_EQ(parse_share("0.01%"), 1U);
  for (const char* text : {"nan%", "-nan%", "inf%", "101%", "-1%", "0.001%", "5", "%", ""})
    EXPECT_FALSE(parse_share(text).has_value()) << text;
}

TEST_F(SpecTest, ANumberOfAPolicyThatNeverOrAlwaysAppliesIsAnError) {
  const std::string head =
      "apiVersion: heddle/v1\nkind: Policy\nname: q\nrules:\n"
      "  - {id: r, effect: allow, who: \"agent:*\", action: slot.swap}\n";
  const auto needs = [](const std::string& text) {
    return "  - {id: a, effect: require_approval, who: \"person:*\", action: release.promote, "
           "needs: {role: approver, " +
           text + "}}\n";
  };
  const auto fail_over = [](const std::string& text) {
    return "failover: {allowed: true, " + text + "}\n";
  };
  const auto retrain = [](const std::string& text) {
    return "recovery: {retrain: {" + text + "}}\n";
  };
  const auto recalibrate = [](const std::string& text) {
    return "recovery: {recalibrate: {" + text + "}}\n";
  };
  const auto quarantine = [](const std::string& text) {
    return "recovery: {quarantine: {" + text + "}}\n";
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {needs("approvals: 1, within: 7d"), ""},
      {needs("approvals: 2"), "never-applies"},  // one person has the role
      {needs("approvals: 0"), "out-of-range"},
      {needs("approvals: 4294967297"), "out-of-range"},  // was read as 1
      {needs("within: 0d"), "never-applies"},
      {needs("within: 99999d"), "never-applies"},
      {"budgets: [{id: b, action: slot.swap, limit: 4, window: 1d}]\n", ""},
      {"budgets: [{id: b, action: slot.swap, limit: 0, window: 1d}]\n", "never-applies"},
      {"budgets: [{id: b, action: slot.swap, limit: -1, window: 1d}]\n", "out-of-range"},
      {"budgets: [{id: b, action: slot.swap, limit: 9000000000000000000}]\n", "never-applies"},
      {"budgets: [{id: b, action: slot.swap, limit: 4, window: 99999d}]\n", "never-applies"},
      {fail_over("requests: 1000000, most: 1000"), ""},
      {fail_over("requests: 1000001"), "never-applies"},  // no route table holds it
      {fail_over("requests: 0"), "out-of-range"},
      {fail_over("most: 1001"), "never-applies"},
      {fail_over("most: 0"), "out-of-range"},
      {fail_over("failed_share: 0"), "always-applies"},
      {fail_over("failed_share: 1"), ""},
      {fail_over("failed_share: 1.5"), "bad-share"},
      {fail_over("refused_share: 0"), "always-applies"},
      {fail_over("refused_share: 1"), ""},  // written down as never
      {retrain("max_rows: 28000, event_time_cost: 4h"), ""},
      {retrain("max_rows: 100, event_time_cost: 4h"), "never-applies"},  // a retrain wants 200
      {retrain("max_rows: 9000000000000000000, event_time_cost: 4h"), "never-applies"},
      {retrain("max_rows: 28000, event_time_cost: 99999d"), "never-applies"},
      {recalibrate("step: 0.5, sum: 20"), ""},
      {recalibrate("step: 0"), ""},  // each is asked about
      {recalibrate("step: -0.5"), "out-of-range"},
      {recalibrate("step: 20.5"), "never-applies"},  // no intercept is fitted past 20 logits
      {recalibrate("sum: 1000"), "never-applies"},
      {quarantine("good_rows: 500"), ""},
      {quarantine("good_rows: 0"), ""},  // each that holds back a good row is asked about
      {quarantine("good_rows: -1"), "out-of-range"},
      {quarantine("good_rows: 9000000000000000000"), "never-applies"},
  };
  for (const auto& [text, id] : cases) {
    put("policies/q.yaml", head + text);
    const auto loaded = load_project(root_);
    std::vector<std::string> errors;
    for (const auto& each : loaded->diagnostics) {
      if (each.severity != doc::Severity::kError) continue;
      errors.push_back(each.id);
      EXPECT_GT(each.position.line, 1) << text;
      EXPECT_FALSE(each.hint.empty()) << text;
    }
    EXPECT_EQ(errors, id.empty() ? std::vector<std::string>{} : std::vector<std::string>{id})
        << text;
  }
}

TEST_F(SpecTest, WhatIsNotWatchedIsSaidAndIsNoError) {
  put("monitors/w.yaml", "apiVersion: heddle/v1\nkind: Monitor\nname: w\nservice: s\n");
  const auto loaded = load_project(root_);
  EXPECT_FALSE(loaded->has_errors());
  EXPECT_EQ(findings(),
            (std::vector<std::string>{
                "monitors/w.yaml:1:1: warning[not-watched]: no distributions: no column is watched",
                "monitors/w.yaml:1:1: warning[not-watched]: no quality section: labelled quality "
                "is not watched"}));
  EXPECT_FALSE(loaded->project.monitors.at("w").labelled_quality);
}

TEST_F(SpecTest, AMonitorThatItsServiceDoesNotNameIsAnError) {
  put("monitors/spare.yaml",
      "apiVersion: heddle/v1\nkind: Monitor\nname: spare\nservice: s\nquality: {}\ndistributions:\n"
      "  - {name: size, column: size, kind: ks}\n");
  EXPECT_EQ(findings(),
            (std::vector<std::string>{"monitors/spare.yaml:4:10: error[monitor-unused]: service "
                                      "`s` is watched by monitor `w`: this one watches nothing"}));
}

}  // namespace
}  // namespace heddle::spec
