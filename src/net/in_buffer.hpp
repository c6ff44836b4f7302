#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace heddle::net {

/// Bytes that came and were not read yet. Keeps room for `Request::kBodyPadding` bytes past its
/// end. Memory moves between connections: while a connection is read it holds the loop's one large
/// buffer, and what it keeps between two reads is as large as what it has to keep.
class InBuffer {
 public:
  InBuffer() = default;
  InBuffer(InBuffer&& other) noexcept { *this = std::move(other); }
  InBuffer& operator=(InBuffer&& other) noexcept {
    data_ = std::move(other.data_);
    capacity_ = std::exchange(other.capacity_, 0);
    begin_ = std::exchange(other.begin_, 0);
    end_ = std::exchange(other.end_, 0);
    return *this;
  }

  [[nodiscard]] char* begin() noexcept { return data_.get() + begin_; }
  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::string_view view() const noexcept { return {data_.get() + begin_, size()}; }
  [[nodiscard]] char* free_space() noexcept { return data_.get() + end_; }
  [[nodiscard]] std::size_t free_bytes() const noexcept { return capacity_ - end_; }

  /// Makes room for `total` bytes from `begin()` on; at most doubles what is there beyond it.
  void reserve(std::size_t total);
  void added(std::size_t n) noexcept { end_ += n; }
  void consume(std::size_t n) noexcept {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  /// Takes the memory of `spare` for a read, with what this one holds at its front.
  void borrow(InBuffer& spare);
  /// Gives memory back to `spare` after reading, or frees it: nothing is kept for nothing, and
  /// little for little.
  void give_back(InBuffer& spare);

 private:
  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace heddle::net
