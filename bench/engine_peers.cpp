#include "engine_peers.hpp"

#include <dlfcn.h>
#include <unistd.h>
#include <xgboost/c_api.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>

#include <fmt/format.h>

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

[[noreturn]] void die(const std::string& what) {
  fmt::print(stderr, "engine_bench: {}\n", what);
  std::exit(1);
}
void check(int rc) {
  if (rc != 0) die(fmt::format("XGBoost: {}", XGBGetLastError()));
}

template <class Body>
double seconds_of(int repeats, Body&& body) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i) body(i);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / repeats;
}

std::vector<float> random_rows(std::mt19937_64& random, std::int64_t count, int columns) {
  std::normal_distribution<float> normal;
  std::vector<float> rows(static_cast<std::size_t>(count * columns));
  for (float& value : rows) value = random() % 50 == 0 ? kNan : normal(random);
  return rows;
}
void write(const std::string& path, const void* data, std::size_t size) {
  std::ofstream(path, std::ios::binary)
      .write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
}
std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Library {
 public:
  explicit Library(const std::string& path) : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) die(dlerror());
  }
  template <class Function>
  Function* get(const char* name) const {
    void* const found = dlsym(handle_, name);
    if (found == nullptr) die(dlerror());
    return reinterpret_cast<Function*>(found);
  }

 private:
  void* handle_;
};

/// XGBoosterPredictFromDense: no DMatrix is built, and no prediction cache can answer.
class Xgboost final : public EnginePeer {
 public:
  Xgboost(const std::string& model, const EngineRows& rows) : rows_(rows) {
    check(XGBoosterCreate(nullptr, 0, &booster_));
    check(XGBoosterLoadModelFromBuffer(booster_, model.data(), model.size()));
    check(XGBoosterSetParam(booster_, "nthread", "1"));
  }
  Xgboost(const Xgboost&) = delete;
  Xgboost& operator=(const Xgboost&) = delete;
  ~Xgboost() override { XGBoosterFree(booster_); }
  double seconds(std::int64_t count, int repeats) override {
    return seconds_of(repeats, [&](int i) { (void)margins(rows_.at(i, count), count); });
  }
  double first_margin() override { return static_cast<double>(margins(rows_.values.data(), 1)[0]); }
  std::vector<double> first_margins(std::int64_t count) override {
    const float* first = margins(rows_.values.data(), count);
    return {first, first + count * rows_.outputs};
  }

 private:
  const float* margins(const float* rows, std::int64_t count) {
    const std::string array =
        fmt::format(R"({{"data": [{}, true], "shape": [{}, {}], "typestr": "<f4", "version": 3}})",
                    reinterpret_cast<std::uintptr_t>(rows), count, rows_.columns);
    const bst_ulong* shape = nullptr;
    bst_ulong dimensions = 0;
    const float* result = nullptr;
    check(XGBoosterPredictFromDense(
        booster_, array.c_str(),
        R"({"type": 1, "training": false, "iteration_begin": 0, "iteration_end": 0, )"
        R"("strict_shape": false, "missing": NaN, "cache_id": 0})",
        nullptr, &shape, &dimensions, &result));
    return result;
  }
  BoosterHandle booster_ = nullptr;
  const EngineRows& rows_;
};

/// LightGBM's C API (LightGBM/c_api.h of 4.x; the wheel has no header): the prepared single-row
/// call, and the matrix call.
class Lightgbm final : public EnginePeer {
 public:
  Lightgbm(const std::string& library, const std::string& model, const EngineRows& rows)
      : library_(library), rows_(rows) {
    int iterations = 0;
    expect(library_.get<int(const char*, int*, void**)>("LGBM_BoosterLoadModelFromString")(
        model.c_str(), &iterations, &booster_));
    expect(library_.get<int(void*, int, int, int, int, std::int32_t, const char*, void**)>(
        "LGBM_BoosterPredictForMatSingleRowFastInit")(booster_, kRaw, 0, -1, kFloat32,
                                                      static_cast<std::int32_t>(rows.columns),
                                                      "num_threads=1", &fast_));
    single_ = library_.get<int(void*, const void*, std::int64_t*, double*)>(
        "LGBM_BoosterPredictForMatSingleRowFast");
    matrix_ =
        library_.get<int(void*, const void*, int, std::int32_t, std::int32_t, int, int, int, int,
                         const char*, std::int64_t*, double*)>("LGBM_BoosterPredictForMat");
    out_.resize(static_cast<std::size_t>(rows.count() * rows.outputs));
  }
  double seconds(std::int64_t count, int repeats) override {
    return seconds_of(repeats, [&](int i) { score(rows_.at(i, count), count); });
  }
  double first_margin() override {
    score(rows_.values.data(), 1);
    return out_[0];
  }
  std::vector<double> first_margins(std::int64_t count) override {
    score(rows_.values.data(), count);
    return {out_.begin(), out_.begin() + count * rows_.outputs};
  }

 private:
  static constexpr int kRaw = 1;
  static constexpr int kFloat32 = 0;
  static void expect(int rc) {
    if (rc != 0) die("LightGBM refused a call");
  }
  void score(const float* rows, std::int64_t count) {
    std::int64_t length = 0;
    if (count == 1) {
      expect(single_(fast_, rows, &length, out_.data()));
    } else {
      expect(matrix_(booster_, rows, kFloat32, static_cast<std::int32_t>(count),
                     static_cast<std::int32_t>(rows_.columns), 1, kRaw, 0, -1, "num_threads=1",
                     &length, out_.data()));
    }
  }
  Library library_;
  const EngineRows& rows_;
  void* booster_ = nullptr;
  void* fast_ = nullptr;
  int (*single_)(void*, const void*, std::int64_t*, double*) = nullptr;
  int (*matrix_)(void*, const void*, int, std::int32_t, std::int32_t, int, int, int, int,
                 const char*, std::int64_t*, double*) = nullptr;
  std::vector<double> out_{};
};

/// The function that lleaves compiles, on rows that are doubles already.
class Lleaves final : public EnginePeer {
 public:
  Lleaves(const std::string& library, const EngineRows& rows)
      : library_(library), rows_(rows), doubles_(rows.values.begin(), rows.values.end()) {
    root_ = library_.get<void(double*, double*, std::int32_t, std::int32_t)>("forest_root");
    out_.resize(static_cast<std::size_t>(rows.count()));
  }
  double seconds(std::int64_t count, int repeats) override {
    return seconds_of(repeats, [&](int i) {
      root_(doubles_.data() + rows_.offset(i, count), out_.data(), 0,
            static_cast<std::int32_t>(count));
    });
  }
  double first_margin() override {
    root_(doubles_.data(), out_.data(), 0, 1);
    return out_[0];
  }

 private:
  Library library_;
  const EngineRows& rows_;
  std::vector<double> doubles_;
  void (*root_)(double*, double*, std::int32_t, std::int32_t) = nullptr;
  std::vector<double> out_{};
};

/// The function that tl2cgen compiles from treelite's model, called row by row as its own runtime
/// does.
class Treelite final : public EnginePeer {
 public:
  Treelite(const std::string& library, const EngineRows& rows)
      : library_(library), rows_(rows), entries_(static_cast<std::size_t>(rows.columns)) {
    predict_ = library_.get<void(Entry*, int, float*)>("predict");
    out_.resize(static_cast<std::size_t>(rows.count()));
  }
  double seconds(std::int64_t count, int repeats) override {
    return seconds_of(repeats, [&](int i) { score(rows_.at(i, count), count); });
  }
  double first_margin() override {
    score(rows_.values.data(), 1);
    return static_cast<double>(out_[0]);
  }

 private:
  union Entry {
    int missing;
    float value;
  };
  void score(const float* rows, std::int64_t count) {
    for (std::int64_t r = 0; r < count; ++r) {
      for (std::size_t c = 0; c < entries_.size(); ++c) {
        const float value = *rows++;
        if (value != value)
          entries_[c].missing = -1;
        else
          entries_[c].value = value;
      }
      float& out = out_[static_cast<std::size_t>(r)];
      out = 0;
      predict_(entries_.data(), 1, &out);
    }
  }
  Library library_;
  const EngineRows& rows_;
  std::vector<Entry> entries_;
  void (*predict_)(Entry*, int, float*) = nullptr;
  std::vector<float> out_{};
};

class Onnx final : public EnginePeer {
 public:
  Onnx(const std::string& python, const std::string& script, const std::string& model,
       const std::string& rows_file, std::int64_t columns) {
    int commands[2];
    int answers[2];
    if (pipe(commands) != 0 || pipe(answers) != 0) die("no pipe");
    const pid_t child = fork();
    if (child < 0) die("no process");
    if (child == 0) {
      dup2(commands[0], STDIN_FILENO);
      dup2(answers[1], STDOUT_FILENO);
      for (const int end : {commands[0], commands[1], answers[0], answers[1]}) close(end);
      const std::string width = std::to_string(columns);
      execl(python.c_str(), python.c_str(), script.c_str(), model.c_str(), rows_file.c_str(),
            width.c_str(), nullptr);
      _exit(127);
    }
    close(commands[0]);
    close(answers[1]);
    commands_ = fdopen(commands[1], "w");
    answers_ = fdopen(answers[0], "r");
  }
  Onnx(const Onnx&) = delete;
  Onnx& operator=(const Onnx&) = delete;
  ~Onnx() override {
    std::fclose(commands_);  // it ends at the end of its input
    std::fclose(answers_);
  }
  double seconds(std::int64_t count, int repeats) override {
    return ask(fmt::format("{} {}\n", count, repeats));
  }
  double first_margin() override { return ask("0 0\n"); }

 private:
  double ask(const std::string& command) {
    std::fputs(command.c_str(), commands_);
    std::fflush(commands_);
    double answer = 0;
    if (std::fscanf(answers_, "%lf", &answer) != 1) die("ONNX Runtime's process gave no answer");
    return answer;
  }
  std::FILE* commands_ = nullptr;
  std::FILE* answers_ = nullptr;
};

}  // namespace

namespace {

constexpr std::int64_t kRows = 50'000;
constexpr int kClasses = 7, kRounds = 100;

/// Rows to learn from with the number that their labels follow from, and rows to score.
struct Data {
  std::vector<float> rows{};
  std::vector<float> scores{};
  std::vector<float> fresh{};
};

Data make_data(int columns) {
  Data data;
  std::mt19937_64 random(20260101);
  data.rows = random_rows(random, kRows, columns);
  std::normal_distribution<float> noise;
  for (std::int64_t i = 0; i < kRows; ++i) {
    float score = noise(random);
    for (int c = 0; c < columns; ++c) {
      const float value = data.rows[static_cast<std::size_t>(i * columns + c)];
      if (value == value) score += (c % 2 == 0 ? 0.5F : -0.4F) * value * (c > 8 ? value : 1);
    }
    data.scores.push_back(score);
  }
  data.fresh = random_rows(random, 10'000, columns);
  return data;
}

using Parameters = std::vector<std::pair<std::string, std::string>>;

/// A model in training, on one core.
class Training {
 public:
  Training(const Data& data, const std::vector<float>& labels, int columns,
           const Parameters& more) {
    check(XGDMatrixCreateFromMat(data.rows.data(), kRows, static_cast<bst_ulong>(columns), kNan,
                                 &matrix_));
    check(XGDMatrixSetFloatInfo(matrix_, "label", labels.data(), kRows));
    check(XGBoosterCreate(&matrix_, 1, &booster_));
    Parameters all = {{"max_depth", "6"},
                      {"eta", "0.1"},
                      {"tree_method", "hist"},
                      {"nthread", "1"},
                      {"verbosity", "0"}};
    all.insert(all.end(), more.begin(), more.end());
    for (const auto& [name, value] : all)
      check(XGBoosterSetParam(booster_, name.c_str(), value.c_str()));
  }
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;
  ~Training() {
    XGBoosterFree(booster_);
    XGDMatrixFree(matrix_);
  }
  void to_rounds(int count) {
    for (; done_ < count; ++done_) check(XGBoosterUpdateOneIter(booster_, done_, matrix_));
  }
  void save(const std::string& path) {
    bst_ulong size = 0;
    const char* bytes = nullptr;
    check(XGBoosterSaveModelToBuffer(booster_, R"({"format": "json"})", &size, &bytes));
    write(path, bytes, size);
  }

 private:
  DMatrixHandle matrix_ = nullptr;
  BoosterHandle booster_ = nullptr;
  int done_ = 0;
};

void write_floats(const std::string& path, const std::vector<float>& values) {
  write(path, values.data(), values.size() * sizeof(float));
}

}  // namespace

void train_models(const std::string& folder, int columns, const std::vector<int>& counts) {
  const Data data = make_data(columns);
  std::vector<float> labels;
  for (const float score : data.scores) labels.push_back(score > 0 ? 1.0F : 0.0F);
  write_floats(folder + "/rows.bin", data.rows);
  write_floats(folder + "/labels.bin", labels);
  write_floats(folder + "/score.bin", data.fresh);
  Training training(data, labels, columns, {{"objective", "binary:logistic"}});
  for (const int count : counts) {
    training.to_rounds(count);
    training.save(fmt::format("{}/xgboost-{}.json", folder, count));
  }
}

void train_task_models(const std::string& folder, int columns) {
  const Data data = make_data(columns);
  std::vector<float> sorted = data.scores;
  std::sort(sorted.begin(), sorted.end());
  std::vector<float> classes;
  for (const float score : data.scores) {
    // Seven classes of about as many rows, by the size of the score.
    const auto place = std::lower_bound(sorted.begin(), sorted.end(), score) - sorted.begin();
    classes.push_back(static_cast<float>(place * kClasses / kRows));
  }
  write_floats(folder + "/labels-classes.bin", classes);
  write_floats(folder + "/labels-regression.bin", data.scores);
  Training several(data, classes, columns,
                   {{"objective", "multi:softprob"}, {"num_class", std::to_string(kClasses)}});
  several.to_rounds(kRounds);
  several.save(folder + "/xgboost-classes.json");
  Training number(data, data.scores, columns, {{"objective", "reg:squarederror"}});
  number.to_rounds(kRounds);
  number.save(folder + "/xgboost-regression.json");
}

std::string xgboost_version() {
  int major = 0;
  int minor = 0;
  int patch = 0;
  XGBoostVersion(&major, &minor, &patch);
  return fmt::format("{}.{}.{}", major, minor, patch);
}

std::unique_ptr<EnginePeer> xgboost_peer(const std::string& model, const EngineRows& rows) {
  if (!std::filesystem::exists(model)) return nullptr;
  return std::make_unique<Xgboost>(read(model), rows);
}
std::unique_ptr<EnginePeer> lightgbm_peer(const std::string& library, const std::string& model,
                                          const EngineRows& rows) {
  if (!std::filesystem::exists(library) || !std::filesystem::exists(model)) return nullptr;
  return std::make_unique<Lightgbm>(library, read(model), rows);
}
std::unique_ptr<EnginePeer> lleaves_peer(const std::string& library, const EngineRows& rows) {
  if (!std::filesystem::exists(library)) return nullptr;
  return std::make_unique<Lleaves>(std::filesystem::absolute(library), rows);
}
std::unique_ptr<EnginePeer> treelite_peer(const std::string& library, const EngineRows& rows) {
  if (!std::filesystem::exists(library)) return nullptr;
  return std::make_unique<Treelite>(std::filesystem::absolute(library), rows);
}
std::unique_ptr<EnginePeer> onnx_peer(const std::string& python, const std::string& script,
                                      const std::string& model, const std::string& rows_file,
                                      const EngineRows& rows) {
  if (!std::filesystem::exists(model)) return nullptr;
  return std::make_unique<Onnx>(python, script, model, rows_file, rows.columns);
}
