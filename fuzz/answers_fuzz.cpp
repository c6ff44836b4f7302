// What a worker or an upstream answers, and what it says of its model. The first byte says how many
// rows were asked and of which task, two more how many bytes follow the JSON. Whatever is
// understood is a prediction of the task for each row, or none.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "doc/json.hpp"
#include "runtime/oip.hpp"

using namespace heddle;  // NOLINT(google-build-using-namespace): one function

namespace {

const stats::Task kTasks[] = {
    {}, {stats::TaskKind::kClasses, {"a", "b", "c"}}, {stats::TaskKind::kRegression}};

/// Nothing but numbers of the task gets through.
void check(const stats::Task& task, std::span<const float> answer) {
  double sum = 0;
  for (const float value : answer) {
    if (std::isnan(value) != std::isnan(answer[0])) std::abort();
    if (std::isnan(value)) continue;  // then all of them are: the row has no answer
    if (task.kind != stats::TaskKind::kRegression && !(value >= 0 && value <= 1)) std::abort();
    sum += static_cast<double>(value);
  }
  const bool is_distribution = task.kind == stats::TaskKind::kClasses && !std::isnan(answer[0]);
  if (is_distribution && std::abs(sum - 1) > 0.01) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::size_t rows = 1 + data[0] % 8;
  const stats::Task& task = kTasks[data[0] / 8 % 3];
  const std::string_view output = task.kind == stats::TaskKind::kBinary ? "probability" : "x";
  const std::size_t raw = data[1] + std::size_t{256} * data[2];
  const std::size_t bytes = size - 3;
  // As large as what has come: reading past it is seen by the sanitizer.
  const std::unique_ptr<char[]> memory(new char[bytes]);
  if (bytes > 0) std::memcpy(memory.get(), data + 3, bytes);
  const std::string_view body(memory.get(), bytes);
  const std::size_t json_bytes = raw > bytes ? raw : bytes - raw;
  const auto answer = runtime::oip::read(body, json_bytes, output, rows, task);
  const auto again = runtime::oip::read(body, json_bytes, output, rows, task);
  if (const auto said = doc::parse_json(body, {.max_depth = 16, .max_bytes = 1 << 20}); said.ok())
    (void)runtime::oip::check_metadata(*said, task);
  if (answer.ok() != again.ok()) std::abort();
  if (!answer.ok()) {
    const Error& error = answer.error();
    if (error.kind != ErrorKind::kCorrupt || error.id != "runtime-answer" ||
        error.message.empty() || error.hint.empty())
      std::abort();
    return 0;
  }
  const std::size_t outputs = task.outputs();
  if (answer->size() != rows * outputs || again->size() != rows * outputs) std::abort();
  for (std::size_t row = 0; row < rows; ++row)
    check(task, std::span(*answer).subspan(row * outputs, outputs));
  for (std::size_t i = 0; i < answer->size(); ++i) {
    const float value = (*answer)[i];
    if (std::bit_cast<std::uint32_t>(value) != std::bit_cast<std::uint32_t>((*again)[i]))
      std::abort();
  }
  return 0;
}
