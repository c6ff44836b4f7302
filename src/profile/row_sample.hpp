#pragma once

#include <cstdint>
#include <vector>

#include "table/table.hpp"

namespace heddle::profile {

/// Whole rows of a file, drawn without regard to what they hold: those whose number hashes below a
/// threshold that halves when they become too many. All rows while there are few. What is kept is a
/// function of the rows and their numbers alone. A value type.
class RowSample {
 public:
  explicit RowSample(std::int64_t capacity = 1 << 16) : capacity_(capacity) {}
  /// Rows [first_row, ...) of the file.
  void add(const table::Table& rows, std::int64_t first_row);
  void merge(const RowSample& later);

  [[nodiscard]] std::int64_t size() const noexcept;
  [[nodiscard]] bool is_whole() const noexcept { return level_ == 0; }
  /// The rows in the order of the file.
  [[nodiscard]] table::Table rows() const;
  [[nodiscard]] std::vector<std::int64_t> numbers() const;  ///< their places in the file

 private:
  struct Part {
    table::Table rows;
    std::vector<std::int64_t> numbers;
  };
  [[nodiscard]] bool keeps(std::int64_t row) const noexcept;
  void thin();
  void settle();

  std::int64_t capacity_;
  int level_ = 0;
  std::vector<Part> parts_{};
};

}  // namespace heddle::profile
