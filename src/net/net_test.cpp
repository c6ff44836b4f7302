#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/client.hpp"
#include "net/echo_fixture.hpp"
#include "net/http.hpp"
#include "net/listener.hpp"
#include "net/server.hpp"

namespace heddle::net {
namespace {

TEST(HttpHead, RefusesWhatAnotherReaderCouldReadDifferently) {
  struct Case {
    const char* bytes;
    HeadResult expected;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", HeadResult::kComplete},
      {"GET /a?b=c HTTP/1.1\r\nHost: a:80\r\nX: \t y \r\n\r\n", HeadResult::kComplete},
      {"GET / HTTP/1.0\r\n\r\n", HeadResult::kComplete},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", HeadResult::kComplete},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", HeadResult::kComplete},
      {"GET / HTTP/1.1\r\nHost: a\r\n", HeadResult::kNeedMore},
      {"G", HeadResult::kNeedMore},
      {"", HeadResult::kNeedMore},
      {"GET / HTTP/1.1\r\n\r\n", HeadResult::kBad},                        // no Host
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", HeadResult::kBad},               // empty Host
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", HeadResult::kBad},  // two Hosts
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", HeadResult::kBad},           // no host
      {"GET / HTTP/1.1\nHost: a\n\n", HeadResult::kBad},                   // bare LF
      {"GET / HTTP/1.1\r\nHost: a\n\r\n", HeadResult::kBad},               // one bare LF
      {"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", HeadResult::kBad},       // bare CR
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", HeadResult::kBad},            // space before the colon
      {"GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n", HeadResult::kBad},  // obs-fold
      {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", HeadResult::kBad},               // leading space
      {"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", HeadResult::kBad},           // no colon
      {"GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n", HeadResult::kBad},         // no name
      {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01z\r\n\r\n", HeadResult::kBad},   // control character
      {"GET / HTTP/1.1\r\nHost: a\r\nX(: y\r\n\r\n", HeadResult::kBad},       // no token
      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HeadResult::kBad},               // two spaces
      {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", HeadResult::kBad},             // space in the target
      {"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", HeadResult::kBad},        // absolute form
      {"GET /\r\n\r\n", HeadResult::kBad},                                    // HTTP/0.9
      {"G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n", HeadResult::kBad},
      {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HeadResult::kBad},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", HeadResult::kUnsupported},
      {"GET / http/1.1\r\nHost: a\r\n\r\n", HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
       HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
       HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
       HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
       HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
       HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
       "identity\r\n\r\n",
       HeadResult::kBad},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", HeadResult::kBad},
      {"GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nOrigin: http://b\r\n\r\n",
       HeadResult::kBad},
      {"GET / HTTP/1.1\r\nHost: a\r\nOrigin:\r\nOrigin: http://b\r\n\r\n", HeadResult::kBad},
      {"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\n\r\n", HeadResult::kComplete},
      {"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
       HeadResult::kBad},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\n\r\n",
       HeadResult::kBad},
      {"POST / HTTP/1.1\r\nHost: a\r\nInference-Header-Content-Length: 1\r\n"
       "Inference-Header-Content-Length: 2\r\n\r\n",
       HeadResult::kBad},
  };
  std::vector<Header> headers;
  for (const Case& c : cases) {
    RequestHead head;
    std::string_view reason;
    EXPECT_EQ(read_head(c.bytes, 4096, 32, head, headers, reason), c.expected) << c.bytes << "\n"
                                                                               << reason;
  }
}

TEST(HttpHead, EveryPrefixOfAGoodHeadNeedsMore) {
  const std::string bytes =
      "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nAuthorization: Bearer t\r\n\r\n";
  std::vector<Header> headers;
  RequestHead head;
  std::string_view reason;
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    ASSERT_EQ(read_head(bytes.substr(0, n), 4096, 32, head, headers, reason), HeadResult::kNeedMore)
        << n;
  }
  ASSERT_EQ(read_head(bytes, 4096, 32, head, headers, reason), HeadResult::kComplete);
  EXPECT_EQ(head.bytes, bytes.size());
  EXPECT_EQ(head.content_length, 5u);
}

TEST(HttpHead, ThatComesByteByByteIsReadOnceALine) {
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  bytes += std::string(10'000, 'x') + "\r\n\r\n";
  PartialHead partial;
  std::size_t reads = 0;
  for (std::size_t n = 1; n <= bytes.size(); ++n) {
    if (!partial.worth_reading(std::string_view(bytes).substr(0, n), 16'384)) continue;
    partial.was_read(n);
    ++reads;
  }
  EXPECT_EQ(reads, 5u);  // the first byte and four lines
  // At the limit it is read whatever comes: it is refused then.
  EXPECT_TRUE(partial.worth_reading(std::string(16'384, 'x'), 16'384));
  partial.reset();
  EXPECT_TRUE(partial.worth_reading("GET", 16'384));
}

TEST(HttpHead, LooksAtEachByteWhereverItIs) {
  std::vector<Header> headers;
  RequestHead head;
  std::string_view reason;
  for (int c = 0; c < 256; ++c) {
    for (std::size_t at = 1; at < 20; ++at) {
      std::string text(20, 'v');
      text[at] = static_cast<char>(c);
      const bool good_value = c == '\t' || (c >= 0x20 && c != 0x7f);
      EXPECT_EQ(read_head("GET / HTTP/1.1\r\nHost: a\r\nX: v" + text + "v\r\n\r\n", 4096, 32, head,
                          headers, reason) == HeadResult::kComplete,
                good_value)
          << c << " at " << at;
      const bool good_target = c > 0x20 && c < 0x7f && c != '#';
      EXPECT_EQ(read_head("GET /" + text + " HTTP/1.1\r\nHost: a\r\n\r\n", 4096, 32, head, headers,
                          reason) == HeadResult::kComplete,
                good_target)
          << c << " at " << at;
    }
  }
}

TEST(Tokens, AreTheSameButForTheCaseOfLetters) {
  const auto small = [](int c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; };
  for (const std::size_t size : {1, 7, 8, 9, 20}) {
    const std::string text(size, 'Q');
    EXPECT_FALSE(same_token(text, text + "q"));
    for (std::size_t at = 0; at < size; ++at) {
      for (int c = 0; c < 256; ++c) {
        for (int d = 0; d < 256; ++d) {
          std::string a = text, b(size, 'q');
          a[at] = static_cast<char>(c);
          b[at] = static_cast<char>(d);
          ASSERT_EQ(same_token(a, b), small(c) == small(d))
              << c << " and " << d << " at " << at << " of " << size;
        }
      }
    }
  }
}

TEST(HttpHead, BoundsSizeAndCount) {
  std::vector<Header> headers;
  RequestHead head;
  std::string_view reason;
  EXPECT_EQ(read_head("GET /" + std::string(5000, 'a'), 4096, 32, head, headers, reason),
            HeadResult::kTooLarge);
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 40; ++i) many += fmt::format("X{}: y\r\n", i);
  EXPECT_EQ(read_head(many + "\r\n", 4096, 32, head, headers, reason), HeadResult::kTooLarge);
}

TEST(Chunked, DecodesAtEverySplit) {
  const std::string wire = "4\r\nWiki\r\n6;ext=1\r\npedia \r\nA\r\n0123456789\r\n0\r\n\r\n";
  for (std::size_t split = 0; split <= wire.size(); ++split) {
    std::string buffer = wire + "next";
    ChunkedReader reader;
    const auto first = reader.read(buffer.data(), split, 100);
    ASSERT_EQ(first,
              split == wire.size() ? ChunkedReader::State::kDone : ChunkedReader::State::kNeedMore)
        << split;
    if (split < wire.size()) {
      ASSERT_EQ(reader.read(buffer.data(), wire.size(), 100), ChunkedReader::State::kDone) << split;
    }
    EXPECT_EQ(buffer.substr(0, reader.body_bytes()), "Wikipedia 0123456789");
    EXPECT_EQ(reader.consumed(), wire.size());
  }
}

TEST(Chunked, RefusesMalformedAndLarge) {
  const std::pair<const char*, ChunkedReader::State> cases[] = {
      {"g\r\n", ChunkedReader::State::kBad},
      {"\r\n", ChunkedReader::State::kBad},
      {"1\nx", ChunkedReader::State::kBad},
      {"1\r\nxy\r\n", ChunkedReader::State::kBad},
      {"-1\r\n", ChunkedReader::State::kBad},
      {"1 \r\nx\r\n", ChunkedReader::State::kBad},
      {"0\r\nTrailer: x\r\n\r\n", ChunkedReader::State::kBad},
      {"ffffffffffffffff\r\n", ChunkedReader::State::kBad},
      {"65\r\n", ChunkedReader::State::kTooLarge},
      {"64\r\n", ChunkedReader::State::kNeedMore},
  };
  for (const auto& [bytes, expected] : cases) {
    std::string buffer = bytes;
    ChunkedReader reader;
    EXPECT_EQ(reader.read(buffer.data(), buffer.size(), 100), expected) << bytes;
  }
}

TEST(Server, KeepsAliveAndPipelines) {
  Echo echo;
  const int fd = raw_connect(echo.server->port());
  send_all(fd,
           "GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
           "POST /2?q HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
           "POST /3 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
           "chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
           "HEAD /4 HTTP/1.1\r\nHost: localhost\r\n\r\n"
           "GET /5 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string text = receive(fd);
  ::close(fd);
  for (const char* part : {"GET /1  ", "POST /2 q abc", "POST /3  de", "GET /5  "})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_EQ(text.find("HEAD /4"), std::string::npos);
  EXPECT_EQ(echo.handled, 5);
}

TEST(Server, WhoSentWhileATurnWasAtWorkComesBeforeThoseItAnswered) {
  std::vector<std::string> order;
  int a = -1, b = -1;
  const auto get = [](int fd, std::string_view path) {
    send_all(fd, fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path));
  };
  const auto delivered = [](int fd) {
    int left = 1;
    while (::ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0) std::this_thread::yield();
  };
  HttpServer::Options options;
  options.host = "127.0.0.1";
  options.handler = [&](const Request& request, Response&) {
    order.emplace_back(request.path);
    if (request.path != "/a1") return;
    get(b, "/b1");
    delivered(b);
    get(a, "/a2");
    delivered(a);
  };
  auto opened = HttpServer::open(std::move(options));
  ASSERT_TRUE(opened.ok());
  const auto server = std::move(*opened);
  a = raw_connect(server->port());
  b = raw_connect(server->port());
  std::thread thread([&] { server->run(); });
  get(b, "/b0");
  (void)receive(b, "\r\n\r\n");
  get(a, "/a1");
  std::string text = receive(a, "\r\n\r\n");
  if (text.find("\r\n\r\n") == text.rfind("\r\n\r\n")) text += receive(a, "\r\n\r\n");
  (void)receive(b, "\r\n\r\n");
  server->stop();
  thread.join();
  EXPECT_EQ(order, (std::vector<std::string>{"/b0", "/a1", "/b1", "/a2"}));
  ::close(a);
  ::close(b);
}

TEST(Server, ASignalEndsNoTurn) {
  struct sigaction nothing{};
  nothing.sa_handler = [](int) {};
  struct sigaction before{};
  ASSERT_EQ(::sigaction(SIGUSR1, &nothing, &before), 0);
  {
    Echo echo;
    HttpClient client = echo.client();
    for (int i = 0; i < 20; ++i) {
      ::pthread_kill(echo.thread.native_handle(), SIGUSR1);
      EXPECT_EQ(client.get("/x")->status, 200);
    }
  }
  (void)::sigaction(SIGUSR1, &before, nullptr);
}

/// A head is kept for the next response like it; each has the status, type and second of its own.
TEST(Server, EveryResponseHasItsOwnHead) {
  class Stepped final : public Clock {
   public:
    [[nodiscard]] std::int64_t mono_ns() const override { return system_clock().mono_ns(); }
    [[nodiscard]] Micros wall() const override { return second * kSecond; }
    std::atomic<std::int64_t> second{0};  // since 1970
  } clock;
  HttpServer::Options options;
  options.host = "127.0.0.1";
  options.clock = &clock;
  options.handler = [&](const Request& request, Response& response) {
    response.status = std::stoi(std::string(request.path.substr(1, 3)));
    if (request.path.ends_with("text")) response.content_type = "text/plain";
    if (response.status != 204) response.body = "{}";
  };
  auto opened = HttpServer::open(std::move(options));
  ASSERT_TRUE(opened.ok());
  const auto server = std::move(*opened);
  std::thread thread([&] { server->run(); });
  const int fd = raw_connect(server->port());
  for (const auto& [path, status, type] : {std::tuple{"/200", "200 OK", "application/json"},
                                           {"/200text", "200 OK", "text/plain"},
                                           {"/204", "204 No Content", ""},
                                           {"/403", "403 Forbidden", "application/json"},
                                           {"/403text", "403 Forbidden", "text/plain"},
                                           {"/204", "204 No Content", ""},
                                           {"/200", "200 OK", "application/json"}}) {
    send_all(fd, fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path));
    const std::string rest =
        *type == '\0' ? "\r\n"
                      : fmt::format("Content-Type: {}\r\nContent-Length: 2\r\n\r\n{{}}", type);
    EXPECT_EQ(receive(fd, *type == '\0' ? "\r\n\r\n" : "{}"),
              fmt::format("HTTP/1.1 {}\r\nDate: Thu, 01 Jan 1970 00:00:{:02} GMT\r\n{}", status,
                          clock.second.load(), rest))
        << path;
    ++clock.second;
  }
  ::close(fd);
  server->stop();
  thread.join();
}

TEST(Server, HandlesBytesOneByOne) {
  Echo echo;
  const int fd = raw_connect(echo.server->port());
  for (const char c :
       std::string("POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"))
    send_all(fd, {&c, 1});
  EXPECT_NE(receive(fd, "hello").find("POST /x  hello"), std::string::npos);
  ::close(fd);
}

TEST(Server, RefusesAmbiguousRequestsAndCloses) {
  Echo echo;
  for (const char* request :
       {"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\nHost: localhost\n\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\x16\x03\x01\x02"}) {
    const std::string answer = exchange(echo.server->port(), request);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos);
    EXPECT_EQ(answer.find("HTTP/1.1", 10), std::string::npos) << "more than one answer";
  }
  EXPECT_EQ(echo.handled, 0);
}

TEST(Server, ServesOnlyItsHostsAndOrigins) {
  Echo echo;
  const int port = echo.server->port();
  EXPECT_TRUE(exchange(port, "GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 421 "));
  EXPECT_TRUE(
      exchange(port, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").starts_with("HTTP/1.1 421 "));
  EXPECT_TRUE(
      exchange(port, "GET / HTTP/1.1\r\nHost: localhost:99\r\nOrigin: http://evil.example\r\n\r\n")
          .starts_with("HTTP/1.1 403 "));
  EXPECT_TRUE(
      exchange(port, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://localhost:8010\r\n\r\n")
          .starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(exchange(port, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
                  .starts_with("HTTP/1.1 421 "));  // after a good one too
  EXPECT_EQ(echo.handled, 1);
}

TEST(Server, AnswersToItsNamesAndToTheAddressThatWasCalled) {
  HttpServer::Options options;
  options.host = "0.0.0.0";
  options.allowed_hosts = {"models.example.com", "*.corp.example"};
  options.host_hint = "add it to `hosts`";
  Echo echo(std::move(options));
  const int port = echo.server->port();
  const auto status = [&](std::string_view host) {
    const std::string answer = net::exchange(
        port, fmt::format("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host));
    return answer.substr(9, 3);
  };
  for (const char* ours : {"localhost", "LOCALHOST:8000", "127.0.0.1:80", "0.0.0.0",
                           "models.example.com", "Models.Example.com:443", "models.example.com.",
                           "a.corp.example", "a.b.corp.example:8000"}) {
    EXPECT_EQ(status(ours), "200") << ours;
  }
  for (const char* foreign :
       {"example.com", "xmodels.example.com", "models.example.com.evil.example", "corp.example",
        ".corp.example", "xcorp.example", "127.0.0.2", "127.0.0.10", "10.1.2.3", "[::2]", ":80",
        "."}) {
    EXPECT_EQ(status(foreign), "421") << foreign;
  }
  char name[256] = {};
  ASSERT_EQ(::gethostname(name, sizeof name - 1), 0);
  EXPECT_EQ(status(name), "200") << "the machine's own name";
  // The whole of 127/8 is this machine's: called by another of its addresses, that one is its name
  // for the connection.
  HttpClient::Options other;
  other.host = "127.0.0.2";
  other.port = port;
  const auto reply = HttpClient(other).get("/");
  ASSERT_TRUE(reply.ok()) << reply.error().str();
  EXPECT_EQ(reply->status, 200);
  const std::string refused =
      exchange(port, "GET / HTTP/1.1\r\nHost: models.other.example:8000\r\n\r\n");
  EXPECT_NE(refused.find("`models.other.example`"), std::string::npos) << refused;
  EXPECT_NE(refused.find("add it to `hosts`"), std::string::npos) << refused;
  // A page of another address is another origin, though its name is an address.
  EXPECT_TRUE(exchange(port, "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://10.1.2.3\r\n\r\n")
                  .starts_with("HTTP/1.1 403 "));
}

TEST(Server, OnLoopbackOnlyItsNamesCount) {
  HttpServer::Options options;
  options.host = "127.0.0.2";
  Echo echo(std::move(options));
  HttpClient::Options client;
  client.host = "127.0.0.2";
  client.port = echo.server->port();
  EXPECT_EQ(HttpClient(client).get("/")->status, 200);
}

TEST(Server, RefusesAHugeBodyWithoutReadingIt) {
  Echo echo;
  const int fd = raw_connect(echo.server->port());
  send_all(fd, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 104857600\r\n\r\n");
  EXPECT_TRUE(receive(fd).starts_with("HTTP/1.1 413 "));
  ::close(fd);
  // A client that sends on regardless is cut off, one that waits for 100 Continue never sends.
  HttpClient client = echo.client();
  const auto reply = client.send("POST", "/", std::string(100 << 20, 'x'));
  if (reply.ok()) {
    EXPECT_EQ(reply->status, 413);
  }
  EXPECT_EQ(echo.handled, 0);
}

TEST(Server, BoundsChunkedBodiesToo) {
  HttpServer::Options options;
  options.limits.body_bytes = 1000;
  Echo echo(std::move(options));
  const std::string chunk = "64\r\n" + std::string(100, 'x') + "\r\n";
  std::string request = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 11; ++i) request += chunk;
  EXPECT_TRUE(exchange(echo.server->port(), request).starts_with("HTTP/1.1 413 "));
  EXPECT_EQ(echo.handled, 0);
}

TEST(Server, TimesOutSlowClients) {
  HttpServer::Options options;
  options.limits.read_timeout_ms = 150;
  options.limits.idle_timeout_ms = 150;
  Echo echo(std::move(options));
  const int slow = raw_connect(echo.server->port());
  const int idle = raw_connect(echo.server->port());
  send_all(slow, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_TRUE(receive(slow).starts_with("HTTP/1.1 408 "));
  EXPECT_EQ(receive(idle), "");
  ::close(slow);
  ::close(idle);
  EXPECT_EQ(echo.handled, 0);
}

TEST(Server, LetsGoOfAClientThatReadsNothing) {
  HttpServer::Options options;
  options.limits.read_timeout_ms = 200;
  Echo echo(std::move(options));
  const int fd = raw_connect(echo.server->port());
  for (int i = 0; i < 20; ++i) send_all(fd, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
  HttpClient client = echo.client();  // others are served meanwhile
  EXPECT_EQ(client.get("/x")->status, 200);
  while (echo.server->connections() > 1) std::this_thread::yield();
  EXPECT_LT(echo.handled, 20);
  ::close(fd);
}

TEST(Server, ContinuesOnExpect) {
  Echo echo;
  const int fd = raw_connect(echo.server->port());
  send_all(
      fd,
      "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(receive(fd, "\r\n\r\n").starts_with("HTTP/1.1 100 "));
  send_all(fd, "ok");
  EXPECT_NE(receive(fd, "ok").find("POST /  ok"), std::string::npos);
  ::close(fd);
}

TEST(Server, AnswersLater) {
  Echo echo;
  std::string late;
  std::thread waiter([&] {
    HttpClient client = echo.client();
    late = client.get("/later")->body;
    late += "," + client.get("/again")->body;
  });
  while (echo.handled < 1) std::this_thread::yield();
  EXPECT_EQ(echo.client().get("/now")->status, 200);
  waiter.join();
  EXPECT_EQ(late, "late,GET /again  ");
  EXPECT_GE(echo.turns, 2);
}

TEST(Server, ForgetsAWaitingClientThatLeft) {
  HttpServer::Options options;
  options.limits.read_timeout_ms =
      100;  // a client that left looks like one that only closed its sending side
  Echo echo(std::move(options));
  const int fd = raw_connect(echo.server->port());
  send_all(fd, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
  while (echo.handled < 1) std::this_thread::yield();
  ::close(fd);
  while (echo.server->connections() > 0) std::this_thread::yield();
  EXPECT_EQ(echo.client().get("/now")->status, 200);
}

TEST(Server, ListensOnAUnixSocketOfAnyLength) {
  const std::string directory = ::testing::TempDir() + "/heddle-net-" + std::string(100, 'd');
  (void)!::system(("mkdir -p " + directory).c_str());
  HttpServer::Options options;
  options.unix_path = directory + "/control.sock";
  const std::string path = options.unix_path;
  {
    Echo echo(options);
    HttpClient::Options to;
    to.unix_path = path;
    EXPECT_EQ(HttpClient(to).post("/x", "{}")->body, "POST /x  {}");
    options.handler = [](const Request&, Response&) {};
    const auto second = HttpServer::open(options);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().id, "net-port-in-use");
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0) << "the socket file is left over";
  (void)!::system(("rm -r " + directory).c_str());
}

TEST(Server, TakesThePlaceOfOneThatLetsGoOfItsAddressesAMomentLater) {
  const std::string path = testing::TempDir() + "/letting-go.sock";
  const int tcp = listen_tcp("127.0.0.1", 0).value();
  const int own = listen_unix(path).value();
  const int port = bound_port(tcp);
  std::thread ends([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ::close(tcp);
    ::close(own);
  });
  const auto next_tcp = listen_tcp("127.0.0.1", port);
  const auto next_own = listen_unix(path);
  ends.join();
  ASSERT_TRUE(next_tcp.ok()) << next_tcp.error().str();
  ASSERT_TRUE(next_own.ok()) << next_own.error().str();
  ::close(*next_tcp);
  ::close(*next_own);
  ::unlink(path.c_str());
}

TEST(Server, SaysThatAPortIsInUse) {
  Echo echo;
  HttpServer::Options options;
  options.host = "127.0.0.1";
  options.port = echo.server->port();
  options.handler = [](const Request&, Response&) {};
  const auto second = HttpServer::open(options);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind, ErrorKind::kConflict);
  EXPECT_EQ(second.error().id, "net-port-in-use");
}

TEST(Client, ConnectsAgainAfterAnIdleServerClosed) {
  HttpServer::Options options;
  options.limits.idle_timeout_ms = 50;
  Echo echo(std::move(options));
  HttpClient client = echo.client();
  EXPECT_EQ(client.get("/1")->status, 200);
  while (echo.server->connections() > 0) std::this_thread::yield();
  EXPECT_EQ(client.get("/2")->status, 200);
}

TEST(Client, TellsWhyThereIsNoAnswer) {
  HttpClient::Options nowhere;
  nowhere.port = 1;
  EXPECT_EQ(HttpClient(nowhere).get("/").error().kind, ErrorKind::kUnavailable);
  Echo echo;
  HttpClient client = echo.client();
  EXPECT_EQ(client.send("GET", "/later", {}, {}, 50).error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(client.get("/x")->status, 200);
}

TEST(Client, ReadsUrls) {
  const auto url = parse_url("http://127.0.0.1:9000/hook?a=b");
  ASSERT_TRUE(url.ok());
  EXPECT_EQ(url->host, "127.0.0.1");
  EXPECT_EQ(url->port, 9000);
  EXPECT_EQ(url->target, "/hook?a=b");
  EXPECT_EQ(parse_url("http://host")->target, "/");
  EXPECT_FALSE(url->tls);
  const auto secure = parse_url("https://host/x");
  ASSERT_TRUE(secure.ok());
  EXPECT_TRUE(secure->tls);
  EXPECT_EQ(secure->port, 443);
  for (const char* bad : {"ftp://a/", "https://", "http://", "http://a:0/", "http://a:x/",
                          "http://u@a/", "http://a/\r\nX: y"})
    EXPECT_FALSE(parse_url(bad).ok()) << bad;
}

}  // namespace
}  // namespace heddle::net
