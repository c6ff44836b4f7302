#include "control/keys.hpp"

#include "base/encoding.hpp"
#include "base/file.hpp"

namespace heddle::control {
namespace {

Error key_lost(std::string_view id, const std::string& path, std::string_view signs) {
  return {ErrorKind::kCorrupt, std::string(id),
          fmt::format("`{}` is lost, the key that signs {}", path, signs),
          "bring it back from a backup of `.heddle/keys`; until then what was released is served, "
          "and nothing is decided"};
}

}  // namespace

Result<Ed25519Key> open_control_key(const Home& home, const std::string& known_key) {
  const bool known = path_exists(home.control_public_key());
  // Either trace of an older key will do, the public file or what the
  // state noted: a new key must not quietly take the place of a lost one.
  if ((known || !known_key.empty()) && !path_exists(home.control_key()))
    return key_lost("control-key-lost", home.control_key(), "route tables");
  HEDDLE_ASSIGN_OR_RETURN(auto key, Ed25519Key::load_or_create(home.control_key()));
  const std::string line =
      hex_encode(std::string_view(reinterpret_cast<const char*>(key.public_key.data()),
                                  key.public_key.size())) +
      "\n";
  if (!known) {
    HEDDLE_TRY(write_file_atomic(home.control_public_key(), line));
    return key;
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto there, read_file(home.control_public_key()));
  if (there == line) return key;
  if (there.size() != line.size() || !hex_decode(there.substr(0, line.size() - 1)).ok()) {
    return Error{ErrorKind::kCorrupt, "control-key-damaged",
                 fmt::format("`{}` is damaged: it holds no public key", home.control_public_key()),
                 fmt::format("remove it and start again: it is written anew from `{}`, which is "
                             "whole and signs as before",
                             home.control_key())};
  }
  return Error{
      ErrorKind::kCorrupt, "control-key-other",
      fmt::format("`{}` is not the key of `{}`", home.control_key(), home.control_public_key()),
      "bring the key back from a backup of `.heddle/keys`. To go on with another key "
      "remove the public one: what was signed by the old key is not served any more then"};
}

Result<Ed25519Key> open_ledger_key(const Home& home, bool has_entries) {
  // Likewise: checkpoints by another key would look like a ledger of somebody else.
  const bool signed_before = has_entries || path_exists(home.dir() + "/tiles/vkey");
  if (signed_before && !path_exists(home.ledger_key()))
    return key_lost("ledger-key-lost", home.ledger_key(), "the ledger's checkpoints");
  return Ed25519Key::load_or_create(home.ledger_key());
}

}  // namespace heddle::control
