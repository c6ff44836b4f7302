#pragma once

#include <cstdint>
#include <vector>

namespace heddle::table {

/// Features as a model reads them: rows x columns floats, row-major, NaN = missing. A value type.
struct Matrix {
  std::int64_t rows = 0;
  int columns = 0;
  std::vector<float> values{};

  [[nodiscard]] const float* row(std::int64_t index) const noexcept {
    return values.data() + index * static_cast<std::int64_t>(columns);
  }
};

}  // namespace heddle::table
