#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/signature.hpp"

namespace heddle::doc {

/// `{"payload": base64, "signature": base64}` and a line feed: a payload with the Ed25519 signature
/// over its bytes.
[[nodiscard]] std::string sign_text(std::string_view payload, const Ed25519Key& key);

/// The payload, when `key` signed it. kCorrupt `envelope-malformed` where there is none to check,
/// `envelope-unsigned` where somebody else signed it.
[[nodiscard]] Result<std::string> open_signed_text(std::string_view text, const Ed25519Public& key);

}  // namespace heddle::doc
