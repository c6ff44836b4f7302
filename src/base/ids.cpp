#include "base/ids.hpp"

#include "base/encoding.hpp"
#include "base/signature.hpp"

namespace heddle {

std::string uuid7(const Clock& clock) {
  std::string bytes = random_bytes(16);
  const auto millis = static_cast<std::uint64_t>(clock.wall() / 1000);
  for (std::size_t i = 0; i < 6; ++i) bytes[i] = static_cast<char>(millis >> (8 * (5 - i)));
  bytes[6] = static_cast<char>((bytes[6] & 0x0F) | 0x70);
  bytes[8] = static_cast<char>((bytes[8] & 0x3F) | 0x80);
  const std::string hex = hex_encode(bytes);
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4),
                     hex.substr(20));
}

}  // namespace heddle
