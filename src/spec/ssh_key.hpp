#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace heddle::spec {

/// The bytes of an SSH public key as `ssh-keygen` writes it in a `.pub` file (`TYPE BASE64
/// [COMMENT]`): of one key there is one text of bytes, whatever the comment. Types that
/// `ssh-keygen -Y verify` takes from an allowed_signers file: ed25519, rsa, ecdsa, and the two of
/// security keys (`sk-`). kInvalid with what is wrong and what to write instead: for a private
/// key, a certificate, DSA, options before the key, an RSA key under 2,048 bits, bytes that are
/// not of that type (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, OpenSSH's PROTOCOL.u2f).
[[nodiscard]] Result<std::string> ssh_public_key(std::string_view line);

}  // namespace heddle::spec
