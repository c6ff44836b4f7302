// A trainer of the project's own, from its file to a bundle and a retrain. Needs the environment of
// tests/trainers.txt, `trainers-venv` of the build folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bundle/bundle.hpp"
#include "doc/json.hpp"
#include "flow/flow_fixture.hpp"
#include "flow/retrain.hpp"
#include "flow/step.hpp"
#include "flow/variant.hpp"
#include "score/plan.hpp"
#include "train/own.hpp"

namespace heddle::flow {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string environment() {
  return (std::filesystem::path(g_self).parent_path() / "../../trainers-venv").lexically_normal();
}

constexpr std::string_view kImports = "import heddle\nimport numpy\nimport pandas\n";
/// One that the engine reads, on the feature set's columns.
constexpr std::string_view kTrees = R"(
from sklearn.ensemble import HistGradientBoostingClassifier

@heddle.train
def fit(train, valid, params):
    print("rows", len(train), "depth", params.depth)
    assert isinstance(params.depth, int) and isinstance(params.rate, float)
    assert params.word == "6" and params.sure is True and params.seed == 5
    return HistGradientBoostingClassifier(
        max_iter=30, max_depth=params.depth, learning_rate=params.rate, random_state=params.seed
    ).fit(train.frame, train.target)
)";
constexpr std::string_view kPipeline = R"(
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

def hours(frame):
    return frame.apply(lambda column: column.dt.hour)

@heddle.train
def fit(train, valid, params):
    assert [str(each) for each in train.frame.dtypes] == ["datetime64[us, UTC]", "str", "int64"]
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["place"]),
        (make_pipeline(FunctionTransformer(hours), StandardScaler()), ["at"]),
        (StandardScaler(), ["size"]),
    )
    return make_pipeline(columns, LogisticRegression()).fit(train.frame, train.target)
)";
constexpr std::string_view kCategories = R"(
import lightgbm

COLUMNS = ["place", "size"]

class Model:
    def __init__(self, booster):
        self.booster = booster
    def predict(self, frame):
        return self.booster.predict(frame[COLUMNS])
    def predict_proba(self, frame):
        late = self.booster.predict(frame[COLUMNS])
        return numpy.column_stack([1 - late, late])
    classes_ = numpy.array([0, 1])

@heddle.train(strings="category")
def fit(train, valid, params):
    assert str(train.frame["place"].dtype) == "category"
    data = lightgbm.Dataset(train.frame[COLUMNS], train.target)
    options = {"objective": "binary", "verbose": -1, "seed": params.seed}
    return Model(lightgbm.train(options, data, 20))
)";

/// A project whose model has a trainer of its own.
class Own : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!path_exists(environment() + "/bin/python"))
      GTEST_SKIP() << "no " << environment() << ": scripts/install_deps.sh --tests makes it";
  }
  void define(std::string_view trainer, const std::string& inputs = "features",
              const std::string& more = "") {
    scene_.put("trainers/mine.py", std::string(kImports) + std::string(trainer));
    std::string text = *read_file(scene_.root + "/models/m.yaml");
    const auto begin = text.find("search:");
    text.replace(begin, text.find("standby:") - begin,
                 fmt::format("trainer: exec\nexec:\n  file: trainers/mine.py\n  lock: "
                             "trainers/mine.lock\n  python: {}\n  inputs: {}\n{}"
                             "parameters: {{rate: 1, word: \"6\", sure: true}}\nsearch:\n  trials: "
                             "2\n  space:\n    - {{name: depth, kind: integer, low: 2, high: 4}}\n",
                             environment(), inputs, more));
    text.replace(text.find("rate: 1,"), 8, "rate: 0.5,");
    scene_.put("models/m.yaml", text);
    if (lock_.empty()) {
      scene_.put("trainers/mine.lock", "# to be written\n");
      const auto project = scene_.project();
      const auto locked = train::lock_of(
          *project.models.at("m").exec, scene_.root + "/.heddle/runtime", scene_.root + "/.heddle");
      ASSERT_TRUE(locked.ok()) << locked.error().str();
      lock_ = *locked;
    }
    scene_.put("trainers/mine.lock", lock_);
  }
  Result<RunResult> run(const std::string& until = {}) {
    said_.clear();
    return scene_.run(until, [&](const Progress& progress) {
      if (progress.kind == Progress::Kind::kNote)
        said_ += progress.step + ": " + progress.text + "\n";
    });
  }
  [[nodiscard]] bundle::Bundle open(const Digest& digest) {
    return *bundle::open(*scene_.objects, digest);
  }
  Scene scene_;
  std::string said_;
  std::string lock_ = kept_lock();

 private:
  /// Of one environment there is one lock.
  static std::string& kept_lock() {
    static std::string lock;
    return lock;
  }
  void TearDown() override { kept_lock() = lock_; }
};

TEST_F(Own, ATreeOfScikitLearnIsScoredByTheEngineWhereItAnswersTheSame) {
  define(kTrees);
  const auto ran = run();
  ASSERT_TRUE(ran.ok()) << ran.error().str();
  EXPECT_THAT(said_, HasSubstr("train: rows 2100 depth ")) << "what it prints is progress";
  const auto made = open(ran->candidate.bundle);
  EXPECT_TRUE(made.has(bundle::kModel));
  EXPECT_FALSE(made.has(bundle::kRuntime));
  const auto trainer = *made.json(bundle::kTrainer);
  EXPECT_EQ(trainer.string_or("scored_by"), "engine") << doc::to_json(trainer);
  EXPECT_EQ(trainer.find("parity")->int_or("rows"), 450);
  EXPECT_LE(trainer.find("parity")->double_or("largest_difference", 1), 1e-6);
  EXPECT_THAT(doc::to_json(trainer), HasSubstr("scikit-learn"));
  EXPECT_THAT(std::string(*made.layer(bundle::kStatements)), HasSubstr("trainer.json"));
  EXPECT_EQ(made.config().trainer, "exec");
  ASSERT_TRUE(made.config().search.has_value());
  EXPECT_EQ(made.config().search->trials, 2);
  EXPECT_TRUE(score::Plan::load(made).ok());
  // A recalibration keeps what is known of the trainer.
  const auto calibrated = with_calibration(*scene_.objects, ran->candidate.bundle, {{0.1}, {}}, "");
  ASSERT_TRUE(calibrated.ok()) << calibrated.error().str();
  EXPECT_EQ(*open(*calibrated).layer(bundle::kTrainer), *made.layer(bundle::kTrainer));

  EXPECT_EQ(scene_.to_run(), Names{});
  scene_.put("README.md", "other\n");
  EXPECT_EQ(scene_.to_run(), Names{});
  // Its file and its lock are part of what it is.
  scene_.put("trainers/mine.lock", lock_ + "# again\n");
  EXPECT_THAT(scene_.to_run(), ::testing::IsSupersetOf({"search", "train"}));
  EXPECT_THAT(scene_.planned()["search"].reason, HasSubstr("trainers/mine.lock"));
  EXPECT_THAT(scene_.to_run(), Not(::testing::Contains("features")));
}

TEST_F(Own, APipelineWithOneHotIsServedByAWorkerAndRetrained) {
  define(kPipeline, "fields", "  memory_bytes: 2147483648\n");
  const auto ran = run();
  ASSERT_TRUE(ran.ok()) << ran.error().str() << said_;
  const auto made = open(ran->candidate.bundle);
  ASSERT_TRUE(made.has(bundle::kRuntime)) << said_;
  const auto trainer = *made.json(bundle::kTrainer);
  EXPECT_EQ(trainer.string_or("scored_by"), "worker");
  EXPECT_THAT(trainer.string_or("why"), HasSubstr("fields"));
  EXPECT_EQ(trainer.find("parity")->int_or("rows"), 450);
  const auto plan = score::Plan::load(made);
  ASSERT_TRUE(plan.ok()) << plan.error().str();
  // A value that was never seen, which the contract refuses here, does not take others along.
  const auto rows = make_rows(40, 3);
  const auto scored = (*plan)->score_table(rows);
  ASSERT_TRUE(scored.ok()) << scored.error().str();
  for (const float each : scored->predictions) EXPECT_TRUE(each > 0 && each < 1);

  Recorded recorded;
  recorded.base = ran->candidate.bundle;
  recorded.recipe = *made.config().search;
  recorded.recipe.bundle = recorded.base;
  recorded.before.why_not = "there are none";
  const auto later = make_rows(2000, 5);
  std::vector<table::Column> columns;
  for (const auto& column : later.columns()) {
    if (column.name != "late") columns.push_back(column);
  }
  recorded.rows = *table::Table::make(columns);
  for (const auto late : later.find("late")->ints) recorded.labels.push_back(late > 15 ? 0 : 1);
  for (const auto at : later.find("at")->ints) recorded.event_times.push_back(at + 40 * kDay);
  Host host = scene_.host;
  host.state_dir = scene_.root + "/.heddle/runs/retrain-1";
  auto project = scene_.project();
  project.commit = "c0ffee";
  const auto retrained = retrain(project, "m", host, recorded);
  ASSERT_TRUE(retrained.ok()) << retrained.error().str();
  ASSERT_TRUE(retrained->gates_passed)
      << fmt::format("{}", fmt::join(retrained->failed_gates, ","));
  const auto again = open(retrained->bundle);
  EXPECT_TRUE(again.has(bundle::kRuntime));
  EXPECT_TRUE(again.config().is_retrained());
  EXPECT_NE(*again.layer(bundle::kRuntimeFiles), *made.layer(bundle::kRuntimeFiles));
  EXPECT_LT(retrained->metrics.at("log_loss"), retrained->base_metrics.at("log_loss"));
}

TEST_F(Own, LightGbmWithCategoriesOfAFrameIsServedByAWorker) {
  define(kCategories, "fields");
  const auto ran = run();
  ASSERT_TRUE(ran.ok()) << ran.error().str() << said_;
  const auto made = open(ran->candidate.bundle);
  EXPECT_TRUE(made.has(bundle::kRuntime));
  EXPECT_EQ(made.json(bundle::kTrainer)->string_or("returned"), "mine.Model");
  EXPECT_TRUE(score::Plan::load(made).ok());
}

// ---- what goes wrong

struct Bad {
  const char* name;
  const char* trainer;
  const char* id;
  const char* says;  ///< in the message
};

// More of them: src/train/own_test.cpp.
constexpr Bad kBad[] = {
    {"Raises", "@heddle.train\ndef fit(train, valid, params):\n    return {}['a row']\n",
     "own-raised", "trainers/mine.py:6 in fit: KeyError: 'a row'"},
    {"CannotBeLoadedAgain",
     "class Model:\n    def predict_proba(self, frame): return numpy.full((len(frame), 2), .5)\n"
     "    classes_ = [0, 1]\n    def __reduce__(self): return (broken, ())\n"
     "def broken(): raise RuntimeError('not again')\n"
     "@heddle.train\ndef fit(train, valid, params): return Model()\n",
     "own-not-loaded", "not again"},
    {"AnswersOtherwiseInAWorker",
     "import os\ndef ask(frame): return numpy.full(len(frame), .5 if 'HEDDLE_WORKER_MODEL' in "
     "os.environ else .6)\n@heddle.train\ndef fit(train, valid, params): return ask\n",
     "own-worker-differs", "by up to 0.1"},
};

class OwnBad : public Own, public ::testing::WithParamInterface<Bad> {};

TEST_P(OwnBad, IsSaidWithWhereAndWhatToDo) {
  const Bad& bad = GetParam();
  define(bad.trainer, "features", "  memory_bytes: 600000000\n  timeout_s: 100\n");
  // With nothing to vary there is one trial, and what it says is said of the run.
  scene_.change(
      "models/m.yaml",
      "search:\n  trials: 2\n  space:\n    - {name: depth, kind: integer, low: 2, high: 4}\n",
      "search: {trials: 1, space: []}\n");
  const auto ran = run("train");
  ASSERT_FALSE(ran.ok()) << said_;
  EXPECT_EQ(ran.error().id, bad.id) << ran.error().str() << said_;
  EXPECT_THAT(ran.error().message, HasSubstr(bad.says)) << ran.error().str() << said_;
  EXPECT_FALSE(ran.error().hint.empty());
}

INSTANTIATE_TEST_SUITE_P(Trainers, OwnBad, ::testing::ValuesIn(kBad),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace heddle::flow
