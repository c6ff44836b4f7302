#include "base/ids.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "base/signature.hpp"

namespace heddle {
namespace {

constexpr std::size_t kPool = 4096;

/// The two hex digits of each byte.
constexpr auto kHexPairs = [] {
  std::array<char, 512> pairs{};
  for (std::size_t i = 0; i < 256; ++i) {
    pairs[2 * i] = "0123456789abcdef"[i >> 4];
    pairs[2 * i + 1] = "0123456789abcdef"[i & 15];
  }
  return pairs;
}();
std::atomic<unsigned> forks{0};

/// 16 random bytes of a thread's own pool: asking the generator for so few at a time costs more
/// than the rest of an id. A forked process does not go on in its parent's pool.
const unsigned char* next_random() {
  thread_local std::string pool;
  thread_local std::size_t used = 0;
  thread_local unsigned of_forks = 0;
  static const int watching =
      ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
  (void)watching;
  const unsigned now = forks.load(std::memory_order_relaxed);
  if (pool.empty() || used == kPool || of_forks != now) {
    pool = random_bytes(kPool);
    used = 0;
    of_forks = now;
  }
  const auto* at = reinterpret_cast<const unsigned char*>(pool.data() + used);
  used += 16;
  return at;
}

}  // namespace

std::string uuid7(const Clock& clock) {
  unsigned char bytes[16];
  std::copy_n(next_random(), sizeof bytes, bytes);
  const auto micros = static_cast<std::uint64_t>(clock.wall());
  const std::uint64_t millis = micros / 1000;
  // RFC 9562, 6.2, method 3: twelve bits of the millisecond, so that ids of one are in order too.
  const std::uint64_t fraction = (micros - millis * 1000) * 4096 / 1000;
  for (std::size_t i = 0; i < 6; ++i)
    bytes[i] = static_cast<unsigned char>(millis >> (8 * (5 - i)));
  bytes[6] = static_cast<unsigned char>(0x70 | (fraction >> 8));
  bytes[7] = static_cast<unsigned char>(fraction);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3F) | 0x80);
  // Each request without an id gets one: two digits a step, and no question between them.
  constexpr std::array<std::uint8_t, 16> kPlaces{0,  2,  4,  6,  9,  11, 14, 16,
                                                 19, 21, 24, 26, 28, 30, 32, 34};
  std::string text(36, '-');
  char* const out = text.data();
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kPlaces.size(); ++i)
    std::memcpy(out + kPlaces[i], &kHexPairs[2 * std::size_t{bytes[i]}], 2);
  return text;
}

}  // namespace heddle
