#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::watch {

/// Writes the state of the watch as bytes: integers little-endian in 8 bytes, strings with their
/// length in front.
class StateWriter {
 public:
  void put(std::uint64_t value) {
    for (int i = 0; i < 8; ++i) bytes_.push_back(static_cast<char>(value >> (8 * i)));
  }
  void put(std::int64_t value) { put(static_cast<std::uint64_t>(value)); }
  void put(int value) { put(static_cast<std::uint64_t>(static_cast<std::int64_t>(value))); }
  void put(bool value) { put(std::uint64_t{value}); }
  void put(double value) { put(std::bit_cast<std::uint64_t>(value)); }
  void put(std::string_view value) {
    put(std::uint64_t{value.size()});
    bytes_.append(value);
  }
  void put(const std::string& value) { put(std::string_view(value)); }
  /// Four bytes each, their IEEE bits; how many there are is known to who reads them.
  void put_floats(std::span<const float> values) {
    for (const float value : values) {
      const auto bits = std::bit_cast<std::uint32_t>(value);
      for (int i = 0; i < 4; ++i) bytes_.push_back(static_cast<char>(bits >> (8 * i)));
    }
  }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// Reads what `StateWriter` wrote. Past the end everything reads as zero and `ok` turns false: ask
/// once, at the end.
class StateReader {
 public:
  explicit StateReader(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] std::uint64_t u64() {
    if (bytes_.size() < 8) return fail();
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i)
      value |= std::uint64_t{static_cast<unsigned char>(bytes_[i])} << (8 * i);
    bytes_.remove_prefix(8);
    return value;
  }
  [[nodiscard]] std::int64_t i64() { return static_cast<std::int64_t>(u64()); }
  [[nodiscard]] int small() { return static_cast<int>(i64()); }
  [[nodiscard]] bool flag() { return u64() != 0; }
  [[nodiscard]] double real() { return std::bit_cast<double>(u64()); }
  [[nodiscard]] std::string text() {
    const std::uint64_t size = u64();
    if (size > bytes_.size()) {
      fail();
      return {};
    }
    std::string out(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return out;
  }
  /// None where there are not so many.
  [[nodiscard]] std::vector<float> floats(std::uint64_t count) {
    if (count > bytes_.size() / 4) {
      fail();
      return {};
    }
    std::vector<float> out(count);
    for (float& value : out) {
      std::uint32_t bits = 0;
      for (std::size_t i = 0; i < 4; ++i)
        bits |= std::uint32_t{static_cast<unsigned char>(bytes_[i])} << (8 * i);
      value = std::bit_cast<float>(bits);
      bytes_.remove_prefix(4);
    }
    return out;
  }
  /// A count of items of at least 8 bytes each: 0 when there cannot be so many.
  [[nodiscard]] std::uint64_t count() {
    const std::uint64_t n = u64();
    return n > bytes_.size() / 8 ? fail() : n;
  }
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] bool done() const noexcept { return ok_ && bytes_.empty(); }

 private:
  std::uint64_t fail() {
    ok_ = false;
    bytes_ = {};
    return 0;
  }
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace heddle::watch
