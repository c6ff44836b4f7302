// What a worker or an upstream answers. The first byte says how many rows were asked, two more how
// many bytes follow the JSON. Whatever is understood is one probability a row.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "runtime/oip.hpp"

using namespace heddle;  // NOLINT(google-build-using-namespace): one function

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::size_t rows = 1 + data[0] % 8;
  const std::size_t raw = data[1] + std::size_t{256} * data[2];
  const std::size_t bytes = size - 3;
  // As large as what has come: reading past it is seen by the sanitizer.
  const std::unique_ptr<char[]> memory(new char[bytes]);
  if (bytes > 0) std::memcpy(memory.get(), data + 3, bytes);
  const std::string_view body(memory.get(), bytes);
  const std::size_t json_bytes = raw > bytes ? raw : bytes - raw;
  const auto answer = runtime::oip::read(body, json_bytes, "probability", rows);
  const auto again = runtime::oip::read(body, json_bytes, "probability", rows);
  if (answer.ok() != again.ok()) std::abort();
  if (!answer.ok()) {
    const Error& error = answer.error();
    if (error.kind != ErrorKind::kCorrupt || error.id != "runtime-answer" ||
        error.message.empty() || error.hint.empty())
      std::abort();
    return 0;
  }
  if (answer->size() != rows || again->size() != rows) std::abort();
  for (std::size_t i = 0; i < rows; ++i) {
    const float value = (*answer)[i];
    if (!std::isnan(value) && !(value >= 0 && value <= 1)) std::abort();
    if (std::bit_cast<std::uint32_t>(value) != std::bit_cast<std::uint32_t>((*again)[i]))
      std::abort();
  }
  return 0;
}
