#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <limits>
#include <span>
#include <vector>

namespace heddle::watch {

/// Two slots' margins of each row, in the order of the rows: they come at the end and go at the
/// front. In blocks, so that a row costs what its numbers cost and nothing is moved.
class RowOutputs {
 public:
  explicit RowOutputs(std::size_t outputs = 1) : outputs_(std::max<std::size_t>(1, outputs)) {}

  /// A span that is not of `outputs` numbers says that the slot did not answer.
  void push(std::span<const float> primary, std::span<const float> standby) {
    if (blocks_.empty() || blocks_.back().size() == rows_of_block() * width()) {
      blocks_.emplace_back();
      blocks_.back().reserve(rows_of_block() * width());
    }
    for (const auto& slot : {primary, standby}) {
      for (std::size_t k = 0; k < outputs_; ++k)
        blocks_.back().push_back(slot.size() == outputs_ ? slot[k] : kNone);
    }
    ++size_;
  }
  void pop_front() {
    --size_;
    if (++front_ < rows_of_block() && size_ > 0) return;
    blocks_.pop_front();
    front_ = 0;
  }
  void clear() {
    blocks_.clear();
    size_ = front_ = 0;
  }
  /// NaN where the slot did not answer.
  [[nodiscard]] std::span<const float> primary(std::size_t row) const { return at(row, 0); }
  [[nodiscard]] std::span<const float> standby(std::size_t row) const { return at(row, outputs_); }
  /// Both, one after the other.
  [[nodiscard]] std::span<const float> both(std::size_t row) const {
    return {at(row, 0).data(), width()};
  }
  [[nodiscard]] std::size_t outputs() const noexcept { return outputs_; }

 private:
  static constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  static constexpr std::size_t kFloatsOfBlock = 16'384;

  [[nodiscard]] std::size_t width() const noexcept { return 2 * outputs_; }
  [[nodiscard]] std::size_t rows_of_block() const noexcept {
    return std::max<std::size_t>(1, kFloatsOfBlock / width());
  }
  [[nodiscard]] std::span<const float> at(std::size_t row, std::size_t from) const {
    const std::size_t place = front_ + row;
    const std::vector<float>& block = blocks_[place / rows_of_block()];
    return {&block[place % rows_of_block() * width() + from], outputs_};
  }

  std::size_t outputs_;
  std::size_t size_ = 0;
  std::size_t front_ = 0;  ///< rows of the first block that went
  std::deque<std::vector<float>> blocks_;
};

}  // namespace heddle::watch
