// The HTTP/2 session byte by byte: what a well-behaved client library never sends.
// tests/conformance/grpc_transport.py has the rest.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <fmt/format.h>
#include <zlib.h>

#include "net/grpc.hpp"
#include "net/h2.hpp"

namespace heddle::net {
namespace {

std::string field(std::string_view name,
                  std::string_view value) {  // literal, never indexed, no Huffman (RFC 7541 6.2.2)
  std::string out(1, '\0');
  out += static_cast<char>(name.size());
  out += name;
  out += static_cast<char>(value.size());
  return out.append(value);
}

std::string frame(char type, char flags, std::uint32_t stream, std::string_view payload) {
  std::string out;
  for (const int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift);
  out += type;
  out += flags;
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift);
  return out.append(payload);
}

std::string message(std::string_view text, char flag = 0) {
  std::string out(1, flag);
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(text.size() >> shift);
  return out.append(text);
}

std::string head(std::string_view path, std::string_view type = "application/grpc",
                 std::string_view more = {}) {
  return field(":method", "POST") + field(":scheme", "http") + field(":path", path) +
         field(":authority", "a") + field("content-type", type) + std::string(more);
}

constexpr char kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7;
constexpr char kEndStream = 1, kEndHeaders = 4;

struct Frame {
  char type;
  char flags;
  std::uint32_t stream;
  std::string payload;
};

class Session {
 public:
  explicit Session(H2Session::Options options = {}) {
    options.streaming = &streaming_;
    session = std::make_unique<H2Session>(
        options,
        [this](std::int32_t stream, std::uint64_t request, GrpcCall& call, GrpcReply& reply) {
          calls.emplace_back(call.message);
          if (call.method == "/later" || stream_is_late) {
            later.emplace_back(stream, request);
            return true;
          }
          reply.message.assign(call.message);
          return false;
        },
        now);
    alive = session->receive("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kSettings, 0, 0, ""), now);
  }
  bool send(const std::string& bytes) { return alive = session->receive(bytes, now); }
  std::vector<Frame> frames() {
    std::string out;
    session->produce(out, SIZE_MAX);
    std::vector<Frame> found;
    for (std::size_t at = 0; at + 9 <= out.size();) {
      const auto byte = [&](std::size_t i) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(out[at + i]));
      };
      const std::size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
      found.push_back({out[at + 3], out[at + 4],
                       byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8),
                       out.substr(at + 9, size)});
      at += 9 + size;
    }
    return found;
  }
  /// The error code of the GOAWAY among them; -1: there is none.
  static int went_away(const std::vector<Frame>& frames) {
    for (const Frame& f : frames) {
      if (f.type == kGoAway) return static_cast<unsigned char>(f.payload[7]);
    }
    return -1;
  }

  std::int64_t now = 1'000'000'000;
  bool stream_is_late = false;
  std::vector<std::string> calls;
  std::vector<std::pair<std::int32_t, std::uint64_t>> later;
  std::unique_ptr<H2Session> session;
  bool alive = false;

 private:
  std::vector<std::string> streaming_ = {"/stream"};
};

TEST(Grpc, ReadsTimeouts) {
  EXPECT_EQ(parse_grpc_timeout("1S"), 1'000'000'000);
  EXPECT_EQ(parse_grpc_timeout("250m"), 250'000'000);
  EXPECT_EQ(parse_grpc_timeout("7u"), 7'000);
  EXPECT_EQ(parse_grpc_timeout("2M"), 120'000'000'000);
  EXPECT_EQ(parse_grpc_timeout("99999999H"), INT64_MAX);
  for (const char* bad : {"", "S", "1", "1s", "123456789S", "-1S", "1.5S", " 1S", "1S "})
    EXPECT_FALSE(parse_grpc_timeout(bad)) << bad;
}

TEST(Grpc, EncodesMessagesOfStatus) {
  std::string out;
  append_percent_encoded(out, "50 % of \xC3\xA9\n~");
  EXPECT_EQ(out, "50 %25 of %C3%A9%0A~");
}

TEST(Grpc, KnowsItsContentTypes) {
  for (const char* good :
       {"application/grpc", "application/grpc+proto", "application/grpc;x=y", "Application/GRPC"})
    EXPECT_TRUE(is_grpc_content_type(good)) << good;
  for (const char* bad : {"", "application/grpcweb", "application/grpc-web", "application/json"})
    EXPECT_FALSE(is_grpc_content_type(bad)) << bad;
}

TEST(Grpc, InflatesWithinABound) {
  const std::string text(10'000, 'x');
  std::string packed(1000, '\0');
  z_stream stream{};
  ASSERT_EQ(::deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  ASSERT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  ::deflateEnd(&stream);
  std::string out;
  ASSERT_TRUE(gunzip(packed, 10'000, out).ok());
  EXPECT_EQ(out, text);
  EXPECT_EQ(gunzip(packed, 9'999, out).error().kind, ErrorKind::kTooLarge);
  for (std::size_t n = 0; n < packed.size(); ++n)
    EXPECT_FALSE(gunzip(packed.substr(0, n), 10'000, out).ok()) << n;
  EXPECT_FALSE(gunzip(packed + "x", 10'000, out).ok());
}

TEST(H2, AnswersWhateverTheCuts) {
  const std::string bytes = frame(kHeaders, kEndHeaders, 1, head("/u")) +
                            frame(kData, 0, 1, message("hello").substr(0, 3)) +
                            frame(kData, kEndStream, 1, message("hello").substr(3)) +
                            frame(kHeaders, kEndHeaders, 3, head("/stream")) +
                            frame(kData, kEndStream, 3, message("a") + message("b"));
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
    Session s;
    for (std::size_t at = 0; at < bytes.size(); at += step)
      ASSERT_TRUE(s.send(bytes.substr(at, step)));
    EXPECT_EQ(s.calls, (std::vector<std::string>{"hello", "a", "b"}));
    std::string data;
    for (const Frame& f : s.frames()) {
      if (f.type == kData) data += f.payload;
    }
    EXPECT_EQ(data, message("hello") + message("a") + message("b"));
    EXPECT_EQ(s.session->streams(), 0u);
    EXPECT_EQ(s.session->buffered(), 0u);
  }
}

TEST(H2, EndsConnectionsThatResetRapidly) {
  Session s;
  std::uint32_t stream = 1;
  int sent = 0;
  for (; sent < 20'000 && s.alive; ++sent, stream += 2) {
    s.send(frame(kHeaders, kEndHeaders, stream, head("/u")) +
           frame(kReset, 0, stream, std::string("\0\0\0\x08", 4)));
  }
  EXPECT_FALSE(s.alive);
  EXPECT_LT(sent, 1100);
  EXPECT_EQ(Session::went_away(s.frames()), 11);  // ENHANCE_YOUR_CALM
  EXPECT_TRUE(s.session->finished());
}

TEST(H2, ForgivesCancelsOfClientsThatAreServed) {
  Session s;
  std::uint32_t stream = 1;
  for (int i = 0; i < 5'000; ++i, stream += 4) {
    ASSERT_TRUE(s.send(frame(kHeaders, kEndHeaders, stream, head("/u")) +
                       frame(kData, kEndStream, stream, message("x")) +
                       frame(kHeaders, kEndHeaders, stream + 2, head("/u")) +
                       frame(kReset, 0, stream + 2, std::string("\0\0\0\x08", 4))))
        << i;
    (void)s.frames();
  }
  EXPECT_EQ(s.calls.size(), 5'000u);
}

TEST(H2, EndsConnectionsThatFlood) {
  const std::pair<const char*, std::string> floods[] = {
      {"ping", frame(kPing, 0, 0, "12345678")},
      {"settings", frame(kSettings, 0, 0, "")},
      {"empty data", frame(kData, 0, 1, "")},
      {"window", frame(8, 0, 0, std::string("\0\0\0\x01", 4))}};
  for (const auto& [what, bytes] : floods) {
    Session s;
    s.send(frame(kHeaders, kEndHeaders, 1, head("/stream")));
    int sent = 0;
    for (; sent < 20'000 && s.alive; ++sent) {
      s.send(bytes);
      if (sent % 50 == 0) (void)s.frames();
    }
    EXPECT_FALSE(s.alive) << what;
    EXPECT_LT(sent, 5'000) << what;
  }
}

TEST(H2, BoundsStreamsAndHeadsAndMessages) {
  H2Session::Options options;
  options.streams = 3;
  options.header_bytes = 500;
  options.message_bytes = 100;
  Session s(options);
  for (std::uint32_t stream = 1; stream < 20; stream += 2)
    ASSERT_TRUE(s.send(frame(kHeaders, kEndHeaders, stream, head("/stream"))));
  EXPECT_EQ(s.session->streams(), 3u);
  int refused = 0;
  for (const Frame& f : s.frames())
    refused += f.type == kReset && f.payload[3] == 7;  // REFUSED_STREAM
  EXPECT_EQ(refused, 7);
  ASSERT_TRUE(s.send(frame(kData, kEndStream, 1, message(std::string(101, 'x')))));
  (void)s.frames();
  EXPECT_EQ(s.session->streams(), 2u);
  std::string many;
  for (int i = 0; i < 20; ++i) many += field("x-many", "0123456789012345678901234567890123456789");
  ASSERT_TRUE(
      s.send(frame(kHeaders, kEndHeaders | kEndStream, 21, head("/u", "application/grpc", many))));
  bool too_large = false;
  for (const Frame& f : s.frames())
    too_large =
        too_large ||
        (f.type == kHeaders && f.stream == 21 && f.payload.find("431") != std::string::npos) ||
        f.stream == 21;
  EXPECT_TRUE(too_large);
  EXPECT_TRUE(s.calls.empty());
}

TEST(H2, RefusesWhatIsNoGrpc) {
  Session s;
  s.send(frame(kHeaders, kEndHeaders | kEndStream, 1, head("/u", "application/json")));
  EXPECT_TRUE(s.alive);
  EXPECT_TRUE(s.calls.empty());
  EXPECT_EQ(s.frames().back().stream, 1u);
  EXPECT_EQ(s.session->streams(), 0u);
  Session bad;
  (void)bad.send(frame(kData, 0, 0, "x"));         // DATA on the connection itself
  EXPECT_EQ(Session::went_away(bad.frames()), 1);  // PROTOCOL_ERROR
  EXPECT_TRUE(bad.session->finished());
}

TEST(H2, LetsTimePass) {
  H2Session::Options options;
  options.read_timeout_ms = 1'000;
  options.idle_timeout_ms = 5'000;
  Session s(options);
  s.send(frame(kHeaders, kEndHeaders, 1, head("/u")) + frame(kData, 0, 1, "\0\0"));  // never whole
  s.send(frame(kHeaders, kEndHeaders, 3,
               head("/later", "application/grpc", field("grpc-timeout", "500m"))) +
         frame(kData, kEndStream, 3, message("x")));
  (void)s.frames();
  EXPECT_TRUE(s.session->waiting(s.later[0].first, s.later[0].second));
  s.now += 600'000'000;
  EXPECT_TRUE(s.session->sweep(s.now));
  EXPECT_FALSE(s.session->waiting(s.later[0].first, s.later[0].second));  // past its deadline
  (void)s.frames();
  EXPECT_EQ(s.session->streams(), 1u);
  s.now += 600'000'000;
  EXPECT_TRUE(s.session->sweep(s.now));
  (void)s.frames();
  EXPECT_EQ(s.session->streams(), 0u);
  s.now += 6'000'000'000;
  EXPECT_FALSE(s.session->sweep(s.now));
  EXPECT_EQ(Session::went_away(s.frames()), 0);
  EXPECT_TRUE(s.session->finished());
}

TEST(H2, EndsStreamsWhoseAnswerIsTakenByteByByte) {
  const auto grown = [](std::uint32_t stream) { return frame(8, 0, stream, {"\0\0\0\1", 4}); };
  for (const std::int64_t rate : {500, 0}) {
    H2Session::Options options;
    options.bytes_per_second = rate;
    Session slow(options);
    // A window of no byte, and then a byte each second.
    ASSERT_TRUE(slow.send(frame(kSettings, 0, 0, {"\0\4\0\0\0\0", 6}) +
                          frame(kHeaders, kEndHeaders, 1, head("/echo")) +
                          frame(kData, kEndStream, 1, message(std::string(1000, 'x')))));
    bool reset = false;
    for (int second = 0; second < 60 && !reset; ++second) {
      slow.now += 1'000'000'000;
      ASSERT_TRUE(slow.send(grown(1)));
      (void)slow.session->sweep(slow.now);
      for (const Frame& f : slow.frames()) reset = reset || f.type == kReset;
    }
    EXPECT_EQ(reset, rate > 0);
  }
}

TEST(H2, InflatesForThoseWhoAreKnown) {
  std::string packed(1000, '\0');
  z_stream stream{};
  ASSERT_EQ(::deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string text(10'000, 'x');
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  ASSERT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  ::deflateEnd(&stream);
  H2Session::Options options;
  options.inflate_for = [](const GrpcCall& call) { return call.bearer() == "known"; };
  Session session(options);
  std::uint32_t id = 1;
  const std::string known = field("authorization", "Bearer known");
  const std::string nobody = field("authorization", "Bearer nobody");
  for (const std::string& tokens : {known, nobody, known + nobody, nobody + known}) {
    const std::string more = field("grpc-encoding", "gzip") + tokens;
    ASSERT_TRUE(
        session.send(frame(kHeaders, kEndHeaders, id, head("/echo", "application/grpc", more)) +
                     frame(kData, kEndStream, id, message(packed, 1))));
    id += 2;
  }
  // Whoever is not known is answered all the same: the handler says why not.
  // Nor is one with two tokens known.
  ASSERT_EQ(session.calls.size(), 4u);
  EXPECT_EQ(session.calls[0], text);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(session.calls[i], "") << i;
}

TEST(H2, HandlesManySmallMessagesBehindLateAnswersInOrder) {
  Session session;
  std::string messages;
  for (int i = 0; i < 300; ++i) messages += message(fmt::format("{:03}", i));
  ASSERT_TRUE(session.send(frame(kHeaders, kEndHeaders, 1, head("/stream")) +
                           frame(kData, kEndStream, 1, messages)));
  EXPECT_EQ(session.calls.size(), 300u);
  Session late;
  late.stream_is_late = true;
  ASSERT_TRUE(late.send(frame(kHeaders, kEndHeaders, 1, head("/stream")) +
                        frame(kData, kEndStream, 1, messages)));
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(late.calls.size(), static_cast<std::size_t>(i + 1));
    EXPECT_EQ(late.calls.back(), fmt::format("{:03}", i));
    const auto [stream, request] = late.later.back();
    late.session->reply(stream, request, {}, late.now);
  }
  std::size_t answers = 0;
  for (const Frame& f : late.frames()) answers += f.type == kData ? f.payload.size() : 0;
  EXPECT_EQ(answers, 300u * 5u);  // empty ones, each in its frame
  EXPECT_EQ(late.session->buffered(), 0u);
}

TEST(H2, KeepsTheWindowOfWhatWaitsBehindALateAnswer) {
  H2Session::Options options;
  Session s(options);
  s.send(frame(kHeaders, kEndHeaders, 1, head("/later")));
  // A client that ignores the window is cut off by it; a unary call that goes on after its message
  // is ended.
  s.send(frame(kData, 0, 1, message("x") + message("y")));
  EXPECT_TRUE(s.calls.empty());
  (void)s.frames();
  EXPECT_EQ(s.session->streams(), 0u);
}

TEST(H2, GoesAwayOnceCallsAreDone) {
  Session s;
  s.send(frame(kHeaders, kEndHeaders, 1, head("/later")) +
         frame(kData, kEndStream, 1, message("x")));
  s.session->go_away();
  s.session->go_away();
  EXPECT_EQ(Session::went_away(s.frames()), 0);
  EXPECT_FALSE(s.session->finished());
  GrpcReply reply;
  reply.message = "late";
  s.session->reply(s.later[0].first, s.later[0].second, reply, s.now);
  (void)s.frames();
  EXPECT_TRUE(s.session->finished());
}

TEST(H2Session, RefusesACallToAnotherHost) {
  H2Session::Options options;
  options.refuse_host = [](std::string_view authority) {
    return authority == "a" ? std::string() : fmt::format("not `{}`", authority);
  };
  Session session(options);
  ASSERT_TRUE(session.send(frame(kHeaders, kEndHeaders, 1, head("/x")) +
                           frame(kData, kEndStream, 1, message("hi"))));
  EXPECT_EQ(session.calls.size(), 1u);
  const std::string other = field(":method", "POST") + field(":scheme", "http") +
                            field(":path", "/x") + field(":authority", "evil.example") +
                            field("content-type", "application/grpc");
  const std::string by_host = field(":method", "POST") + field(":scheme", "http") +
                              field(":path", "/x") + field("content-type", "application/grpc") +
                              field("host", "evil.example");
  ASSERT_TRUE(session.send(frame(kHeaders, kEndHeaders, 3, other) +
                           frame(kData, kEndStream, 3, message("hi"))));
  ASSERT_TRUE(session.send(frame(kHeaders, kEndHeaders, 5, by_host) +
                           frame(kData, kEndStream, 5, message("hi"))));
  EXPECT_EQ(session.calls.size(), 1u) << "what is refused meets no handler";
  std::vector<std::uint32_t> ended;
  for (const Frame& each : session.frames()) {
    if (each.type == kHeaders && (each.flags & kEndStream) != 0 && each.stream > 1)
      ended.push_back(each.stream);
  }
  EXPECT_EQ(ended, (std::vector<std::uint32_t>{3, 5})) << "a status and no message";
}

}  // namespace
}  // namespace heddle::net
