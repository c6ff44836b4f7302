// Trainers of one's own in their sandbox, what is said of bad ones, and what the engine and a
// worker make of what they return. Needs the environment of tests/trainers.txt, `trainers-venv` of
// the build folder.
#include "train/own.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "model/scorer.hpp"
#include "model/task_link.hpp"
#include "runtime/endpoint.hpp"

namespace heddle::train {
namespace {

namespace fs = std::filesystem;
using stats::TaskKind;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kTrain = 900;
constexpr std::int64_t kValid = 300;
constexpr std::string_view kHead = "import heddle\nimport numpy\nimport os\n";

std::string environment() {
  const fs::path self = fs::read_symlink("/proc/self/exe");
  return (self.parent_path() / "../../trainers-venv").lexically_normal().string();
}

stats::Task task_of(TaskKind kind) {
  if (kind == TaskKind::kClasses) return {kind, {"low", "middle", "high"}};
  return {kind};
}

/// Two features, the first missing in places, and a text; labels that follow from them.
struct SampleRows {
  OwnRows rows{};
  std::vector<float> valid_features{};
};

SampleRows make_rows(TaskKind kind, bool has_text) {
  SampleRows out;
  std::uint32_t state = 7;
  const auto draw = [&] {
    state = state * 1664525U + 1013904223U;
    return static_cast<double>(state >> 8) / 16777216.0;
  };
  const auto part = [&](std::int64_t count, table::Table& rows, std::vector<double>& codes,
                        bool is_valid) {
    table::Column x{.name = "x", .type = table::Type::kDouble};
    table::Column y{.name = "y", .type = table::Type::kDouble};
    table::Column text{.name = "text", .type = table::Type::kString};
    text.dictionary = std::make_shared<const table::Dictionary>(std::vector<std::string>{"a", "b"});
    for (std::int64_t i = 0; i < count; ++i) {
      const auto first = static_cast<float>(draw() * 4 - 2);
      const auto second = static_cast<float>(draw() * 4 - 2);
      const bool is_missing = i % 17 == 3;
      const float known = is_missing ? std::nanf("") : first;
      x.doubles.push_back(static_cast<double>(known));
      y.doubles.push_back(static_cast<double>(second));
      text.codes.push_back(draw() < 0.5 ? 0 : 1);
      const double sum = (is_missing ? 0 : static_cast<double>(first)) +
                         static_cast<double>(second) + (has_text ? text.codes.back() : 0);
      const double noisy = sum + draw() - 0.5;
      codes.push_back(kind == TaskKind::kBinary    ? (noisy > 0 ? 1 : 0)
                      : kind == TaskKind::kClasses ? (noisy < -1  ? 0
                                                      : noisy < 1 ? 1
                                                                  : 2)
                                                   : 100 * noisy);
      if (is_valid) out.valid_features.insert(out.valid_features.end(), {known, second});
    }
    std::vector<table::Column> columns{x, y};
    if (has_text) columns.push_back(text);
    rows = *table::Table::make(std::move(columns));
  };
  part(kTrain, out.rows.train, out.rows.train_codes, false);
  part(kValid, out.rows.valid, out.rows.valid_codes, true);
  return out;
}

/// The lock of the environment, written once.
const Result<std::string>& lock() {
  static const Result<std::string> locked = [] {
    const fixture::Folder folder;
    spec::Exec exec;
    exec.python = environment();
    exec.worker.memory_bytes = std::int64_t{1} << 30;
    return lock_of(exec, folder / "runtime", folder.path());
  }();
  return locked;
}

class OwnTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!path_exists(environment() + "/bin/python"))
      GTEST_SKIP() << "no " << environment() << ": scripts/install_deps.sh --tests makes it";
    ASSERT_TRUE(lock().ok()) << lock().error().str();
  }
  Result<OwnFitted> fit(std::string_view trainer, TaskKind kind = TaskKind::kBinary,
                        bool has_text = false) {
    spec::Exec exec;
    exec.inputs = has_text ? spec::Runtime::Inputs::kFields : spec::Runtime::Inputs::kFeatures;
    exec.sources = {{"trainers/mine.py", std::string(kHead) + std::string(trainer)},
                    {"trainers/mine.lock", lock_.empty() ? *lock() : lock_}};
    made_ = make_rows(kind, has_text);
    const std::string rows = folder_ / "rows";
    HEDDLE_TRY(write_own_rows(rows, made_.rows));
    HEDDLE_ASSIGN_OR_RETURN(const auto packed, own_files(exec));
    HEDDLE_TRY(write_file_atomic(folder_ / "files.tar", packed));
    training_.file = "trainers/mine.py";
    training_.lock = "trainers/mine.lock";
    if (training_.python.empty()) training_.python = environment();
    training_.packed = folder_ / "files.tar";
    training_.rows = rows;
    training_.valid_rows = kValid;
    training_.task = task_of(kind);
    fields_ = {{.name = "x", .type = expr::Type::kDouble},
               {.name = "y", .type = expr::Type::kDouble, .required = true},
               {.name = "text", .type = expr::Type::kString, .required = true}};
    training_.columns = own_columns(exec, fields_, {"x", "y"});
    training_.parameters = doc::Value::object({{"depth", 3}, {"rate", 0.2}, {"word", "6"}});
    training_.seed = 11;
    training_.directory = folder_ / ".heddle/runtime";
    fs::create_directories(folder_ / ".heddle");
    training_.hidden = folder_ / ".heddle";
    if (training_.memory_bytes == 0) training_.memory_bytes = std::int64_t{1} << 30;
    said_.clear();
    // As a process of its own would read it.
    HEDDLE_ASSIGN_OR_RETURN(const auto read,
                            own_training_schema().parse(own_training_schema().print(training_)));
    return fit_own(read, [&](std::string_view line) { said_ += fmt::format("{}\n", line); });
  }
  /// The largest difference of the engine's answers to the model's own.
  double engine_differs(const OwnFitted& fitted) {
    const auto scorer = model::Scorer::load(fitted.engine_model);
    if (!scorer.ok()) {
      ADD_FAILURE() << scorer.error().str();
      return 1;
    }
    const auto suits = model::check_task(**scorer, training_.task);
    EXPECT_TRUE(suits.ok()) << suits.error().str();
    const std::size_t outputs = training_.task.outputs();
    std::vector<float> got(static_cast<std::size_t>(kValid) * outputs);
    (*scorer)->margins(made_.valid_features.data(), kValid, got.data());
    double largest = 0;
    for (std::size_t at = 0; at < got.size(); at += outputs) {
      const auto row = std::span(got).subspan(at, outputs);
      training_.task.predict(row, row);
      for (std::size_t i = at; i < at + outputs; ++i) {
        const double wanted = static_cast<double>(fitted.predictions[i]);
        const double scale = std::max(1.0, std::abs(wanted));
        largest = std::max(largest, std::abs(wanted - static_cast<double>(got[i])) / scale);
      }
    }
    return largest;
  }
  /// A worker of what it returned, asked for the validation rows.
  Result<std::vector<float>> ask_worker(const OwnFitted& fitted, bool has_text) {
    spec::Runtime runtime;
    runtime.inputs = has_text ? spec::Runtime::Inputs::kFields : spec::Runtime::Inputs::kFeatures;
    runtime.output = training_.task.kind == TaskKind::kBinary    ? "probability"
                     : training_.task.kind == TaskKind::kClasses ? "probabilities"
                                                                 : "value";
    runtime.timeout_ms = 60'000;
    runtime.command = {environment(), std::string(kOwnServe)};
    runtime::Shape shape{runtime.inputs, fields_, {"x", "y"}, training_.task};
    HEDDLE_ASSIGN_OR_RETURN(const auto endpoint,
                            runtime::Endpoint::start(runtime, shape, fitted.worker_files,
                                                     {.directory = folder_ / ".heddle/runtime",
                                                      .hidden = folder_ / ".heddle"}));
    runtime::Rows rows;
    for (std::int64_t i = 0; i < kValid; ++i) {
      if (!has_text) {
        rows.add_features(
            std::span(made_.valid_features).subspan(static_cast<std::size_t>(i) * 2, 2));
        continue;
      }
      std::vector<expr::Datum> row;
      for (const auto& column : made_.rows.valid.columns()) row.push_back(column.view().at(i));
      if (std::isnan(row[0].d)) row[0] = expr::Datum::null();
      rows.add_fields(row);
    }
    return endpoint->score(std::move(rows));
  }
  void answers_in_a_worker_as_in_training(std::string_view trainer, TaskKind kind, bool has_text) {
    const auto fitted = fit(trainer, kind, has_text);
    ASSERT_TRUE(fitted.ok()) << fitted.error().str() << said_;
    const auto answers = ask_worker(*fitted, has_text);
    ASSERT_TRUE(answers.ok()) << answers.error().str();
    ASSERT_EQ(answers->size(), fitted->predictions.size());
    for (std::size_t i = 0; i < answers->size(); ++i)
      ASSERT_NEAR((*answers)[i], fitted->predictions[i],
                  1e-6 * std::max(1.0F, std::abs((*answers)[i])))
          << i;
  }

  fixture::Folder folder_;
  SampleRows made_;
  std::vector<spec::Field> fields_;
  OwnTraining training_;
  std::string lock_;
  std::string said_;
};

// ---- what the engine makes of it

struct Model {
  const char* name;
  TaskKind task;
  const char* fit;  ///< an expression of `train`, `valid`, `params`, `X`, `y`
  const char* format;
  double tolerance = 1e-6;
};

constexpr Model kModels[] = {
    {"HistogramBinary", TaskKind::kBinary,
     "sklearn.ensemble.HistGradientBoostingClassifier(max_depth=params.depth).fit(X, y)",
     "lightgbm"},
    {"HistogramClasses", TaskKind::kClasses,
     "sklearn.ensemble.HistGradientBoostingClassifier(max_iter=20).fit(X, y)", "lightgbm"},
    {"HistogramRegression", TaskKind::kRegression,
     "sklearn.ensemble.HistGradientBoostingRegressor(learning_rate=params.rate).fit(X, y)",
     "lightgbm"},
    {"ForestRegression", TaskKind::kRegression,
     "sklearn.ensemble.RandomForestRegressor(12, random_state=params.seed).fit(X, y)", "lightgbm"},
    {"ExtraTreesRegression", TaskKind::kRegression,
     "sklearn.ensemble.ExtraTreesRegressor(12, random_state=1).fit(X, y)", "lightgbm"},
    {"TreeRegression", TaskKind::kRegression,
     "sklearn.tree.DecisionTreeRegressor(max_depth=4).fit(X, y)", "lightgbm"},
    {"LinearBinary", TaskKind::kBinary,
     "sklearn.pipeline.make_pipeline(sklearn.impute.SimpleImputer(),"
     " sklearn.preprocessing.StandardScaler(), sklearn.linear_model.LogisticRegression())"
     ".fit(X, y)",
     "heddle.linear"},
    {"LinearClasses", TaskKind::kClasses,
     "sklearn.pipeline.make_pipeline(sklearn.impute.SimpleImputer(),"
     " sklearn.linear_model.LogisticRegression()).fit(X, y)",
     "heddle.linear"},
    {"LinearRegression", TaskKind::kRegression,
     "sklearn.pipeline.make_pipeline(sklearn.impute.SimpleImputer(strategy='median'),"
     " sklearn.preprocessing.StandardScaler(), sklearn.linear_model.Ridge()).fit(X, y)",
     // scikit-learn scales float32 columns in float32, the engine in double
     "heddle.linear", 2e-5},
    {"XgboostBinary", TaskKind::kBinary,
     "xgboost.XGBClassifier(n_estimators=30, early_stopping_rounds=3).fit(X, y,"
     " eval_set=[(valid.frame, valid.target)], verbose=False)",
     "xgboost"},
    {"XgboostClasses", TaskKind::kClasses,
     "xgboost.XGBClassifier(n_estimators=10).fit(X, train.codes.astype(int))", "xgboost"},
    {"XgboostBoosterRegression", TaskKind::kRegression,
     "xgboost.train({'max_depth': 3}, xgboost.DMatrix(X, y), 20)", "xgboost"},
    {"LightgbmBinary", TaskKind::kBinary,
     "lightgbm.LGBMClassifier(n_estimators=20, verbose=-1).fit(X, y)", "lightgbm"},
    {"LightgbmClasses", TaskKind::kClasses,
     "lightgbm.LGBMClassifier(n_estimators=10, verbose=-1).fit(X, train.codes.astype(int))",
     "lightgbm"},
    {"LightgbmBoosterRegression", TaskKind::kRegression,
     "lightgbm.train({'verbose': -1}, lightgbm.Dataset(X, y), 20)", "lightgbm"},
    {"CatboostRegression", TaskKind::kRegression,
     "catboost.CatBoostRegressor(iterations=20, depth=3, verbose=0,"
     " allow_writing_files=False).fit(X, y)",
     // CatBoost adds its leaves in double, ONNX in float
     "onnx", 2e-5},
};

class OwnModel : public OwnTest, public ::testing::WithParamInterface<Model> {};

TEST_P(OwnModel, TheEngineAnswersWhatTheLibraryAnswers) {
  const Model& model = GetParam();
  std::string library(model.fit);
  library.resize(library.find('.'));
  const std::string imports =
      library == "sklearn" ? "import sklearn.ensemble, sklearn.impute, sklearn.linear_model\n"
                             "import sklearn.pipeline, sklearn.preprocessing, sklearn.tree\n"
                           : "import " + library + "\n";
  const auto fitted = fit(fmt::format("{}@heddle.train\ndef fit(train, valid, params):\n    X, y = "
                                      "train.frame, train.target\n    print('depth', "
                                      "params.depth)\n    return {}\n",
                                      imports, model.fit),
                          model.task);
  ASSERT_TRUE(fitted.ok()) << fitted.error().str() << said_;
  EXPECT_THAT(said_, HasSubstr("depth 3\n"));
  ASSERT_EQ(fitted->engine_format, model.format) << fitted->no_engine;
  EXPECT_LE(engine_differs(*fitted), model.tolerance);
  EXPECT_THAT(fitted->python, HasSubstr("cpython"));
  EXPECT_GT(fitted->packages.size(), 5U);
}

INSTANTIATE_TEST_SUITE_P(Models, OwnModel, ::testing::ValuesIn(kModels),
                         [](const auto& each) { return std::string(each.param.name); });

// ---- what a worker makes of it

TEST_F(OwnTest, APipelineOverTextsIsServedByAWorker) {
  answers_in_a_worker_as_in_training(R"(
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

@heddle.train
def fit(train, valid, params):
    assert isinstance(params.depth, int) and params.word == "6" and params.seed == 11
    assert "HOME" in os.environ and "HEDDLE_SECRET" not in os.environ
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["text"]), (SimpleImputer(), ["x", "y"])
    )
    return make_pipeline(columns, LogisticRegression()).fit(train.frame, train.target)
)",
                                     TaskKind::kClasses, true);
}

TEST_F(OwnTest, LightGbmWithCategoriesOfAFrameIsServedByAWorker) {
  answers_in_a_worker_as_in_training(R"(
import lightgbm

@heddle.train(strings="category")
def fit(train, valid, params):
    assert str(train.frame["text"].dtype) == "category"
    return lightgbm.LGBMClassifier(n_estimators=10, verbose=-1).fit(train.frame, train.target)
)",
                                     TaskKind::kBinary, true);
}

TEST_F(OwnTest, AFunctionAndAClassOfTheFileAreServedByAWorker) {
  answers_in_a_worker_as_in_training(R"(
class Model:
    def __init__(self, mean):
        self.mean = mean
    def predict(self, frame):
        return self.mean + frame["y"].to_numpy()

@heddle.train
def fit(train, valid, params):
    return Model(train.target.mean())
)",
                                     TaskKind::kRegression, false);
}

// ---- what goes wrong

struct Bad {
  const char* name;
  const char* trainer;
  const char* id;
  const char* says;  ///< in the message
};

constexpr Bad kBad[] = {
    {"Raises", "@heddle.train\ndef fit(train, valid, params):\n    return {}['a row']\n",
     "own-raised", "trainers/mine.py:6 in fit: KeyError: 'a row'"},
    {"IsNoPython", "@heddle.train\ndef fit(:\n", "own-raised", "trainers/mine.py:5: SyntaxError"},
    {"HasNoFunction", "def fit(train, valid, params): return 1\n", "own-file",
     "has no function under `@heddle.train`"},
    {"HasTwoFunctions",
     "@heddle.train\ndef a(t, v, p): pass\n@heddle.train\ndef b(t, v, p): pass\n", "own-file",
     "has 2 functions"},
    {"ReturnsNothing", "@heddle.train\ndef fit(train, valid, params): pass\n", "own-returned",
     "trainers/mine.py: it returned nothing"},
    {"ReturnsSomething", "@heddle.train\ndef fit(train, valid, params): return 'a model'\n",
     "own-returned", "it returned a `str`"},
    {"ReturnsWhatCannotBeKept",
     "@heddle.train\ndef fit(train, valid, params):\n    import threading\n"
     "    held = threading.Lock()\n"
     "    def ask(frame): return numpy.full(len(frame), 0.5 if held else 0)\n    return ask\n",
     "own-returned", "cannot be pickled"},
    {"AnswersAnotherShape",
     "def ask(frame): return numpy.zeros((len(frame), 3))\n@heddle.train\ndef fit(train, valid, "
     "params): return ask\n",
     "own-answers", "answers [300, 3] for 300 rows"},
    {"AnswersNaN",
     "def ask(frame): return numpy.full(len(frame), numpy.nan)\n@heddle.train\ndef fit(train, "
     "valid, params): return ask\n",
     "own-answers", "300 of 300 rows with NaN"},
    {"AnswersNoProbability",
     "def ask(frame): return numpy.full(len(frame), 7)\n@heddle.train\ndef fit(train, valid, "
     "params): return ask\n",
     "own-answers", "no probabilities"},
    {"LacksAPackage", "import not_installed_at_all\n", "own-package", "not_installed_at_all"},
    {"FillsItsDisk",
     "@heddle.train\ndef fit(train, valid, params):\n    with "
     "open(os.environ['TMPDIR'] + '/big', 'wb') as file:\n        while True: "
     "file.write(bytes(1 << 20))\n",
     "own-disk", "OSError"},
    {"FillsItsDiskWithManyFiles",
     "@heddle.train\ndef fit(train, valid, params):\n    for i in range(1000000):\n        "
     "open(f\"{os.environ['TMPDIR']}/{i}\", 'w').close()\n",
     "own-disk", "OSError"},
    {"FillsItsMemory",
     "@heddle.train\ndef fit(train, valid, params):\n    kept = []\n    while True: "
     "kept.append(numpy.ones(1 << 22))\n",
     "own-memory", "trainers/mine.py"},
    {"WritesOutside", "@heddle.train\ndef fit(train, valid, params): open('/usr/mine', 'w')\n",
     "own-outside", "trainers/mine.py:5 in fit"},
    {"WritesItsOwnFiles", "@heddle.train\ndef fit(train, valid, params): open(__file__, 'w')\n",
     "own-outside", "trainers/mine.py:5 in fit"},
    {"ForksAway",
     "@heddle.train\ndef fit(train, valid, params):\n    if os.fork() != 0: os._exit(0)\n"
     "    return lambda frame: numpy.full(len(frame), .5)\n",
     "own-ended", "exit code 0"},
    {"IsKilled", "import signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "own-ended", "signal 9"},
    {"EndsQuietly", "raise SystemExit(0)\n", "own-raised", "SystemExit"},
    {"ForgesAResult",
     "import json, pathlib\n@heddle.train\ndef fit(train, valid, params):\n    out = "
     "pathlib.Path(os.environ['TMPDIR']) / 'out'\n    (out / 'result.json').write_text('{}')\n    "
     "os._exit(0)\n",
     "own-ended", "exit code 0"},
};

class OwnBad : public OwnTest, public ::testing::WithParamInterface<Bad> {};

TEST_P(OwnBad, IsSaidWithWhereAndWhatToDo) {
  const Bad& bad = GetParam();
  training_.memory_bytes = 600'000'000;
  const auto fitted = fit(bad.trainer);
  ASSERT_FALSE(fitted.ok()) << said_;
  EXPECT_EQ(fitted.error().id, bad.id) << fitted.error().str() << said_;
  EXPECT_THAT(fitted.error().message, HasSubstr(bad.says)) << said_;
  EXPECT_FALSE(fitted.error().hint.empty());
  EXPECT_TRUE(fs::is_empty(folder_ / ".heddle/runtime")) << "its folder went with it";
}

INSTANTIATE_TEST_SUITE_P(Trainers, OwnBad, ::testing::ValuesIn(kBad),
                         [](const auto& each) { return std::string(each.param.name); });

TEST_F(OwnTest, OneThatHangsIsStoppedAtItsDeadline) {
  training_.timeout_s = 8;
  const auto fitted = fit(
      "import time\n@heddle.train\ndef fit(train, valid, params):\n    os.fork()\n    while True: "
      "time.sleep(1)\n");
  ASSERT_FALSE(fitted.ok());
  EXPECT_EQ(fitted.error().id, "own-deadline");
  EXPECT_THAT(fitted.error().message, HasSubstr("after 8 s"));
}

TEST_F(OwnTest, OneThatPrintsGarbageIsHeardAllTheSame) {
  const auto fitted = fit(R"(
import sys
def half(frame): return numpy.full(len(frame), 0.5)

@heddle.train
def fit(train, valid, params):
    sys.stdout.buffer.write(os.urandom(200000) + b"\x1b[2J{\"format\": 1}\n")
    sys.stdout.flush()
    os.close(1)
    os.close(2)
    return half
)");
  ASSERT_TRUE(fitted.ok()) << fitted.error().str();
  EXPECT_EQ(fitted->predictions, std::vector<float>(kValid, 0.5F));
  EXPECT_EQ(said_.find('\x1b'), std::string::npos) << "a terminal obeys nothing of it";
}

TEST_F(OwnTest, WhereRowsAreNotToBeQuotedAnExceptionIsItsPlaceAlone) {
  training_.quotes_rows = false;
  const auto fitted =
      fit("@heddle.train\ndef fit(train, valid, params): raise ValueError('Mrs Smith, 41')\n");
  ASSERT_FALSE(fitted.ok());
  EXPECT_EQ(fitted.error().message, "trainers/mine.py:5 in fit: ValueError");
  EXPECT_THAT(said_ + fitted.error().str(), Not(HasSubstr("Smith")));
}

TEST_F(OwnTest, AnEnvironmentIsWhatItsLockSays) {
  constexpr std::string_view kTrainer = "@heddle.train\ndef fit(train, valid, params): pass\n";
  const std::string whole = *lock();
  const auto at = whole.find("joblib==");
  const struct {
    std::string lock;
    const char* says;
  } cases[] = {
      {whole.substr(0, at) + "joblib==0.1\n" + whole.substr(whole.find('\n', at) + 1), "joblib is"},
      {whole + "not-there==1.0\n", "not-there 1.0 is not installed"},
      {whole.substr(0, at) + whole.substr(whole.find('\n', at) + 1), "is installed and not locked"},
      {"# nothing\n", "it locks no package"},
      {whole + "numpy>=2\n", "is no `NAME==VERSION`"},
  };
  for (const auto& each : cases) {
    lock_ = each.lock;
    const auto fitted = fit(kTrainer);
    ASSERT_FALSE(fitted.ok());
    EXPECT_EQ(fitted.error().id, "own-environment") << fitted.error().str();
    EXPECT_THAT(fitted.error().message, HasSubstr(each.says));
    EXPECT_THAT(fitted.error().hint, HasSubstr("heddle trainer lock"));
  }
}

TEST_F(OwnTest, AnEnvironmentThatIsNotThereIsSaid) {
  training_.python = "/nowhere/.venv";
  const auto fitted = fit("");
  ASSERT_FALSE(fitted.ok());
  EXPECT_EQ(fitted.error().id, "own-python");
  EXPECT_THAT(fitted.error().message, HasSubstr("/nowhere/.venv"));
}

TEST_F(OwnTest, WhatCannotBeLoadedAgainIsTheWorkersError) {
  const auto fitted = fit(R"(
class Model:
    classes_ = [0, 1]
    def predict_proba(self, frame): return numpy.full((len(frame), 2), .5)
    def __reduce__(self): return (broken, ())
def broken(): raise RuntimeError("not again")

@heddle.train
def fit(train, valid, params): return Model()
)");
  ASSERT_TRUE(fitted.ok()) << fitted.error().str();
  const auto answers = ask_worker(*fitted, false);
  ASSERT_FALSE(answers.ok());
  EXPECT_EQ(answers.error().id, "runtime-exited");
  EXPECT_THAT(answers.error().message, HasSubstr("not again"));
}

TEST(OwnParameters, HaveTheTypesOfTheDefinition) {
  using Kind = spec::SearchDimension::Kind;
  const spec::TrainerParameters parameters{{{"depth", "6"},
                                            {"rate", "1"},
                                            {"word", "\"6\""},
                                            {"name", "gini"},
                                            {"flag", "true"},
                                            {"none", "null"}}};
  const std::vector<spec::SearchDimension> space{{.name = "rate", .kind = Kind::kLogUniform}};
  const auto typed = own_parameters(parameters, space);
  EXPECT_TRUE(typed.find("depth")->is_int());
  EXPECT_TRUE(typed.find("rate")->is_double()) << "a draw that happens to be whole";
  EXPECT_EQ(*typed.find("word"), doc::Value("6"));
  EXPECT_EQ(*typed.find("name"), doc::Value("gini"));
  EXPECT_EQ(*typed.find("flag"), doc::Value(true));
  EXPECT_TRUE(typed.find("none")->is_null());
}

}  // namespace
}  // namespace heddle::train
