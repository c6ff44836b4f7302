#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace heddle {

/// A SHA-256 digest. Text form everywhere: `sha256:` + 64 lower-case hex digits. A value type.
struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  [[nodiscard]] std::string str() const;        ///< `sha256:…`
  [[nodiscard]] std::string hex() const;        ///< 64 digits
  [[nodiscard]] std::string short_str() const;  ///< the first 12 hex digits, for people
  [[nodiscard]] bool empty() const noexcept { return *this == Digest{}; }
  [[nodiscard]] static Result<Digest> parse(
      std::string_view text);  ///< accepts the text form only; kInvalid otherwise
  auto operator<=>(const Digest&) const = default;
};

[[nodiscard]] Digest sha256(std::string_view bytes);

/// SHA-256 over a stream. Not thread-safe; `finish` once.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  void update(std::string_view bytes);
  /// Adds the length, then the bytes: fields cannot run into each other.
  void update_field(std::string_view bytes);
  [[nodiscard]] Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[nodiscard]] Result<Digest> sha256_file(const std::string& path);

}  // namespace heddle

template <>
struct std::hash<heddle::Digest> {
  std::size_t operator()(const heddle::Digest& digest) const noexcept {
    std::size_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | digest.bytes[static_cast<std::size_t>(i)];
    return value;
  }
};
