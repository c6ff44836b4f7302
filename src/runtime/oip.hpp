#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
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

/// The tensor `output` of an infer response: FP32 or FP64, [n], [n,1], or [n,2], of which the
/// second column is taken. `json_bytes`: what `Inference-Header-Content-Length` says, else all of
/// it. One probability a row: in [0, 1], or NaN where the runtime gave none. kCorrupt
/// (`runtime-answer`) for anything else.
[[nodiscard]] Result<std::vector<float>> read(std::string_view body, std::size_t json_bytes,
                                              std::string_view output, std::size_t rows);

}  // namespace heddle::runtime::oip
