// What a runtime answers, checked before anybody uses it.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "doc/items.hpp"
#include "doc/json.hpp"
#include "runtime/oip.hpp"

namespace heddle::runtime::oip {
namespace {

using stats::TaskKind;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
/// How far the probabilities of a row may sum from 1: single precision on another machine is not
/// exact, and logits or labels are further away.
constexpr double kSumTolerance = 1e-3;
constexpr std::size_t kMostClassesNamed = 20;  ///< in a message

Error wrong(std::string what) {
  return Error{ErrorKind::kCorrupt, "runtime-answer",
               fmt::format("the runtime's answer cannot be used: {}", what),
               "see docs/formats/runtime.md for what it has to send"};
}

/// A JSON array's numbers, nested or flat, null as NaN; false when something else is in it or it
/// holds more than `most`.
bool flatten(const doc::Value& value, std::size_t most, int depth, std::vector<double>& out) {
  if (!value.is_array() || depth > 2) return false;
  for (const doc::Value& item : value.as_array()) {
    if (item.is_array()) {
      if (!flatten(item, most, depth + 1, out)) return false;
      continue;
    }
    if (!item.is_number() && !item.is_null()) return false;
    if (out.size() == most) return false;
    out.push_back(item.is_number() ? item.as_double() : std::numeric_limits<double>::quiet_NaN());
  }
  return true;
}

std::optional<std::size_t> binary_size(const doc::Value& tensor) {
  const doc::Value* parameters = tensor.find("parameters");
  const std::int64_t size = parameters == nullptr ? -1 : parameters->int_or("binary_data_size", -1);
  if (size < 0) return std::nullopt;
  return static_cast<std::size_t>(size);
}

/// Columns of the shape [n] or [n,k]; 0 for another. 1 of the first.
std::size_t columns_of(const doc::Value& tensor, std::size_t rows) {
  const doc::Value* shape = tensor.find("shape");
  if (shape == nullptr || !shape->is_array() || shape->size() < 1 || shape->size() > 2) return 0;
  const auto& sizes = shape->as_array();
  if (!sizes[0].is_int() || sizes[0].as_int() != static_cast<std::int64_t>(rows)) return 0;
  if (sizes.size() == 1) return 1;
  return sizes[1].is_int() && sizes[1].as_int() > 0 ? static_cast<std::size_t>(sizes[1].as_int())
                                                    : 0;
}

/// Whether rows of so many columns can be answers of the task.
bool suits(const stats::Task& task, std::size_t columns) noexcept {
  switch (task.kind) {
    case TaskKind::kBinary: return columns == 1 || columns == 2;
    case TaskKind::kClasses: return columns == task.outputs();
    case TaskKind::kRegression: break;
  }
  return columns == 1;
}

std::string shapes_of(const stats::Task& task, std::size_t rows) {
  switch (task.kind) {
    case TaskKind::kBinary: return fmt::format("[{}], [{},1] or [{},2]", rows, rows, rows);
    case TaskKind::kClasses:
      return fmt::format("[{},{}], a column for each of the classes", rows, task.outputs());
    case TaskKind::kRegression: break;
  }
  return fmt::format("[{}] or [{},1]", rows, rows);
}

/// A tensor of an answer, and its bytes where they stand behind the JSON.
struct Tensor {
  const doc::Value* described = nullptr;
  std::optional<std::string_view> raw{};
};

/// The output of this name; the raw bytes of those before it are skipped.
Result<Tensor> tensor_of(const doc::Value& answer, std::string_view behind,
                         std::string_view output) {
  const doc::Value* outputs = answer.find("outputs");
  if (outputs == nullptr || !outputs->is_array()) return wrong("it has no `outputs`");
  for (const doc::Value& each : outputs->as_array()) {
    const auto size = binary_size(each);
    if (size.value_or(0) > behind.size()) return wrong("a tensor is longer than the body");
    if (each.string_or("name") == output) {
      Tensor found{&each};
      if (size) found.raw = behind.substr(0, *size);
      return found;
    }
    behind.remove_prefix(size.value_or(0));
  }
  return wrong(fmt::format("it has no output `{}`", output));
}

/// All numbers of a tensor, NaN where JSON has null.
Result<std::vector<double>> numbers_of(const Tensor& tensor, std::string_view output,
                                       std::size_t count) {
  const std::string datatype = tensor.described->string_or("datatype");
  const std::size_t width = datatype == "FP32" ? 4 : datatype == "FP64" ? 8 : 0;
  if (width == 0)
    return wrong(fmt::format("`{}` is {}, not FP32 or FP64", output, datatype.substr(0, 20)));
  std::vector<double> values;
  if (!tensor.raw) {
    const doc::Value* data = tensor.described->find("data");
    values.reserve(std::min<std::size_t>(count, 1 << 16));
    if (data == nullptr || !flatten(*data, count, 0, values) || values.size() != count)
      return wrong(fmt::format("`{}` has no {} numbers", output, count));
    return values;
  }
  if (tensor.raw->size() != count * width)
    return wrong(fmt::format("`{}` has {} bytes, its shape asks for {}", output, tensor.raw->size(),
                             count * width));
  values.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    float narrow = 0;
    if (width == 4)
      std::memcpy(&narrow, tensor.raw->data() + 4 * i, 4), values[i] = static_cast<double>(narrow);
    else
      std::memcpy(&values[i], tensor.raw->data() + 8 * i, 8);
  }
  return values;
}

/// Whether the numbers of a row are what the task predicts. A row with a NaN is one without an
/// answer.
Result<bool> is_answer(const stats::Task& task, std::span<const double> row, std::size_t at) {
  if (task.kind == TaskKind::kRegression) return std::isfinite(row[0]);
  double sum = 0;
  bool has_nan = false;
  for (const double value : row) {
    has_nan = has_nan || std::isnan(value);
    if (!std::isnan(value) && !(value >= 0 && value <= 1))
      return wrong(fmt::format("{} in row {} is no probability", value, at));
    sum += value;
  }
  if (has_nan) return false;
  if (task.kind == TaskKind::kClasses && std::abs(sum - 1) > kSumTolerance)
    return wrong(fmt::format("row {} is no distribution over the {} classes: it sums to {:.6g}", at,
                             row.size(), sum));
  return true;
}

/// A parameter that is a text, also in the form of a model's configuration.
std::string text_of(const doc::Value& parameters, std::string_view name) {
  const doc::Value* found = parameters.find(name);
  if (found == nullptr) return {};
  return found->is_object() ? found->string_or("string_value") : parameters.string_or(name);
}

/// A class as the metadata of a model names it.
std::string class_of(const doc::Value& value) {
  if (value.is_string()) return value.as_string();
  if (value.is_number() && value.as_double() == std::trunc(value.as_double()))
    return fmt::format("{:.0f}", value.as_double());
  return doc::to_json(value);
}

std::string in_words(const std::vector<std::string>& classes) {
  const std::span<const std::string> named(classes.data(),
                                           std::min(classes.size(), kMostClassesNamed));
  return fmt::format("`{}`{}", fmt::join(named, "`, `"),
                     named.size() < classes.size() ? ", ..." : "");
}

}  // namespace

Result<std::vector<float>> read(std::string_view body, std::size_t json_bytes,
                                std::string_view output, std::size_t rows,
                                const stats::Task& task) {
  if (json_bytes > body.size()) return wrong("its JSON is longer than its body");
  const auto parsed =
      doc::parse_json(body.substr(0, json_bytes), {.max_depth = 16, .max_bytes = 64 << 20});
  if (!parsed.ok()) return wrong(parsed.error().message);
  HEDDLE_ASSIGN_OR_RETURN(const Tensor tensor, tensor_of(*parsed, body.substr(json_bytes), output));
  const std::size_t columns = columns_of(*tensor.described, rows);
  if (!suits(task, columns))
    return wrong(fmt::format("`{}` has another shape than {}", output, shapes_of(task, rows)));
  HEDDLE_ASSIGN_OR_RETURN(const auto values, numbers_of(tensor, output, rows * columns));
  const std::size_t outputs = task.outputs();
  std::vector<float> answers(rows * outputs, kNaN);
  for (std::size_t row = 0; row < rows; ++row) {
    // Of two columns of binary the second is the probability of true.
    const auto numbers = std::span(values).subspan((row + 1) * columns - outputs, outputs);
    HEDDLE_ASSIGN_OR_RETURN(const bool is_there, is_answer(task, numbers, row));
    for (std::size_t k = 0; is_there && k < outputs; ++k)
      answers[row * outputs + k] = static_cast<float>(numbers[k]);
  }
  return answers;
}

Result<void> check_metadata(const doc::Value& metadata, const stats::Task& task) {
  const doc::Value* parameters = metadata.find("parameters");
  if (parameters == nullptr || !parameters->is_object()) return {};
  const std::string named = text_of(*parameters, "task");
  if (!named.empty() && named != stats::task_name(task.kind)) {
    return Error{ErrorKind::kInvalid, "runtime-task",
                 fmt::format("the runtime's model says that its task is `{}`, here it is `{}`",
                             named.substr(0, 40), stats::task_name(task.kind)),
                 "name the model of the right task, or correct `task` of the Model"};
  }
  const std::string text = text_of(*parameters, "classes");
  if (task.kind != TaskKind::kClasses || text.empty()) return {};
  const auto listed = doc::parse_json(text, {.max_depth = 4, .max_bytes = 1 << 20});
  std::vector<std::string> classes;
  for (const auto& each : doc::items_of(listed.ok() ? &*listed : nullptr))
    classes.push_back(class_of(each));
  if (classes == task.classes) return {};
  return Error{ErrorKind::kInvalid, "runtime-classes",
               fmt::format("the runtime's model says that its columns are the classes {}, here "
                           "they are {}",
                           in_words(classes), in_words(task.classes)),
               "write `classes` of the Model in the order of the runtime's columns"};
}

}  // namespace heddle::runtime::oip
