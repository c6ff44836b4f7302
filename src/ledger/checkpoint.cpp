#include "ledger/checkpoint.hpp"

#include <charconv>

#include "base/encoding.hpp"

namespace heddle::ledger {
namespace {

constexpr std::string_view kDash = "\xe2\x80\x94 ";  // the em dash that begins a signature line

std::string_view view(const auto& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string big_endian(std::uint32_t value) {
  std::string bytes(4, '\0');
  for (int i = 0; i < 4; ++i)
    bytes[static_cast<std::size_t>(i)] = static_cast<char>(value >> (24 - 8 * i) & 0xff);
  return bytes;
}

Error malformed(std::string_view why) {
  return {ErrorKind::kCorrupt, "checkpoint-malformed", fmt::format("not a checkpoint: {}", why),
          "it was changed or damaged: bring `.heddle/tiles` back from a backup, then run `heddle "
          "audit verify`"};
}

bool good_name(std::string_view name) {
  return !name.empty() && name.find_first_of(" \t\r\n+") == std::string_view::npos;
}

/// One form for one number: no leading zero.
bool read_size(std::string_view text, std::uint64_t& out) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  return code == std::errc() && end == text.data() + text.size() &&
         (text.size() == 1 || text[0] != '0');
}

/// `— NAME BASE64`: a key's name, and its id with the signature.
struct SignatureLine {
  std::string_view name{};
  std::string bytes{};
};

Result<SignatureLine> read_signature(std::string_view line) {
  if (!line.starts_with(kDash)) return malformed("a signature line is not one");
  line.remove_prefix(kDash.size());
  const auto space = line.find(' ');
  if (space == std::string_view::npos || !good_name(line.substr(0, space)))
    return malformed("a signature line is not one");
  auto bytes = base64_decode(line.substr(space + 1));
  // Four bytes of the key's id, and a signature of at least one.
  if (!bytes || bytes->size() < 5) return malformed("a signature is not base64");
  return SignatureLine{line.substr(0, space), std::move(*bytes)};
}

Result<Checkpoint> parse_body(std::string_view body) {
  Checkpoint checkpoint;
  const auto first = body.find('\n');
  const auto second = first == std::string_view::npos ? first : body.find('\n', first + 1);
  const auto third = second == std::string_view::npos ? second : body.find('\n', second + 1);
  if (third == std::string_view::npos || third + 1 != body.size())
    return malformed("it needs exactly three lines");
  checkpoint.origin = body.substr(0, first);
  if (!read_size(body.substr(first + 1, second - first - 1), checkpoint.size))
    return malformed("its size is no number");
  const auto root = base64_decode(body.substr(second + 1, third - second - 1));
  if (!root || root->size() != 32) return malformed("its root is no hash");
  std::copy(root->begin(), root->end(), checkpoint.root.bytes.begin());
  return checkpoint;
}

}  // namespace

std::uint32_t VerifierKey::id() const {
  std::string text = name;
  text += '\n';
  // Key id of C2SP `signed-note`: the first four bytes of
  // SHA-256 over name, newline, algorithm (1: Ed25519) and key.
  text += '\x01';
  text += view(key);
  const auto hash = sha256(text);
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | hash.bytes[i];
  return value;
}

std::string VerifierKey::str() const {
  return fmt::format("{}+{}+{}", name, hex_encode(big_endian(id())),
                     base64_encode("\x01" + std::string(view(key))));
}

Result<VerifierKey> VerifierKey::parse(std::string_view text) {
  const Error bad{
      ErrorKind::kInvalid, "vkey-malformed", "not a verifier key",
      "it looks like `heddle/NAME+0123abcd+BASE64`; `heddle audit verify` prints this ledger's"};
  const auto first = text.find('+');
  const auto second = first == std::string_view::npos ? first : text.find('+', first + 1);
  if (second == std::string_view::npos) return bad;
  VerifierKey key;
  key.name = text.substr(0, first);
  const auto bytes = base64_decode(text.substr(second + 1));
  if (!good_name(key.name) || !bytes || bytes->size() != 33 || (*bytes)[0] != '\x01') return bad;
  std::copy(bytes->begin() + 1, bytes->end(), key.key.begin());
  // The id is written and can be computed: a text that disagrees with itself was mistyped.
  if (text.substr(first + 1, second - first - 1) != hex_encode(big_endian(key.id()))) return bad;
  return key;
}

std::string sign_checkpoint(const Checkpoint& checkpoint, const Ed25519Key& key,
                            const std::string& name) {
  const std::string body = fmt::format("{}\n{}\n{}\n", checkpoint.origin, checkpoint.size,
                                       base64_encode(view(checkpoint.root.bytes)));
  const VerifierKey verifier{name, key.public_key};
  return fmt::format("{}\n{}{} {}\n", body, kDash, name,
                     base64_encode(big_endian(verifier.id()) + key.sign(body)));
}

namespace {

bool is_by(const SignatureLine& signature, const VerifierKey& key) {
  return signature.name == key.name && signature.bytes.starts_with(big_endian(key.id()));
}

}  // namespace

Result<Checkpoint> open_checkpoint(std::string_view note, const VerifierKey& key) {
  // The last empty line ends the body, as `signed-note` has it.
  const auto blank = note.rfind("\n\n");
  if (blank == std::string_view::npos || !note.ends_with('\n'))
    return malformed("it has no signature");
  const auto body = note.substr(0, blank + 1);
  HEDDLE_ASSIGN_OR_RETURN(auto checkpoint, parse_body(body));
  bool signed_by_key = false;
  auto rest = note.substr(blank + 2);
  for (int lines = 0; !rest.empty(); ++lines) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    // A bound, so that a file that was made to be long is not read line after line.
    if (lines == 64) return malformed("a signature line is not one");
    HEDDLE_ASSIGN_OR_RETURN(const auto signature, read_signature(line));
    if (!is_by(signature, key)) continue;  // others may sign too, witnesses for one
    // Two lines of one key must not be a choice of which one is looked at.
    if (signed_by_key ||
        !ed25519_verify(key.key, body, std::string_view(signature.bytes).substr(4))) {
      return Error{ErrorKind::kCorrupt, "checkpoint-signature",
                   fmt::format("the signature of `{}` does not fit the checkpoint", key.name),
                   "the checkpoint was changed after it was signed"};
    }
    signed_by_key = true;
  }
  if (!signed_by_key) {
    return Error{ErrorKind::kCorrupt, "checkpoint-unsigned",
                 fmt::format("the checkpoint is not signed by `{}`", key.str()),
                 "it is of another ledger, or the key was changed"};
  }
  // Signed by our key, and of another log: a key must not lend its word to that.
  if (checkpoint.origin != key.name) {
    return Error{
        ErrorKind::kCorrupt, "checkpoint-origin",
        fmt::format("the checkpoint is of `{}`, not of `{}`", checkpoint.origin, key.name)};
  }
  return checkpoint;
}

}  // namespace heddle::ledger
