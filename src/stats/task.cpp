#include "stats/task.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "stats/scalar.hpp"

namespace heddle::stats {
namespace {

constexpr std::size_t kMostClassesNamed = 20;  ///< in a message

Error wrong_type(const Label& label, std::string_view wanted) {
  return {ErrorKind::kInvalid, "label-type",
          fmt::format("the label `{}` is not {}", to_string(label), wanted)};
}

Result<double> code_of_binary(const Label& label) {
  if (const auto* truth = std::get_if<bool>(&label)) return *truth ? 1.0 : 0.0;
  const auto* number = std::get_if<double>(&label);
  if (number != nullptr && (*number == 0 || *number == 1)) return *number;
  return wrong_type(label, "true or false, or 1 or 0");
}

Result<double> code_of_number(const Label& label) {
  const auto* number = std::get_if<double>(&label);
  if (number == nullptr) return wrong_type(label, "a number");
  if (std::isfinite(*number)) return *number;
  return Error{ErrorKind::kInvalid, "label-not-finite",
               fmt::format("the label `{}` is not a finite number", *number)};
}

}  // namespace

std::vector<std::string> Task::output_names() const {
  switch (kind) {
    case TaskKind::kBinary: return {"probability"};
    case TaskKind::kClasses: return classes;
    case TaskKind::kRegression: return {"value"};
  }
  return {};
}

void Task::predict(std::span<const float> margins, std::span<float> prediction) const noexcept {
  switch (kind) {
    case TaskKind::kBinary: prediction[0] = static_cast<float>(sigmoid(margins[0])); return;
    case TaskKind::kRegression: prediction[0] = margins[0]; return;
    case TaskKind::kClasses: break;
  }
  // Less the largest margin, so that no exponential overflows (a NaN among them makes all NaN).
  const float largest = *std::max_element(margins.begin(), margins.end());
  double sum = 0;
  for (const float margin : margins) sum += exp(static_cast<double>(margin) - largest);
  for (std::size_t i = 0; i < margins.size(); ++i) {
    prediction[i] = static_cast<float>(exp(static_cast<double>(margins[i]) - largest) / sum);
  }
}

std::size_t Task::best(std::span<const float> prediction) noexcept {
  return static_cast<std::size_t>(std::max_element(prediction.begin(), prediction.end()) -
                                  prediction.begin());
}

Result<double> Task::code_of(const Label& label) const {
  if (kind == TaskKind::kBinary) return code_of_binary(label);
  if (kind == TaskKind::kRegression) return code_of_number(label);
  std::string name;
  if (whole_classes) {
    const auto* number = std::get_if<double>(&label);
    if (number == nullptr || !std::isfinite(*number) || *number != std::trunc(*number))
      return wrong_type(label, "a whole number");
    name = fmt::format("{:.0f}", *number == 0 ? 0.0 : *number);
  } else {
    const auto* text = std::get_if<std::string>(&label);
    if (text == nullptr) return wrong_type(label, "a string");
    name = *text;
  }
  const auto found = std::find(classes.begin(), classes.end(), name);
  if (found != classes.end()) return static_cast<double>(found - classes.begin());
  const std::span<const std::string> named(classes.data(),
                                           std::min(classes.size(), kMostClassesNamed));
  return Error{
      ErrorKind::kInvalid, "label-class-unknown",
      fmt::format("`{}` is none of the {} classes of the model: `{}`{}", name, classes.size(),
                  fmt::join(named, "`, `"), named.size() < classes.size() ? ", ..." : "")};
}

Label Task::label_of(double code) const {
  if (kind == TaskKind::kBinary) return code != 0;
  if (kind == TaskKind::kRegression) return code;
  const std::string& name = classes.at(static_cast<std::size_t>(code));
  if (!whole_classes) return name;
  return std::stod(name);
}

std::string_view task_name(TaskKind kind) noexcept {
  switch (kind) {
    case TaskKind::kBinary: return "binary";
    case TaskKind::kClasses: return "classes";
    case TaskKind::kRegression: return "regression";
  }
  return {};
}

std::string to_string(const Label& label) {
  if (const auto* truth = std::get_if<bool>(&label)) return *truth ? "true" : "false";
  if (const auto* number = std::get_if<double>(&label)) return fmt::format("{}", *number);
  return std::get<std::string>(label);
}

}  // namespace heddle::stats
