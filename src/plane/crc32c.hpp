#pragma once

#include <cstdint>
#include <string_view>

namespace heddle::plane {

/// CRC-32C (Castagnoli, RFC 3720 B.4): reflected, initial and final xor 0xffffffff. By the
/// processor where it can.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes) noexcept;

}  // namespace heddle::plane
