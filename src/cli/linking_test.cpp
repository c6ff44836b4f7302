// What the program is linked to: libraries that bring their own copies of others.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <string>

namespace heddle::cli {
namespace {

/// The file whose code a call of `function` runs.
std::string file_of(void* function) {
  Dl_info info{};
  return ::dladdr(function, &info) != 0 ? info.dli_fname : "";
}

TEST(Linking, OpenSslIsTheSystemsAndNotThatOfTheParquetLibrary) {
  for (void* function :
       {reinterpret_cast<void*>(&EVP_DigestInit_ex), reinterpret_cast<void*>(&EVP_sha256),
        reinterpret_cast<void*>(&EVP_DigestSign), reinterpret_cast<void*>(&EVP_DigestUpdate)}) {
    EXPECT_NE(file_of(function).find("/libcrypto.so"), std::string::npos) << file_of(function);
  }
  // Nor what libssl calls: its names are looked for in the same order.
  EXPECT_NE(file_of(::dlsym(RTLD_DEFAULT, "OSSL_STORE_close")).find("/libcrypto.so"),
            std::string::npos);
}

}  // namespace
}  // namespace heddle::cli
