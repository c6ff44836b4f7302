#pragma once

#include <string>
#include <vector>

#include "draft/decision.hpp"

namespace heddle::draft {

/// The windows of a drafted monitor: so long that each has enough rows to say something, and what
/// columns look like in them.
class Windows {
 public:
  explicit Windows(const Decisions& decisions);

  [[nodiscard]] Micros duration() const noexcept { return duration_; }
  [[nodiscard]] std::int64_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::int64_t chunk_rows() const noexcept { return chunk_rows_; }
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
  /// Why windows of this column say nothing of a change; empty: they do.
  [[nodiscard]] std::string against(const Column& column) const;

 private:
  [[nodiscard]] std::vector<double> distances(const Column& column) const;

  const Decisions& decisions_;
  table::Table rows_of_;
  std::vector<std::size_t> order_{};  ///< sampled rows by time; empty: they have no order
  Micros duration_ = kDay;
  std::int64_t rows_ = 500;
  std::int64_t chunk_rows_ = 500;
  std::size_t blocks_ = 0;  ///< windows of the sample
  std::string reason_{};
};

}  // namespace heddle::draft
