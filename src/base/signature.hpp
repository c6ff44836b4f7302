#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace heddle {

using Ed25519Public = std::array<std::uint8_t, 32>;

/// An Ed25519 key pair (RFC 8032). The seed is the secret: keep it in a 0600 file, never log it. A
/// value type.
struct Ed25519Key {
  std::array<std::uint8_t, 32> seed{};
  Ed25519Public public_key{};

  [[nodiscard]] static Result<Ed25519Key> generate();
  [[nodiscard]] static Result<Ed25519Key> from_seed(std::string_view seed32);
  /// Reads the 32-byte seed (hex, one line) from `path`, or makes a key and writes it there with
  /// mode 0600.
  [[nodiscard]] static Result<Ed25519Key> load_or_create(const std::string& path);
  [[nodiscard]] std::string sign(std::string_view message) const;  ///< 64 bytes
};

[[nodiscard]] bool ed25519_verify(const Ed25519Public& key, std::string_view message,
                                  std::string_view signature);
[[nodiscard]] std::string hmac_sha256(std::string_view key,
                                      std::string_view message);  ///< 32 bytes
/// Equal in a time that does not depend on where they differ.
[[nodiscard]] bool equal_constant_time(std::string_view a, std::string_view b);
/// `n` bytes from the system's generator.
[[nodiscard]] std::string random_bytes(std::size_t n);

}  // namespace heddle
