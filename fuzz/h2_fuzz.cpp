// Frames of any kind after a good preface, in cuts of any size; the first byte says how the server
// behaves. The session stays within its bounds, its accounts agree, and it comes to an end.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "net/h2.hpp"

using namespace heddle::net;  // NOLINT(google-build-using-namespace): one function

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 65536) return 0;
  static const std::vector<std::string> streaming = {"/s"};
  H2Session::Options options;
  options.message_bytes = 4096;
  options.header_bytes = 1024;
  options.headers = 16;
  options.streams = 5;
  options.bytes_per_second = 100;
  options.streaming = &streaming;
  const bool defers = (data[0] & 1) != 0, magic = (data[0] & 2) == 0, drains = (data[0] & 4) != 0,
             slow = (data[0] & 8) != 0;
  const std::size_t step = data[1] == 0 ? SIZE_MAX : data[1];
  std::vector<std::pair<std::int32_t, std::uint64_t>> waiting;
  std::int64_t now = 1;
  std::size_t messages = 0;
  H2Session session(
      options,
      [&](std::int32_t stream, std::uint64_t request, GrpcCall& call, GrpcReply& reply) {
        if (call.message.size() > options.message_bytes || call.metadata.size() > options.headers)
          std::abort();
        ++messages;
        if (defers && messages % 2 == 0) {
          waiting.emplace_back(stream, request);
          return true;
        }
        reply.message.assign(call.message);
        if (call.message == "no") reply.status = 7, reply.status_message = "no\n";
        return false;
      },
      now);
  std::string bytes = magic ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" : "";
  bytes.append(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::string out;
  std::size_t at = 0;
  bool open = true;
  const auto check = [&] {
    if (session.streams() > options.streams) std::abort();
    if (session.streams() == 0 && session.buffered() != 0) std::abort();
    // What is held: unread input within the windows, and output of as many messages.
    if (session.buffered() > (8u << 20)) std::abort();
  };
  for (int turn = 0; at < bytes.size() && open; ++turn) {
    const std::string_view part = std::string_view(bytes).substr(at, step);
    at += part.size();
    now += slow ? 700'000'000 : 1000;
    open = session.receive(part, now);
    if (!slow || turn % 8 == 0) {
      out.clear();
      session.produce(out, 16384);
    }
    if (turn % 3 == 0) {
      auto ready = std::move(waiting);
      waiting.clear();
      for (const auto& [stream, request] : ready) {
        GrpcReply late;
        late.message = "late";
        session.reply(stream, request, late, now);
        if (session.waiting(stream, request)) std::abort();
      }
    }
    if (session.backlog()) session.resume(now);
    if (turn % 5 == 0) (void)session.sweep(now);
    if (drains && turn % 4 == 0) session.go_away();
    if (session.buffered() > 20000) session.shed();
    check();
  }
  // Long after, nothing is kept for a client that went silent.
  for (int i = 0; i < 6; ++i) {
    now += 120'000'000'000;
    (void)session.sweep(now);
    session.go_away();
    for (int n = 0; n < 4; ++n) {
      out.clear();
      session.produce(out, 1 << 20);
    }
    check();
  }
  if (!waiting.empty() && session.streams() != 0 && !defers) std::abort();
  return 0;
}
