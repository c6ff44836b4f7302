#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/registry.hpp"
#include "base/result.hpp"
#include "stats/task.hpp"
#include "trainer/parameter.hpp"

namespace heddle::trainer {

/// Borrowed training rows: `features` is count x columns floats, row-major, NaN = missing; `labels`
/// are the codes of the task (stats::Task), one a row.
struct RowsView {
  const float* features = nullptr;
  const double* labels = nullptr;
  std::int64_t count = 0;
  int columns = 0;
};

/// What a trainer hands on to its algorithm, in the order in which a definition has it.
struct Parameters {
  std::vector<std::pair<std::string, std::string>> values{};

  bool operator==(const Parameters&) const = default;
};

struct Input {
  stats::Task task{};
  Parameters parameters{};
  std::vector<std::string> feature_names{};  ///< empty, or one a column
  RowsView train{};
  RowsView validation{};  ///< may be empty: then no early stopping
  int max_rounds = 300;   ///< of what trains in rounds: at most so many
  int early_stopping_rounds =
      20;  ///< stop after so many rounds without a lower loss on the validation rows; 0: never
  std::int64_t seed = 0;
};

struct Fitted {
  std::string model;  ///< what `model::Scorer::load` reads; the same input gives the same bytes
  int rounds = 0;     ///< rounds kept (the best one), or steps of the optimiser
};

/// An algorithm that fits a model. A constant object without state; one class, one file, one row in
/// `trainers()`. All members are thread-safe.
class Trainer {
 public:
  virtual ~Trainer() = default;
  /// As a Model names it.
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  [[nodiscard]] virtual bool does(stats::TaskKind task) const noexcept = 0;
  /// It is a program of the project's own: it takes any parameter, and what runs it is not `train`.
  [[nodiscard]] virtual bool is_own() const noexcept { return false; }
  /// What a definition may set for the task, and names that are refused with the reason.
  [[nodiscard]] virtual std::span<const Parameter> parameters(stats::TaskKind task) const = 0;
  [[nodiscard]] virtual std::span<const RefusedParameter> refused(stats::TaskKind) const {
    return {};
  }
  /// The parameters that change nothing of a model beside the others that are set, each with why.
  [[nodiscard]] virtual std::vector<std::pair<std::string, ParameterFault>> unused(
      const std::vector<SetParameter>&) const {
    return {};
  }
  /// Trains one model on one thread. `input` was checked: its rows, its shapes and every parameter.
  [[nodiscard]] virtual Result<Fitted> train(const Input& input) const = 0;
  /// What the library that trained the model says itself: its margins, rows x outputs, of `rows` x
  /// `columns` floats. nullopt: there is no library beside the one that serves.
  [[nodiscard]] virtual Result<std::optional<std::vector<float>>> margins(
      std::string_view /*model*/, std::span<const float> /*features*/, std::int64_t /*rows*/,
      std::int64_t /*columns*/) const {
    return std::optional<std::vector<float>>();
  }
};

/// The table of trainers.
[[nodiscard]] Registry<Trainer>& trainers();
/// Those that do a task, by name; a project's own is not among them.
[[nodiscard]] std::vector<std::string> trainers_of(stats::TaskKind task);
/// The simple one that a standby has when its Model names none.
[[nodiscard]] const Trainer& simple_trainer(stats::TaskKind task);

// The rows of the table.
[[nodiscard]] const Trainer& xgboost_trainer();
[[nodiscard]] const Trainer& logistic_trainer();
[[nodiscard]] const Trainer& ridge_trainer();
[[nodiscard]] const Trainer& exec_trainer();

}  // namespace heddle::trainer
