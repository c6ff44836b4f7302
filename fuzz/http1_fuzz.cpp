// The first byte says how the rest is cut. Whatever the cuts, the same bytes are the same requests:
// heads, bodies, ends and refusals.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "net/http.hpp"

using namespace heddle::net;  // NOLINT(google-build-using-namespace): one function

namespace {

constexpr std::size_t kHead = 2048, kHeaders = 16, kBody = 4096;

/// One message at the front of `bytes`, of which ever more becomes visible; what was read, as text,
/// and how long it was.
std::string read_one(std::string_view bytes, std::size_t step, std::size_t& used) {
  std::string log;
  RequestHead head;
  std::vector<Header> headers;
  std::string_view reason;
  ChunkedReader chunks;
  bool known = false;
  // As large as what has come: reading past it is seen by the sanitizer.
  std::unique_ptr<char[]> buffer;
  std::size_t decoded_until = 0;
  for (std::size_t have = 0;;) {
    const std::size_t next = std::min(bytes.size(), have + step);
    auto grown = std::make_unique<char[]>(next);
    if (have > 0) std::memcpy(grown.get(), buffer.get(), have);
    if (next > have) std::memcpy(grown.get() + have, bytes.data() + have, next - have);
    buffer = std::move(grown);
    have = next;
    const bool last = have == bytes.size();
    if (!known) {
      const HeadResult result =
          read_head({buffer.get(), have}, kHead, kHeaders, head, headers, reason);
      if (result == HeadResult::kNeedMore) {
        if (last) return "more";
        continue;
      }
      if (result != HeadResult::kComplete)
        return result == HeadResult::kTooLarge ? "large" : "refused";
      if (head.bytes > have || head.bytes > kHead || headers.size() > kHeaders) std::abort();
      known = true;
      log.append(head.method)
          .append(" ")
          .append(head.target)
          .append(head.keep_alive ? " keep" : " close");
      for (const Header& header : headers)
        log.append("\n").append(header.name).append(": ").append(header.value);
      log.append("\n");
    }
    if (!head.chunked) {
      const std::uint64_t length = head.content_length.value_or(0);
      if (length > kBody) return log + "large";
      if (have < head.bytes + length) {
        if (last) return log + "more";
        continue;
      }
      used = head.bytes + static_cast<std::size_t>(length);
      return log.append(buffer.get() + head.bytes, static_cast<std::size_t>(length));
    }
    switch (chunks.read(buffer.get() + head.bytes, have - head.bytes, kBody)) {
      case ChunkedReader::State::kNeedMore:
        if (chunks.body_bytes() < decoded_until || chunks.consumed() > have - head.bytes)
          std::abort();
        decoded_until = chunks.body_bytes();
        if (last) return log + "more";
        continue;
      case ChunkedReader::State::kBad: return log + "refused";
      case ChunkedReader::State::kTooLarge: return log + "large";
      case ChunkedReader::State::kDone: break;
    }
    if (chunks.body_bytes() > kBody) std::abort();
    used = head.bytes + chunks.consumed();
    return log.append(buffer.get() + head.bytes, chunks.body_bytes());
  }
}

std::vector<std::string> read_all(std::string_view bytes, std::size_t step) {
  std::vector<std::string> all;
  while (!bytes.empty()) {
    std::size_t used = 0;
    all.push_back(read_one(bytes, step, used));
    if (used == 0) break;
    if (used > bytes.size()) std::abort();
    bytes.remove_prefix(used);
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 || size > 16384) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = read_all(bytes, bytes.size() + 1);
  if (read_all(bytes, 1 + data[0]) != whole) std::abort();
  if (size < 600 && read_all(bytes, 1) != whole) std::abort();
  return 0;
}
