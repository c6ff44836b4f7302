#pragma once

#include <cstddef>
#include <cstdint>

namespace heddle::stats {

/// splitmix64 (Steele, Lea, Flood 2014): a fixed stream, the same on every machine.
class Draws {
 public:
  /// One of 0 .. n - 1, n below 2^32.
  std::size_t below(std::size_t n) noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    return static_cast<std::size_t>(((z >> 32) * n) >> 32);
  }

 private:
  std::uint64_t state_ = 20260101;
};

}  // namespace heddle::stats
