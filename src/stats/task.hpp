#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace heddle::stats {

/// What a model predicts: the probability of "true", the probabilities of several classes, or a
/// number.
enum class TaskKind : std::uint8_t { kBinary, kClasses, kRegression };

/// The true value of a row, as people and contracts write it.
using Label = std::variant<bool, double, std::string>;

/// A task and what belongs to it. Inside the program a label is a double, its *code*: 0 or 1 of
/// binary, the position in `classes` of several classes, the number itself of a regression.
struct Task {
  TaskKind kind = TaskKind::kBinary;
  /// kClasses: in the order of the outputs, without repeats. Else empty.
  std::vector<std::string> classes{};
  /// The classes are whole numbers, written in decimal.
  bool whole_classes = false;

  bool operator==(const Task&) const = default;

  /// Margins of a row, and numbers of its prediction: as many as classes, else 1.
  [[nodiscard]] std::size_t outputs() const noexcept {
    return kind == TaskKind::kClasses ? classes.size() : 1;
  }
  /// What each number of a prediction is called: `probability`, the classes, or `value`.
  [[nodiscard]] std::vector<std::string> output_names() const;

  /// The prediction of a row from its margins, `outputs()` of each: the logistic function, the
  /// softmax, or the margin itself. NaN stays NaN. The spans may be the same.
  void predict(std::span<const float> margins, std::span<float> prediction) const noexcept;
  /// Of several classes: the position of the largest number, the first of equals.
  [[nodiscard]] static std::size_t best(std::span<const float> prediction) noexcept;

  /// The code of a label. Binary takes booleans, and the numbers 0 and 1. kInvalid: `label-type`;
  /// `label-class-unknown`, naming the classes there are; `label-not-finite`.
  [[nodiscard]] Result<double> code_of(const Label& label) const;
  /// The label of a code that `code_of` gave.
  [[nodiscard]] Label label_of(double code) const;
};

[[nodiscard]] std::string_view task_name(TaskKind kind) noexcept;  ///< as a Model names it

/// As people read it: `true`, `12.5`, `late`.
[[nodiscard]] std::string to_string(const Label& label);

}  // namespace heddle::stats
