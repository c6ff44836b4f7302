#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "base/signature.hpp"

namespace heddle::ledger {

/// The head of a ledger (C2SP tlog-checkpoint): its name, how many entries, the root over them.
struct Checkpoint {
  std::string origin;
  std::uint64_t size = 0;
  Digest root{};
  bool operator==(const Checkpoint&) const = default;
};

/// Who signs: a name and an Ed25519 public key (C2SP signed-note verifier key, type 0x01).
struct VerifierKey {
  std::string name;
  Ed25519Public key{};

  [[nodiscard]] std::string str() const;  ///< `name+hex(id)+base64(0x01 || key)`
  [[nodiscard]] static Result<VerifierKey> parse(std::string_view text);
  [[nodiscard]] std::uint32_t id()
      const;  ///< first four bytes of SHA-256(name || 0x0A || 0x01 || key)
};

/// The signed note: three lines, a blank line, one signature line. Deterministic.
[[nodiscard]] std::string sign_checkpoint(const Checkpoint& checkpoint, const Ed25519Key& key,
                                          const std::string& name);
/// kCorrupt (`checkpoint-malformed`, `checkpoint-unsigned`, `checkpoint-signature`) unless `key`
/// signed it; signatures by other keys are passed over, a wrong one by this key is not.
[[nodiscard]] Result<Checkpoint> open_checkpoint(std::string_view note, const VerifierKey& key);

}  // namespace heddle::ledger
