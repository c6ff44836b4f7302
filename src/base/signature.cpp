#include "base/signature.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/encoding.hpp"
#include "base/file.hpp"

namespace heddle {
namespace {

using Pkey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string random_bytes(std::size_t n) {
  std::string bytes(n, '\0');
  HEDDLE_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(n)) == 1,
               "no randomness");
  return bytes;
}

Result<Ed25519Key> Ed25519Key::generate() { return from_seed(random_bytes(32)); }

Result<Ed25519Key> Ed25519Key::from_seed(std::string_view seed32) {
  if (seed32.size() != 32)
    return Error{ErrorKind::kInvalid, "key-malformed", "an Ed25519 seed has 32 bytes"};
  Ed25519Key key;
  std::copy(seed32.begin(), seed32.end(), key.seed.begin());
  const Pkey pkey(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, key.seed.data(), 32),
                  &EVP_PKEY_free);
  std::size_t size = 32;
  if (!pkey || EVP_PKEY_get_raw_public_key(pkey.get(), key.public_key.data(), &size) != 1) {
    return Error{ErrorKind::kInternal, "key-derive-failed", "cannot derive the public key"};
  }
  return key;
}

Result<Ed25519Key> Ed25519Key::load_or_create(const std::string& path) {
  if (!path_exists(path)) {
    HEDDLE_ASSIGN_OR_RETURN(const auto key, generate());
    const std::string seed(key.seed.begin(), key.seed.end());
    HEDDLE_TRY(write_file_atomic(path, hex_encode(seed) + "\n", 0600));
    return key;
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto text, read_file(path));
  const auto end = text.find_last_not_of(" \n\r\t");
  auto seed = hex_decode(std::string_view(text).substr(0, end == std::string::npos ? 0 : end + 1));
  if (!seed || seed->size() != 32) {
    return Error{ErrorKind::kCorrupt, "key-malformed", fmt::format("`{}` is not a key file", path),
                 "restore it from a backup; a new key would break the chain of checkpoints"};
  }
  return from_seed(*seed);
}

std::string Ed25519Key::sign(std::string_view message) const {
  const Pkey pkey(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), 32),
                  &EVP_PKEY_free);
  const Context context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  std::string signature(64, '\0');
  std::size_t size = signature.size();
  HEDDLE_CHECK(pkey &&
                   EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1 &&
                   EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                                  &size, bytes_of(message), message.size()) == 1,
               "Ed25519 signing failed");
  return signature;
}

bool ed25519_verify(const Ed25519Public& key, std::string_view message,
                    std::string_view signature) {
  if (signature.size() != 64) return false;
  const Pkey pkey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()),
                  &EVP_PKEY_free);
  const Context context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  return pkey && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1 &&
         EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(message),
                          message.size()) == 1;
}

std::string hmac_sha256(std::string_view key, std::string_view message) {
  std::string mac(32, '\0');
  unsigned int size = 32;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(message), message.size(),
       reinterpret_cast<unsigned char*>(mac.data()), &size);
  return mac;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace heddle
