#include "train/train.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/jobs/processes.hpp"
#include "base/file.hpp"
#include "doc/json.hpp"
#include "doc/schema_conformance.hpp"
#include "model/scorer.hpp"
#include "store/memory_fixture.hpp"
#include "train/rows_file.hpp"
#include "train/search.hpp"
#include "train/tpe.hpp"
#include "train/trial_files.hpp"

// This test is its own worker: `train_test worker trial DIR` is what a search starts.
int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "worker") == 0)
    return heddle::train::run_trial(std::filesystem::current_path());
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

namespace heddle::train {
namespace {

namespace fs = std::filesystem;

struct Rows {
  int columns = 4;
  std::vector<float> features;
  std::vector<double> labels;
  RowsView view() const {
    return {features.data(), labels.data(), static_cast<std::int64_t>(labels.size()), columns};
  }
};

Rows make_rows(std::uint64_t seed, int count) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform;
  Rows rows;
  for (int i = 0; i < count; ++i) {
    const float a = normal(random);
    const float b = normal(random);
    const float c = normal(random);
    const float margin = 1.2F * a - 0.8F * b + (c > 0.5F ? 1.0F : -0.5F);
    for (const float x : {a, b, c, normal(random)})
      rows.features.push_back(uniform(random) < 0.05F ? std::numeric_limits<float>::quiet_NaN()
                                                      : x);
    rows.labels.push_back(uniform(random) < 1 / (1 + std::exp(-margin)) ? 1 : 0);
  }
  return rows;
}

TrainInput input_of(const Rows& train, const Rows& validation, std::string trainer) {
  TrainInput input;
  input.trainer = std::move(trainer);
  input.train = train.view();
  input.validation = validation.view();
  input.feature_names = {"a", "b", "c", "noise"};
  input.max_rounds = 60;
  input.early_stopping_rounds = 5;
  input.seed = 7;
  if (input.trainer == "xgboost")
    input.parameters.values = {{"max_depth", "4"}, {"eta", "0.3"}, {"subsample", "0.8"}};
  return input;
}

class TempDir {
 public:
  TempDir() : path_((fs::temp_directory_path() / "heddle-train-XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TempDir() { fs::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Trainers : public testing::TestWithParam<std::string> {};

TEST_P(Trainers, TrainingTwiceGivesTheSameBytesAndAModelThatPredicts) {
  const Rows rows = make_rows(1, 3000);
  const Rows validation = make_rows(2, 1500);
  const auto first = train(input_of(rows, validation, GetParam()));
  ASSERT_TRUE(first.ok()) << first.error().str();
  const auto second = train(input_of(rows, validation, GetParam()));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(first->model, second->model);
  EXPECT_EQ(std::bit_cast<std::uint64_t>(first->validation_loss),
            std::bit_cast<std::uint64_t>(second->validation_loss));
  EXPECT_LT(first->validation_loss, 0.58);  // a constant answer has .69
  EXPECT_GT(first->rounds, 2);
  EXPECT_LT(first->rounds, 60);
  EXPECT_EQ(first->model.find("/tmp"), std::string::npos);
}

TEST_P(Trainers, RefusesRowsItCannotLearnFrom) {
  const Rows rows = make_rows(3, 50);
  Rows constant = rows;
  constant.labels.assign(50, 1);
  const Rows none{4, {}, {}};
  EXPECT_EQ(train(input_of(constant, rows, GetParam())).error().id, "train-one-class");
  EXPECT_EQ(train(input_of(none, rows, GetParam())).error().id, "train-no-rows");
  TrainInput names = input_of(rows, rows, GetParam());
  names.feature_names.pop_back();
  EXPECT_EQ(train(names).error().id, "train-shape");
}
INSTANTIATE_TEST_SUITE_P(Both, Trainers,
                         testing::ValuesIn(trainer::trainers_of(stats::TaskKind::kBinary)));

TEST(Train, KeepsTheBestRoundOnly) {
  const Rows rows = make_rows(4, 400);
  const Rows validation = make_rows(5, 2000);
  TrainInput input = input_of(rows, validation, "xgboost");
  input.parameters.values = {{"eta", "0.9"}, {"max_depth", "8"}};  // overfits within a few rounds
  const auto stopped = train(input);
  ASSERT_TRUE(stopped.ok()) << stopped.error().str();
  EXPECT_LT(stopped->rounds, 12);
  const auto scorer = model::Scorer::load(stopped->model);
  ASSERT_TRUE(scorer.ok());
  EXPECT_EQ((*scorer)->trees(), stopped->rounds);
  input.early_stopping_rounds = 0;
  const auto all = train(input);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->rounds, 60);
  input.parameters.values.emplace_back("rounds", "3");
  const auto three = train(input);
  ASSERT_TRUE(three.ok()) << three.error().str();
  EXPECT_EQ(three->rounds, 3);
  input.parameters.values.back().second = "3x";
  EXPECT_EQ(train(input).error().id, "train-parameter");
  EXPECT_GT(all->validation_loss, stopped->validation_loss);
}

TEST(Train, NamesWhatIsWrongWithParameters) {
  const Rows rows = make_rows(6, 200);
  TrainInput input = input_of(rows, rows, "forest");
  EXPECT_EQ(train(input).error().id, "train-unknown-trainer");
  input = input_of(rows, rows, "logistic");
  input.parameters.values = {{"l2", "-1"}};
  EXPECT_EQ(train(input).error().id, "train-parameter");
  input = input_of(rows, rows, "xgboost");
  // A definition is checked before; a bundle that is trained again may be older than that check.
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"objective", "reg:squarederror"},
                                                        {"objective", "count:poisson"},
                                                        {"objective", "rank:pairwise"},
                                                        {"scale_pos_weight", "3"},
                                                        {"max_dept", "3"},
                                                        {"nthread", "4"},
                                                        {"booster", "gblinear"}}) {
    input.parameters.values = {{name, value}};
    const auto refused = train(input);
    ASSERT_FALSE(refused.ok()) << name;
    EXPECT_EQ(refused.error().id, "train-parameter") << refused.error().str();
  }
  input.parameters.values = {{"max_depth", "deep"}};
  const auto failed = train(input);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(failed.error().message.find("Stack trace"), std::string::npos)
      << failed.error().message;
}

// The penalised likelihood is strictly convex, so its one optimum is known by its own equations,
// whoever found it.
TEST(Logistic, GradientVanishesAtTheSolution) {
  const Rows rows = make_rows(8, 1000);
  TrainInput input = input_of(rows, rows, "logistic");
  input.parameters.values = {{"l2", "3"}};
  const auto trained = train(input);
  ASSERT_TRUE(trained.ok());
  const auto parsed = doc::parse_json(trained->model);
  ASSERT_TRUE(parsed.ok());
  const auto& mean = parsed->find("mean")->as_array();
  const auto& scale = parsed->find("scale")->as_array();
  const auto& weights = parsed->find("weights")->as_array();
  std::vector<double> gradient(5, 0);
  for (std::size_t r = 0; r < rows.labels.size(); ++r) {
    double x[5] = {1};
    double margin = parsed->find("intercepts")->as_array()[0].as_double();
    for (std::size_t c = 0; c < 4; ++c) {
      const float raw = rows.features[r * 4 + c];
      x[c + 1] = std::isnan(raw) ? 0 : (raw - mean[c].as_double()) / scale[c].as_double();
      margin += weights[c].as_double() * x[c + 1];
    }
    const double residual = 1 / (1 + std::exp(-margin)) - rows.labels[r];
    for (int i = 0; i < 5; ++i) gradient[static_cast<std::size_t>(i)] += residual * x[i];
  }
  for (std::size_t c = 0; c < 4; ++c) gradient[c + 1] += 3 * weights[c].as_double();
  for (const double g : gradient) EXPECT_NEAR(g, 0, 1e-4);
}

TEST(Logistic, ConstantEqualAndEmptyColumnsDoNoHarm) {
  Rows rows = make_rows(9, 500);
  for (std::size_t r = 0; r < 500; ++r) {
    rows.features[r * 4 + 1] = 3;
    rows.features[r * 4 + 2] = rows.features[r * 4];
    rows.features[r * 4 + 3] = std::numeric_limits<float>::quiet_NaN();
  }
  TrainInput input = input_of(rows, rows, "logistic");
  input.parameters.values = {{"l2", "0"}};
  const auto trained = train(input);
  ASSERT_TRUE(trained.ok()) << trained.error().str();
  EXPECT_LT(trained->validation_loss, 0.69);
}

/// Forty rows of three features without a gap, as a script of scikit-learn makes them.
struct Table {
  std::vector<float> features;
  std::vector<double> numbers;
  std::vector<double> classes;
  Table() {
    for (int i = 0; i < 40; ++i) {
      const float a = static_cast<float>((i * 7) % 11 / 3.0 - 1.5);
      const float b = static_cast<float>((i * 5) % 13 / 4.0 - 1);
      const float c = static_cast<float>((i * 3) % 7 / 2.0 - 1.5);
      for (const float x : {a, b, c}) features.push_back(x);
      numbers.push_back(2.0 * a - 1.5 * b + .25 * c + (i * 17) % 5 / 5.0);
      const double of_sum = static_cast<double>(a) + static_cast<double>(b) > 0 ? 1 : 0;
      classes.push_back(of_sum + (static_cast<double>(c) > .3 && i % 3 != 0 ? 1 : 0));
    }
  }
  [[nodiscard]] TrainInput input(stats::Task task, const char* trainer) const {
    TrainInput out;
    out.task = std::move(task);
    out.trainer = trainer;
    const bool is_number = out.task.kind == stats::TaskKind::kRegression;
    out.train = {features.data(), is_number ? numbers.data() : classes.data(), 40, 3};
    return out;
  }
};
const stats::Task kThree{stats::TaskKind::kClasses, {"a", "b", "c"}};
const stats::Task kNumber{stats::TaskKind::kRegression};

// scikit-learn 1.9.1: Ridge(alpha=2) on the standardised rows.
TEST(Ridge, IsThatOfScikitLearn) {
  const Table table;
  TrainInput input = table.input(kNumber, "ridge");
  input.parameters.values = {{"l2", "2"}};
  const auto trained = train(input);
  ASSERT_TRUE(trained.ok()) << trained.error().str();
  const auto parsed = doc::parse_json(trained->model);
  const auto& weights = parsed->find("weights")->as_array();
  // Its normal equations have a ridge of 1e-9 a row more.
  EXPECT_NEAR(parsed->find("intercepts")->as_array()[0].as_double(), 0.07604167461395268, 1e-6);
  EXPECT_NEAR(weights[0].as_double(), 2.0613429762109905, 1e-6);
  EXPECT_NEAR(weights[1].as_double(), -1.4066753052516996, 1e-6);
  EXPECT_NEAR(weights[2].as_double(), 0.27959910895301726, 1e-6);
}

// scikit-learn 1.9.1: LogisticRegression(C=1/2, tol=1e-10) on the standardised rows.
TEST(Logistic, OfSeveralClassesIsThatOfScikitLearn) {
  const Table table;
  TrainInput input = table.input(kThree, "logistic");
  input.parameters.values = {{"l2", "2"}};
  const auto trained = train(input);
  ASSERT_TRUE(trained.ok()) << trained.error().str();
  const auto scorer = model::Scorer::load(trained->model);
  std::vector<float> margins(9);
  std::vector<float> probabilities(9);
  (*scorer)->margins(table.features.data(), 3, margins.data());
  const std::vector<double> expected = {0.9505736,  0.04832992, 0.00109648, 0.12968517, 0.71658559,
                                        0.15372923, 0.0649755,  0.48177793, 0.45324657};
  for (std::size_t row = 0; row < 3; ++row) {
    kThree.predict(std::span(margins).subspan(row * 3, 3),
                   std::span(probabilities).subspan(row * 3, 3));
  }
  for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(probabilities[i], expected[i], 2e-4) << i;
}

/// Both trainers of a task learn it, twice to the same bytes, and the engine that serves gives the
/// margins of the library that trained, bit for bit.
TEST(Train, SeveralClassesAndNumbersAreLearned) {
  const Table table;
  for (const auto& [task, trainer, loss] :
       std::vector<std::tuple<stats::Task, const char*, double>>{{kThree, "xgboost", .5},
                                                                 {kThree, "logistic", .7},
                                                                 {kNumber, "xgboost", .6},
                                                                 {kNumber, "ridge", .4}}) {
    TrainInput input = table.input(task, trainer);
    input.validation = input.train;
    input.max_rounds = 40;
    const auto trained = train(input);
    ASSERT_TRUE(trained.ok()) << trainer << trained.error().str();
    EXPECT_LT(trained->validation_loss, loss) << trainer;
    EXPECT_EQ(trained->model, train(input)->model);
    const auto scorer = model::Scorer::load(trained->model);
    std::vector<float> ours(40 * task.outputs());
    (*scorer)->margins(table.features.data(), 40, ours.data());
    const auto theirs =
        trainer::trainers().find(trainer)->margins(trained->model, table.features, 40, 3);
    ASSERT_TRUE(theirs.ok()) << theirs.error().str();
    ASSERT_EQ(theirs->has_value(), std::string_view(trainer) == "xgboost");
    if (!*theirs) continue;
    EXPECT_EQ(std::memcmp(ours.data(), (*theirs)->data(), 4 * ours.size()), 0);
  }
}

TEST(Train, RefusesATargetThatIsNoneOfTheTask) {
  const Table table;
  TrainInput input = table.input(kNumber, "ridge");
  for (const double wrong : {std::nan(""), std::numeric_limits<double>::infinity(), 1e300}) {
    std::vector<double> labels = table.numbers;
    labels[3] = wrong;
    input.train.labels = labels.data();
    EXPECT_EQ(train(input).error().id, "train-label") << wrong;
  }
  const std::vector<double> same(40, 2.5);
  input.train.labels = same.data();
  const auto constant = train(input);
  ASSERT_FALSE(constant.ok());
  EXPECT_EQ(constant.error().id, "train-one-class");
  EXPECT_EQ(constant.error().kind, ErrorKind::kUnprocessable);
  input = table.input(kThree, "logistic");
  std::vector<double> two = table.classes;
  std::replace(two.begin(), two.end(), 2.0, 1.0);
  input.train.labels = two.data();
  const auto missing = train(input);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().id, "train-one-class");
  EXPECT_NE(missing.error().message.find("`c`"), std::string::npos) << missing.error().message;
  two[0] = 3;
  EXPECT_EQ(train(input).error().id, "train-label");
  EXPECT_EQ(train(table.input(kThree, "ridge")).error().id, "train-unknown-trainer");
}

// A thousand classes, each with two rows that one feature tells apart.
TEST(Train, AThousandClasses) {
  std::vector<float> features;
  std::vector<double> labels;
  stats::Task task{stats::TaskKind::kClasses};
  for (int k = 0; k < 1000; ++k) task.classes.push_back(fmt::format("c{:03}", k));
  for (int i = 0; i < 2000; ++i) {
    features.push_back(static_cast<float>(i % 1000));
    labels.push_back(i % 1000);
  }
  TrainInput input;
  input.task = task;
  input.train = {features.data(), labels.data(), 2000, 1};
  input.max_rounds = 1;
  const auto trained = train(input);
  ASSERT_TRUE(trained.ok()) << trained.error().str();
  EXPECT_EQ((*model::Scorer::load(trained->model))->outputs(), 1000);
}

TEST(EvenlySpaced, CoversTheRangeInOrder) {
  EXPECT_EQ(evenly_spaced(10, 4), (std::vector<std::int64_t>{0, 2, 5, 7}));
  EXPECT_EQ(evenly_spaced(3, 0), (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(evenly_spaced(3, 7), (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_TRUE(evenly_spaced(0, 5).empty());
}

std::vector<spec::SearchDimension> bowl_space() {
  using Kind = spec::SearchDimension::Kind;
  return {{"x", Kind::kUniform, -5, 5, {}},
          {"y", Kind::kLogUniform, 1e-3, 1, {}},
          {"k", Kind::kInteger, 1, 12, {}},
          {"m", Kind::kLogInteger, 1, 256, {}},
          {"c", Kind::kChoice, 0, 0, {0.25, 0.5, 1}}};
}
double bowl(const std::vector<double>& v) {
  const auto square = [](double x) { return x * x; };
  return square((v[0] - 2) / 5) + square(std::log10(v[1] / 0.1) / 2) + square((v[2] - 4) / 6) +
         square(std::log2(v[3] / 16) / 4) + (v[4] == 0.5 ? 0 : 0.3);
}

TEST(Tpe, StaysInRangeAndBeatsRandomSearch) {
  double tpe_sum = 0;
  double random_sum = 0;
  for (int seed = 0; seed < 20; ++seed) {
    for (const int startup : {10, 1000}) {
      const auto tpe = Tpe::open(bowl_space(), seed, startup);
      ASSERT_TRUE(tpe.ok());
      std::vector<Tpe::Observation> history;
      double best = 1e9;
      for (int k = 0; k < 80; ++k) {
        const auto values = tpe->propose(k, history);
        ASSERT_GE(values[0], -5);
        ASSERT_LE(values[0], 5);
        ASSERT_GE(values[1], 1e-3);
        ASSERT_LE(values[1], 1);
        ASSERT_EQ(values[2], std::round(values[2]));
        ASSERT_GE(values[3], 1);
        ASSERT_LE(values[3], 256);
        ASSERT_EQ(values, tpe->propose(k, history));
        history.push_back({values, bowl(values)});
        best = std::min(best, history.back().loss);
      }
      (startup == 10 ? tpe_sum : random_sum) += best;
    }
  }
  EXPECT_LT(tpe_sum, 0.6 * random_sum) << tpe_sum << " against " << random_sum;
}

TEST(Tpe, RefusesSpacesWithoutWidth) {
  using Kind = spec::SearchDimension::Kind;
  for (const spec::SearchDimension& d :
       std::vector<spec::SearchDimension>{{"a", Kind::kUniform, 1, 1, {}},
                                          {"b", Kind::kLogUniform, 0, 1, {}},
                                          {"c", Kind::kChoice, 0, 1, {}},
                                          {"d", Kind::kInteger, 3, 2, {}},
                                          {"e", Kind::kLogInteger, 0, 5, {}},
                                          {"f", Kind::kInteger, 1.5, 3, {}}}) {
    EXPECT_EQ(Tpe::open({d}, 1, 8).error().id, "search-space") << d.name;
  }
}

TEST(RowsFile, RefusesBytesThatContradictThemselves) {
  const TempDir dir;
  const Rows rows = make_rows(10, 20);
  const std::string bytes =
      encode_rows(rows.view(), evenly_spaced(20, 10), rows.view(), evenly_spaced(20, 5));
  const std::string path = dir.path() + "/rows.bin";
  ASSERT_TRUE(write_file_atomic(path, bytes).ok());
  const auto file = RowsFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().str();
  EXPECT_EQ(file->train().count, 10);
  EXPECT_EQ(file->validation().count, 5);
  EXPECT_EQ(file->train().labels[1], rows.labels[2]);
  EXPECT_EQ(std::memcmp(file->validation().features + 4, rows.features.data() + 4 * 4, 16), 0);
  EXPECT_EQ(RowsFile::open(path + "x").error().kind, ErrorKind::kNotFound);
  for (std::size_t length : {std::size_t{0}, std::size_t{31}, bytes.size() - 1}) {
    ASSERT_TRUE(write_file_atomic(path, bytes.substr(0, length)).ok());
    EXPECT_EQ(RowsFile::open(path).error().kind, ErrorKind::kCorrupt) << length;
  }
  for (std::size_t at = 0; at < 32; ++at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x40);
    ASSERT_TRUE(write_file_atomic(path, changed).ok());
    EXPECT_EQ(RowsFile::open(path).error().kind, ErrorKind::kCorrupt) << at;
  }
}

/// Looks at each job on its way: nothing that it is given may say where the search is.
class Looking final : public jobs::Runner {
 public:
  Looking(jobs::Runner& behind, std::string place) : behind_(behind), place_(std::move(place)) {}
  Result<std::int64_t> start(const jobs::Job& job, store::Objects& objects) override {
    for (const auto& argument : job.arguments)
      EXPECT_EQ(argument.find(place_), std::string::npos) << argument;
    for (const auto& [path, digest] : job.inputs)
      EXPECT_EQ(objects.get(digest)->find(place_), std::string::npos) << path;
    ++started;
    return behind_.start(job, objects);
  }
  Result<jobs::Outcome> wait(std::int64_t handle) override { return behind_.wait(handle); }
  Result<bool> finished(std::int64_t handle) override { return behind_.finished(handle); }
  Result<std::string> peek(std::int64_t handle, std::string_view output) override {
    return behind_.peek(handle, output);
  }
  void stop(std::int64_t handle) override { behind_.stop(handle); }
  std::atomic<int> started = 0;

 private:
  jobs::Runner& behind_;
  std::string place_;
};

class Searching : public testing::Test {
 protected:
  SearchInput input(const std::string& directory, int parallel) {
    using Kind = spec::SearchDimension::Kind;
    SearchInput input;
    input.search.trials = 12;
    input.search.parallel = parallel;
    input.search.startup = 4;
    input.search.early_stopping_rounds = 3;
    input.search.max_rounds = 30;
    input.search.rows = 1000;
    input.search.space = {{"eta", Kind::kLogUniform, 0.05, 0.9, {}},
                          {"max_depth", Kind::kInteger, 2, 7, {}}};
    input.feature_names = {"a", "b", "c", "noise"};
    input.train = train_.view();
    input.validation = validation_.view();
    input.seed = 11;
    input.directory = directory;
    input.worker = *jobs::program_digest(self_);
    input.runner = runner_.get();
    input.objects = &objects_;
    return input;
  }
  Rows train_ = make_rows(20, 2000);
  Rows validation_ = make_rows(21, 800);
  const std::string self_ = fs::read_symlink("/proc/self/exe").string();
  // Trials are elsewhere: no file of the search's folder is theirs, and its objects are in memory.
  const TempDir elsewhere_;
  store::fixture::MemoryObjects objects_;
  std::unique_ptr<jobs::Runner> runner_ =
      adapters::make_process_runner({elsewhere_.path(), {self_}});
};

TEST_F(Searching, IsReproducibleInParallelAndGoesOnWhereItWas) {
  const TempDir dir;
  Looking looking(*runner_, dir.path());
  auto looked_at = input(dir.path() + "/a", 3);
  looked_at.runner = &looking;
  int told = 0;
  const auto first = search(looked_at, [&](const Trial&, int done, int total) {
    EXPECT_EQ(done, ++told);
    EXPECT_EQ(total, 12);
  });
  ASSERT_TRUE(first.ok()) << first.error().str();
  EXPECT_EQ(told, 12);
  EXPECT_EQ(looking.started, 12);
  for (const auto& trial : first->trials) {
    EXPECT_EQ(trial.state, Trial::State::kFinished) << trial.error;
    EXPECT_GE(trial.loss, first->trials[static_cast<std::size_t>(first->best)].loss);
  }
  const auto second = search(input(dir.path() + "/b", 3));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(doc::to_json(first->to_value()), doc::to_json(second->to_value()));

  // What a kill leaves: some results there, some not, one half-made.
  for (const int gone : {3, 8, 10, 11})
    fs::remove(fmt::format("{}/b/trial-{:04}/result.json", dir.path(), gone));
  fs::remove_all(dir.path() + "/b/trial-0009");
  std::vector<int> resumed;
  const auto third = search(input(dir.path() + "/b", 3), [&](const Trial& trial, int, int) {
    if (trial.resumed) resumed.push_back(trial.number);
  });
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(doc::to_json(first->to_value()), doc::to_json(third->to_value()));
  std::sort(resumed.begin(), resumed.end());
  EXPECT_EQ(resumed, (std::vector<int>{0, 1, 2, 4, 5, 6, 7}));

  // Other rows: nothing of the old search counts.
  SearchInput other = input(dir.path() + "/b", 3);
  const Rows changed = make_rows(22, 2000);
  other.train = changed.view();
  other.search.trials = 2;
  const auto fourth =
      search(other, [](const Trial& trial, int, int) { EXPECT_FALSE(trial.resumed); });
  ASSERT_TRUE(fourth.ok());
}

TEST_F(Searching, AKilledSearchGoesOn) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer ends a child of a process with threads that starts threads";
#endif
  const TempDir dir;
  const SearchInput whole = input(dir.path() + "/a", 2);
  const auto expected = search(whole);
  ASSERT_TRUE(expected.ok());
  const SearchInput cut = input(dir.path() + "/b", 2);
  const pid_t child = fork();
  if (child == 0) {
    (void)search(cut, [](const Trial&, int done, int) {
      if (done == 4) raise(SIGKILL);
    });
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  int resumed = 0;
  const auto rest = search(cut, [&](const Trial& trial, int, int) { resumed += trial.resumed; });
  ASSERT_TRUE(rest.ok());
  EXPECT_GE(resumed, 4);
  EXPECT_LT(resumed, 12);
  EXPECT_EQ(doc::to_json(expected->to_value()), doc::to_json(rest->to_value()));
}

TEST_F(Searching, AFailedTrialIsRecordedAndAllFailingIsAnError) {
  const TempDir dir;
  SearchInput some = input(dir.path() + "/some", 2);
  some.search.space.push_back({"max_bin",
                               spec::SearchDimension::Kind::kChoice,
                               0,
                               0,
                               {256, 1}});  // XGBoost refuses fewer than 2 bins
  const auto result = search(some);
  ASSERT_TRUE(result.ok()) << result.error().str();
  int failed = 0;
  for (const auto& trial : result->trials) {
    EXPECT_EQ(trial.state == Trial::State::kFailed, trial.values[2] == 1) << trial.error;
    failed += trial.state == Trial::State::kFailed;
    EXPECT_EQ(trial.error.empty(), trial.state == Trial::State::kFinished);
  }
  EXPECT_GT(failed, 0);
  SearchInput all = input(dir.path() + "/all", 2);
  all.parameters.values = {{"max_leaves", "many"}};
  const auto error = search(all);
  ASSERT_FALSE(error.ok());
  EXPECT_EQ(error.error().id, "search-all-failed");
  all.worker = sha256("of another version");
  const auto other = search(all);
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message.find("does not have the program"), std::string::npos)
      << other.error().message;
}

/// As Heddle wrote them before there was a schema: a search goes on from a trial whose file has
/// these bytes.
TEST(TrialFiles, BytesOfBeforeAreReadAndWrittenAgain) {
  constexpr std::string_view kParams =
      R"({"format":"heddle.trial/2","task":{"kind":"binary"},"trainer":"xgboost",)"
      R"("parameters":[{"name":"eta","value":"0.1"}],"feature_names":["hour"],"max_rounds":300,)"
      R"("early_stopping_rounds":20,"seed":42,"rows":"../rows.bin"})";
  const auto params = trial_params_schema().parse_text(kParams);
  ASSERT_TRUE(params.ok()) << params.error().str();
  EXPECT_EQ(doc::to_json(trial_params_schema().print(*params)), kParams);
  doc::RecordConformance<TrialParams>(trial_params_schema(), *params).run("");
  for (const std::string before :
       {R"({"format":"heddle.trial-result/2","loss":0.25,"rounds":7,"seconds":1.5})",
        R"({"format":"heddle.trial-result/2","error":"no memory"})"}) {
    const auto read = parse_trial_outcome(before);
    ASSERT_TRUE(read.ok()) << read.error().str();
    EXPECT_EQ(to_json(*read), before);
    const auto& schema = trial_outcome_schema(!read->error.empty());
    doc::RecordConformance<TrialOutcome>(schema, *read).run("");
  }
  // A result without its rounds was one of 0 rounds.
  EXPECT_EQ(parse_trial_outcome(R"({"format":"heddle.trial-result/2","loss":0.25,"seconds":1.0})")
                .error()
                .message,
            "`result.json`: `rounds` is missing");
}

}  // namespace
}  // namespace heddle::train
