#include "spec/ssh_key.hpp"

#include <algorithm>
#include <bit>
#include <optional>

#include <fmt/format.h>

#include "base/encoding.hpp"

namespace heddle::spec {
namespace {

constexpr std::size_t kLeastRsaBits = 2048;
constexpr const char* kPaste = "paste the one line of the `.pub` file: `ssh-ed25519 AAAA...`";

Error no_key(std::string message, std::string hint = kPaste) {
  return {ErrorKind::kInvalid, "people-key", std::move(message), std::move(hint)};
}

/// The strings of a key's bytes, each with its length before it (RFC 4251, 5).
class Wire {
 public:
  explicit Wire(std::string_view bytes) : rest_(bytes) {}
  std::optional<std::string_view> next() {
    if (rest_.size() < 4) return std::nullopt;
    std::size_t length = 0;
    for (int i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(rest_[i]);
    // Subtracted, not added: with a length of 2^32 - 1 a sum could wrap.
    if (rest_.size() - 4 < length) return std::nullopt;
    const auto text = rest_.substr(4, length);
    rest_.remove_prefix(4 + length);
    return text;
  }
  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

 private:
  std::string_view rest_;
};

/// The bits of a positive number in its shortest form; nothing for another form of it, by which one
/// key would have two texts.
std::optional<std::size_t> bits_of(std::optional<std::string_view> number) {
  if (!number || number->empty()) return std::nullopt;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>((*number)[i]); };
  // An mpint (RFC 4251, 5): two's complement, so that the high bit is a sign.
  const bool is_negative = byte(0) >= 0x80;
  const bool is_padded = number->size() > 1 && byte(0) == 0 && byte(1) < 0x80;
  if (is_negative || is_padded) return std::nullopt;
  // A zero byte that keeps a high bit positive is no digit.
  const std::size_t first = byte(0) == 0 ? 1 : 0;
  if (first == number->size()) return std::nullopt;
  return (number->size() - first - 1) * 8 + static_cast<std::size_t>(std::bit_width(byte(first)));
}

bool is_point(std::optional<std::string_view> point, std::string_view curve) {
  // SEC 1, 2.3.3: a 4, then both coordinates; 66 bytes hold the 521 bits of the third curve.
  const std::size_t bytes = curve == "nistp256" ? 32 : curve == "nistp384" ? 48 : 66;
  return point && point->size() == 1 + 2 * bytes && point->front() == 4;  // uncompressed
}

bool is_curve(std::string_view name) {
  return name == "nistp256" || name == "nistp384" || name == "nistp521";
}

bool is_ed25519(Wire& wire) {
  const auto key = wire.next();
  return key && key->size() == 32;
}

bool is_ecdsa(Wire& wire, std::string_view curve) {
  const auto named = wire.next();
  // The curve is named in the type and in the bytes, and both must agree.
  return named && *named == curve && is_point(wire.next(), curve);
}

/// Of a security key: what it was made for, by default `ssh:`.
bool has_application(Wire& wire) {
  const auto application = wire.next();
  return application && !application->empty();
}

Error not_of_type(std::string_view type) {
  return no_key(fmt::format("the bytes are not those of a key of type `{}`", type));
}

Result<void> check_rsa(Wire& wire) {
  // The exponent comes first (RFC 4253, 6.6).
  const auto exponent = bits_of(wire.next());
  const auto modulus = bits_of(wire.next());
  if (!exponent || !modulus) return not_of_type("ssh-rsa");
  if (*modulus >= kLeastRsaBits) return {};
  return no_key(fmt::format("an RSA key of {} bits can be broken", *modulus),
                "take `ssh-keygen -t ed25519`, or RSA of 2,048 bits and more");
}

Result<void> check_bytes(std::string_view type, Wire& wire) {
  constexpr std::string_view kEcdsa = "ecdsa-sha2-";
  if (type == "ssh-rsa") return check_rsa(wire);
  bool whole = false;
  if (type == "ssh-ed25519") {
    whole = is_ed25519(wire);
  } else if (type.starts_with(kEcdsa)) {
    whole = is_ecdsa(wire, type.substr(kEcdsa.size()));
  } else if (type == "sk-ssh-ed25519@openssh.com") {
    whole = is_ed25519(wire) && has_application(wire);
  } else {
    // `is_known` leaves `sk-ecdsa-sha2-nistp256@openssh.com`, which has one curve.
    whole = is_ecdsa(wire, "nistp256") && has_application(wire);
  }
  return whole ? Result<void>() : not_of_type(type);
}

bool is_known(std::string_view type) {
  constexpr std::string_view kEcdsa = "ecdsa-sha2-";
  return type == "ssh-ed25519" || type == "ssh-rsa" || type == "sk-ssh-ed25519@openssh.com" ||
         type == "sk-ecdsa-sha2-nistp256@openssh.com" ||
         (type.starts_with(kEcdsa) && is_curve(type.substr(kEcdsa.size())));
}

/// The next word of `rest`, which blanks end.
std::string_view word_of(std::string_view& rest) {
  const auto begin = std::min(rest.find_first_not_of(" \t"), rest.size());
  const auto end = std::min(rest.find_first_of(" \t", begin), rest.size());
  const auto word = rest.substr(begin, end - begin);
  rest.remove_prefix(end);
  return word;
}

/// What stands where a type is to stand.
Error other_type(std::string_view type, std::string_view rest) {
  if (type.starts_with("-----BEGIN"))
    return no_key("that is a private key, and whoever reads this file has it now",
                  "make another key, and paste the one line of its `.pub` file");
  if (type.find("-cert-v01@") != std::string_view::npos) {
    return no_key("that is a certificate, and its key could stand under another name",
                  "paste the line of the key itself: `KEY.pub`, not `KEY-cert.pub`");
  }
  if (type == "ssh-dss")
    return no_key("DSA keys are not taken any more", "make one with `ssh-keygen -t ed25519`");
  // Options of an authorized_keys line or names of an allowed_signers one may stand before it.
  while (!rest.empty()) {
    if (is_known(word_of(rest)))
      return no_key(fmt::format("`{}` stands before the key", type.substr(0, 40)),
                    "write the key alone, without options or names before it");
  }
  return no_key(fmt::format("`{}` is no type of an SSH key", type.substr(0, 40)));
}

}  // namespace

Result<std::string> ssh_public_key(std::string_view line) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\t'; };
  auto rest = line;
  const auto type = word_of(rest);
  if (!is_known(type)) return other_type(type, rest);
  // Only now: a private key, of several lines, has its own message.
  if (std::any_of(line.begin(), line.end(), is_control))
    return no_key("it is more than one line, or holds control characters");
  auto bytes = base64_decode(word_of(rest));
  if (!bytes.ok()) return no_key("what follows its type is not base64");
  Wire wire(*bytes);
  // The type stands in the bytes again. Another one there would be another key under this name.
  if (wire.next() != type) return not_of_type(type);
  HEDDLE_TRY(check_bytes(type, wire));
  // Bytes behind the key would give one key a second text.
  if (!wire.at_end()) return not_of_type(type);
  return bytes;
}

}  // namespace heddle::spec
