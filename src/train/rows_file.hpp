#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "train/train.hpp"

namespace heddle::train {

/// The rows that all trials of a search share, mapped into each trial's memory. Bytes: `HDLROWS2`;
/// three little-endian int64 (training rows, validation rows, columns); training labels, validation
/// labels (float64); training features, validation features (float32, row-major).
/// Movable, not copyable; the views live as long as it does.
class RowsFile {
 public:
  /// kIo, kNotFound; kCorrupt when size and header disagree.
  [[nodiscard]] static Result<RowsFile> open(const std::string& path);
  RowsFile(RowsFile&& other) noexcept;
  ~RowsFile();
  [[nodiscard]] const RowsView& train() const noexcept { return train_; }
  [[nodiscard]] const RowsView& validation() const noexcept { return validation_; }

 private:
  RowsFile() = default;
  void* address_ = nullptr;
  std::size_t size_ = 0;
  RowsView train_{};
  RowsView validation_{};
};

/// The bytes of such a file from the named rows of both sides.
[[nodiscard]] std::string encode_rows(const RowsView& train,
                                      const std::vector<std::int64_t>& train_rows,
                                      const RowsView& validation,
                                      const std::vector<std::int64_t>& validation_rows);

}  // namespace heddle::train
