#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

/// The other engines of bench/engine, each through its own fastest call for a count of rows. Rows
/// are floats, row-major, NaN = missing.
struct EnginePeer {
  virtual ~EnginePeer() = default;
  /// Seconds a call took, of `repeats` calls of `count` rows each, of other rows each time.
  virtual double seconds(std::int64_t count, int repeats) = 0;
  /// The margin of the first row: all must compute the same model.
  virtual double first_margin() = 0;
  /// All margins of the first rows, as the library gives them; empty: it cannot be asked.
  virtual std::vector<double> first_margins(std::int64_t /*count*/) { return {}; }
};

/// What all peers read; outlives them.
struct EngineRows {
  std::vector<float> values{};
  std::int64_t columns = 0;
  std::int64_t outputs = 1;  ///< margins a row has
  [[nodiscard]] std::int64_t count() const {
    return static_cast<std::int64_t>(values.size()) / columns;
  }
  /// The first value of the rows of a repeat: others each time, so that no branch predictor learns
  /// them by heart.
  [[nodiscard]] std::int64_t offset(int repeat, std::int64_t rows) const {
    return repeat * rows % (count() - rows + 1) * columns;
  }
  [[nodiscard]] const float* at(int repeat, std::int64_t rows) const {
    return values.data() + offset(repeat, rows);
  }
};

/// Trains models of 100, 500, ... trees of depth 6 by XGBoost on 50,000 rows and writes
/// xgboost-N.json, rows.bin, labels.bin (the training data, for the other trainers) and score.bin
/// (rows to score) into `folder`.
void train_models(const std::string& folder, int columns, const std::vector<int>& counts);
/// The same for 100 rounds of seven classes and of a number: xgboost-classes.json,
/// xgboost-regression.json, and labels-classes.bin, labels-regression.bin beside them.
void train_task_models(const std::string& folder, int columns);
std::string xgboost_version();

// Each is null when its file does not exist.
std::unique_ptr<EnginePeer> xgboost_peer(const std::string& model, const EngineRows& rows);
std::unique_ptr<EnginePeer> lightgbm_peer(const std::string& library, const std::string& model,
                                          const EngineRows& rows);
std::unique_ptr<EnginePeer> lleaves_peer(const std::string& library, const EngineRows& rows);
std::unique_ptr<EnginePeer> treelite_peer(const std::string& library, const EngineRows& rows);
/// By way of a Python process on the same core, which waits for a command while others are
/// measured.
std::unique_ptr<EnginePeer> onnx_peer(const std::string& python, const std::string& script,
                                      const std::string& model, const std::string& rows_file,
                                      const EngineRows& rows);
