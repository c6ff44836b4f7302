#include "base/digest.hpp"

#include <openssl/evp.h>

#include <cstdio>

#include "base/encoding.hpp"

namespace heddle {

namespace {

/// Fetched once: `EVP_sha256` has OpenSSL search its providers at each use, under a lock.
const EVP_MD* algorithm() {
  static const EVP_MD* const kFetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return kFetched == nullptr ? EVP_sha256() : kFetched;
}

}  // namespace

struct Hasher::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() { EVP_DigestInit_ex(context, algorithm(), nullptr); }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;

void Hasher::update(std::string_view bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

void Hasher::update_field(std::string_view bytes) {
  std::array<char, 8> length{};
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(bytes.size() >> (8 * (7 - i)));
  update({length.data(), length.size()});
  update(bytes);
}

Digest Hasher::finish() {
  Digest digest;
  unsigned int size = 0;
  EVP_DigestFinal_ex(state_->context, digest.bytes.data(), &size);
  return digest;
}

Digest sha256(std::string_view bytes) {
  // Row ids are hashed by the million: to make a context takes longer than to hash one.
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), EVP_MD_CTX_free);
  Digest digest;
  unsigned int size = 0;
  EVP_DigestInit_ex(context.get(), algorithm(), nullptr);
  EVP_DigestUpdate(context.get(), bytes.data(), bytes.size());
  EVP_DigestFinal_ex(context.get(), digest.bytes.data(), &size);
  return digest;
}

Result<Digest> sha256_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    return Error{ErrorKind::kNotFound, "file-not-found", fmt::format("cannot open `{}`", path),
                 "check the path and its permissions"};
  }
  Hasher hasher;
  std::string buffer(1 << 20, '\0');
  std::size_t read = 0;
  while ((read = std::fread(buffer.data(), 1, buffer.size(), file)) > 0)
    hasher.update({buffer.data(), read});
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  if (failed)
    return Error{ErrorKind::kIo, "file-read-failed", fmt::format("cannot read `{}`", path)};
  return hasher.finish();
}

std::string Digest::hex() const {
  return hex_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}
std::string Digest::str() const { return "sha256:" + hex(); }
std::string Digest::short_str() const { return hex().substr(0, 12); }

Result<Digest> Digest::parse(std::string_view text) {
  const Error bad{ErrorKind::kInvalid, "digest-malformed",
                  fmt::format("`{}` is not a digest", text.substr(0, 100)),
                  "a digest is `sha256:` and 64 lower-case hex digits"};
  // 7 characters of `sha256:` and 64 hex digits.
  if (text.size() != 71 || text.substr(0, 7) != "sha256:") return bad;
  // Lower case only, so that one digest has one text.
  for (const char c : text.substr(7)) {
    if (c >= 'A' && c <= 'F') return bad;
  }
  auto raw = hex_decode(text.substr(7));
  if (!raw) return bad;
  Digest digest;
  std::copy(raw->begin(), raw->end(), digest.bytes.begin());
  return digest;
}

}  // namespace heddle
