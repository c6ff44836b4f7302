#include "doc/signed_text.hpp"

#include "base/encoding.hpp"
#include "doc/schema.hpp"

namespace heddle::doc {
namespace {

struct Envelope {
  std::string payload;
  std::string signature;
};

const Schema<Envelope>& envelope_schema() {
  static const auto schema = [] {
    auto t = Schema<Envelope>::record("the envelope", "a payload with a signature over its bytes");
    t.refused_as(ErrorKind::kCorrupt, "envelope-malformed", "write the file again");
    t.text("payload", &Envelope::payload, "its bytes in base64").filled();
    t.text("signature", &Envelope::signature, "64 bytes in base64").filled();
    return t;
  }();
  return schema;
}

}  // namespace

std::string sign_text(std::string_view payload, const Ed25519Key& key) {
  const Envelope envelope{base64_encode(payload), base64_encode(key.sign(payload))};
  return to_json(envelope_schema().print(envelope)) + "\n";
}

Result<std::string> open_signed_text(std::string_view text, const Ed25519Public& key) {
  HEDDLE_ASSIGN_OR_RETURN(
      const Envelope envelope,
      envelope_schema().parse_text(text, {.max_depth = 4, .max_bytes = 1 << 20}));
  auto payload = base64_decode(envelope.payload);
  const auto signature = base64_decode(envelope.signature);
  if (!payload.ok() || !signature.ok()) {
    return Error{ErrorKind::kCorrupt, "envelope-malformed", "the envelope is not of base64",
                 "write the file again"};
  }
  // The bytes are signed, not what they mean: nothing of them is parsed before this.
  if (!ed25519_verify(key, *payload, *signature)) {
    return Error{ErrorKind::kCorrupt, "envelope-unsigned",
                 "the signature is not by the control plane's key", "write the file again"};
  }
  return std::move(*payload);
}

}  // namespace heddle::doc
