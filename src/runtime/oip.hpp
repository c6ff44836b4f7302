#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "doc/value.hpp"
#include "runtime/rows.hpp"

namespace heddle::runtime::oip {

/// An infer request of the Open Inference Protocol, version 2, for rows of several owners one after
/// the other (docs/formats/runtime.md).
struct Body {
  std::string bytes;
  std::size_t json_bytes = 0;  ///< of `bytes`; less than all of them: raw tensors follow
};
[[nodiscard]] Body write(const Shape& shape, std::span<const Rows* const> rows,
                         std::string_view output, bool binary);

/// The tensor `output` of an infer response, FP32 or FP64, as `task.outputs()` numbers a row,
/// row-major. Binary: [n], [n,1], or [n,2] of which the second column is taken, probabilities in
/// [0, 1]. Classes: [n,K] in their order, each row a distribution. Regression: [n] or [n,1].
/// All NaN: the runtime gave none for the row, which holds a number that is not finite; a
/// probability must be in its range all the same. `json_bytes`: what
/// `Inference-Header-Content-Length` says, else all of it. kCorrupt (`runtime-answer`) for anything
/// else.
[[nodiscard]] Result<std::vector<float>> read(std::string_view body, std::size_t json_bytes,
                                              std::string_view output, std::size_t rows,
                                              const stats::Task& task);

/// Whether a model's metadata or configuration, as far as it says anything of them (`parameters`:
/// `task`, and `classes` as a JSON array; texts, or objects with a `string_value`), names this task
/// and its classes in their order. kInvalid
/// (`runtime-task`, `runtime-classes`).
[[nodiscard]] Result<void> check_metadata(const doc::Value& metadata, const stats::Task& task);

}  // namespace heddle::runtime::oip
