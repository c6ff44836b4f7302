#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace heddle {

[[nodiscard]] std::string hex_encode(std::string_view bytes);
[[nodiscard]] Result<std::string> hex_decode(
    std::string_view text);  ///< kInvalid on odd length or a foreign character
[[nodiscard]] std::string base64_encode(std::string_view bytes);  ///< RFC 4648, with padding
[[nodiscard]] Result<std::string> base64_decode(
    std::string_view text);  ///< strict: padding required, no white space

}  // namespace heddle
