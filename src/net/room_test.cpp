// Who gets a connection when there is room for few: by limits, and by open files.
#include <chrono>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "net/echo_fixture.hpp"

namespace heddle::net {
namespace {

constexpr std::string_view kLater = "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n";

sockaddr_in address_of(const std::string& host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  return address;
}

/// From another address of this machine's; a small window to receive, where asked for.
int connect_from(const std::string& address, int port, int window = 0) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  if (window > 0) ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
  const sockaddr_in from = address_of(address, 0), to = address_of("127.0.0.1", port);
  EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from), 0) << address;
  EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  return fd;
}

/// Connections that are closed at the end of a test.
struct Many {
  ~Many() {
    for (const int fd : fds) ::close(fd);
  }
  int add(int fd) {
    fds.push_back(fd);
    return fd;
  }
  std::vector<int> fds;
};

/// The server has closed its side.
bool ended(int fd) {
  char byte = 0;
  return ::recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

/// What a client does with its connection, so that it is there and nobody answers it.
enum class Idle {
  kSilent,
  kHalfHead,
  kHalfBody,
  kAsksOnce,
  kAsksAndBegins,
  kReadsNothing,
  kHalfClosed
};

void idle(int fd, Idle how) {
  const std::string one = "GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
  switch (how) {
    case Idle::kSilent: break;
    case Idle::kHalfHead: send_all(fd, "GET /x HTTP/1.1\r\nHo"); break;
    case Idle::kHalfBody:
      send_all(fd, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab");
      break;
    case Idle::kAsksOnce:
      send_all(fd, one);
      (void)receive(fd, "GET /1");
      break;
    case Idle::kAsksAndBegins:
      send_all(fd, one);
      (void)receive(fd, "GET /1");
      send_all(fd, "GET /x HTTP/1.1\r\nHo");
      break;
    case Idle::kReadsNothing: {
      send_all(fd, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
      pollfd answer{fd, POLLIN, 0};
      ::poll(&answer, 1, 10'000);
      break;
    }
    case Idle::kHalfClosed:
      send_all(fd, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
      ::shutdown(fd, SHUT_WR);
  }
}

class IdleClients : public ::testing::TestWithParam<Idle> {
 public:
  /// Nothing ends by its time in a test.
  static HttpServer::Options patient() {
    HttpServer::Options options;
    options.limits.read_timeout_ms = options.limits.idle_timeout_ms = 3'600'000;
    options.limits.body_bytes_per_second = 0;
    return options;
  }
};

TEST_P(IdleClients, OfOneAddressDoNotShutOutOthersOfIt) {
  HttpServer::Options options = patient();
  options.limits.connections_per_address = 8;
  Echo echo(std::move(options));
  Many many;
  for (int i = 0; i < 20; ++i)
    idle(many.add(connect_from("127.0.0.1", echo.server->port(), 4096)), GetParam());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(echo.client().get("/honest")->status, 200) << i;
  EXPECT_LE(echo.server->connections(), 8u);
  const auto closed = echo.server->closed_for_room();
  EXPECT_GE(closed.for_address, 13u) << "of twenty idle ones, so that the first honest one came in";
  EXPECT_EQ(closed.for_all + closed.for_handshake + closed.refused, 0u);
}

TEST_P(IdleClients, OfManyAddressesDoNotShutOutAnother) {
  HttpServer::Options options = patient();
  options.limits.connections = 16;
  Echo echo(std::move(options));
  const int port = echo.server->port();
  Many many;
  const int kept = many.add(raw_connect(port));
  const std::string ask = "GET /kept HTTP/1.1\r\nHost: localhost\r\n\r\n";
  send_all(kept, ask);
  EXPECT_NE(receive(kept, "GET /kept").find("200 OK"), std::string::npos);
  for (int i = 0; i < 30; ++i)
    idle(many.add(connect_from(fmt::format("127.0.0.{}", 2 + i % 5), port, 4096)), GetParam());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(echo.client().get("/new")->status, 200) << i;
  // Those of many go first, so an address that has one keeps it.
  send_all(kept, ask);
  EXPECT_NE(receive(kept, "GET /kept").find("200 OK"), std::string::npos);
  EXPECT_LE(echo.server->connections(), 16u);
  const auto closed = echo.server->closed_for_room();
  EXPECT_GE(closed.for_all, 16u) << "of thirty idle ones and the kept one";
  EXPECT_EQ(closed.for_address + closed.for_handshake + closed.refused, 0u);
}

INSTANTIATE_TEST_SUITE_P(Every, IdleClients,
                         ::testing::Values(Idle::kSilent, Idle::kHalfHead, Idle::kHalfBody,
                                           Idle::kAsksOnce, Idle::kAsksAndBegins,
                                           Idle::kReadsNothing, Idle::kHalfClosed));

TEST(Room, IsSharedWithTheGrpcListener) {
  constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const std::string settings("\0\0\0\4\0\0\0\0\0", 9);
  HttpServer::Options options;
  options.host = options.grpc_host = "127.0.0.1";
  options.grpc_handler = [](const GrpcCall&, GrpcReply&) {};
  options.limits.connections = 16;
  options.limits.connections_per_address = 8;
  Echo echo(std::move(options));
  const int port = echo.server->grpc_port();
  for (const std::string& first : {std::string(), std::string("PRI * HT"), std::string(kPreface),
                                   std::string(kPreface) + settings}) {
    Many many;
    for (int i = 0; i < 40; ++i)
      send_all(many.add(connect_from(fmt::format("127.0.0.{}", 1 + i % 3), port)), first);
    EXPECT_EQ(echo.client().get("/honest")->status, 200);
    const int grpc = many.add(raw_connect(port));
    send_all(grpc, std::string(kPreface) + settings);
    EXPECT_NE(receive(grpc, settings.substr(3, 1)).find('\4'), std::string::npos);
    EXPECT_LE(echo.server->connections(), 16u);
  }
}

TEST(Room, APrefaceThatDoesNotComeWholeHasTheTimeOfARequest) {
  HttpServer::Options options;
  options.host = options.grpc_host = "127.0.0.1";
  options.grpc_handler = [](const GrpcCall&, GrpcReply&) {};
  options.limits.read_timeout_ms = 100;
  options.limits.idle_timeout_ms = 3'600'000;
  Echo echo(std::move(options));
  Many many;
  const int half = many.add(raw_connect(echo.server->grpc_port()));
  send_all(half, "PRI * HT");
  EXPECT_EQ(receive(half), "");
}

TEST(Room, OfOneAddressIsBoundedForThoseInUse) {
  HttpServer::Options options;
  options.limits.connections_per_address = 2;
  Echo echo(std::move(options));
  const int port = echo.server->port();
  Many many;
  for (int i = 0; i < 2; ++i) send_all(many.add(raw_connect(port)), kLater);
  while (echo.handled < 2) std::this_thread::yield();
  // Both are being answered: there is no place for a third.
  EXPECT_TRUE(receive(many.add(raw_connect(port))).starts_with("HTTP/1.1 503 "));
  EXPECT_FALSE(ended(many.fds[0]) || ended(many.fds[1]));
  // Another address is not touched by that.
  const int other = many.add(connect_from("127.0.0.2", port));
  send_all(other, "GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(receive(other, "GET /now").starts_with("HTTP/1.1 200 "));
  EXPECT_NE(receive(many.fds[0], "late").find("200 OK"), std::string::npos);
}

TEST(Room, IsThereForTheOwnersSocketWhenAllIsTaken) {
  const std::string path = fmt::format("{}/net-room-{}.sock", ::testing::TempDir(), ::getpid());
  HttpServer::Options options;
  options.host = "127.0.0.1";
  options.unix_path = path;
  options.limits.connections = 2;
  Echo echo(std::move(options));
  Many many;
  for (int i = 0; i < 2; ++i) send_all(many.add(raw_connect(echo.server->port())), kLater);
  while (echo.handled < 2) std::this_thread::yield();
  HttpClient::Options owner;
  owner.unix_path = path;
  EXPECT_EQ(HttpClient(owner).get("/stop")->status, 200);
  EXPECT_FALSE(ended(many.fds[0]) || ended(many.fds[1]));
}

TEST(Room, WhoNeverSendsAByteHasTheTimeOfARequest) {
  HttpServer::Options options;
  options.limits.read_timeout_ms = 100;
  options.limits.idle_timeout_ms = 3'600'000;
  Echo echo(std::move(options));
  Many many;
  const int silent = many.add(raw_connect(echo.server->port()));
  HttpClient asks = echo.client();
  EXPECT_EQ(asks.get("/1")->status, 200);
  EXPECT_EQ(receive(silent), "");
  // The close reaches the client before the server has counted it.
  while (echo.server->connections() > 1) std::this_thread::yield();
  EXPECT_EQ(asks.get("/2")->status, 200);  // who asked has the time between requests
  EXPECT_EQ(echo.server->connections(), 1u);
}

TEST(Room, AnswersThatAreTakenSlowlyEnd) {
  HttpServer::Options options;
  options.limits.read_timeout_ms = 300;
  options.limits.body_bytes_per_second = 1'000'000'000;  // more than this client takes
  Echo echo(std::move(options));
  Many many;
  const int fd = many.add(raw_connect(echo.server->port()));
  send_all(fd, "GET /huge HTTP/1.1\r\nHost: localhost\r\n\r\n");
  // It takes some all the time, and is cut off all the same.
  std::size_t taken = 0;
  std::string block(32 << 10, '\0');
  while (taken == 0 || echo.server->connections() > 0) {
    const ssize_t n = ::recv(fd, block.data(), block.size(), 0);
    if (n <= 0) break;
    taken += static_cast<std::size_t>(n);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_GT(taken, 0u);
  EXPECT_LT(taken, 60u << 20) << "nearly all of it was taken";
}

/// Leaves this process so many descriptors, until its end.
class FewDescriptors {
 public:
  explicit FewDescriptors(int left) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest = ::dup(0);
    ::close(lowest);
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(lowest + left);
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

/// The loop looks at the clock in each turn: one that spins does it all the time.
class CountingClock final : public Clock {
 public:
  [[nodiscard]] Micros wall() const override { return system_clock().wall(); }
  [[nodiscard]] std::int64_t mono_ns() const override {
    ++looks;
    return system_clock().mono_ns();
  }
  mutable std::atomic<int> looks{0};
};

TEST(Descriptors, SomeAreKeptFromClients) {
  const FewDescriptors few(100);
  Echo echo;
  Many many;
  // The clients' own ends are of this process too: every connection takes two.
  int busy = 0;
  for (; busy < 40; ++busy) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) break;
    many.add(fd);
    const sockaddr_in to = address_of("127.0.0.1", echo.server->port());
    ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    send_all(fd, kLater);
  }
  // Nobody of them leaves; the server takes as many as leave it some.
  for (int i = 0; i < 60 && echo.handled < busy; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_LT(echo.handled, busy);
  const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_GE(file, 0) << "a route table could not be opened";
  ::close(file);
}

TEST(Descriptors, IdleClientsGiveTheirsToWhoAsks) {
  Echo echo;
  const int port = echo.server->port();
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  // The clients are of another process: their own ends are not of the server's descriptors.
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    if (::read(go[0], &byte, 1) != 1) ::_exit(2);
    for (int i = 0; i < 200; ++i) (void)raw_connect(port);
    for (int i = 0; i < 5; ++i) {
      const int fd = raw_connect(port);
      send_all(fd, "GET /honest HTTP/1.1\r\nHost: localhost\r\n\r\n");
      if (receive(fd, "GET /honest").find("200 OK") == std::string::npos) ::_exit(1);
    }
    ::_exit(0);
  }
  const FewDescriptors few(100);
  EXPECT_EQ(::write(go[1], "!", 1), 1);
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ::close(go[0]);
  ::close(go[1]);
}

TEST(Descriptors, ThatAreUsedUpPauseTheListener) {
  CountingClock clock;
  HttpServer::Options options;
  options.clock = &clock;
  Echo echo(std::move(options));
  Many many;
  send_all(many.add(raw_connect(echo.server->port())), kLater);
  while (echo.handled < 1) std::this_thread::yield();
  const int waits = many.add(::socket(AF_INET, SOCK_STREAM, 0));
  {
    const FewDescriptors none(0);
    const sockaddr_in to = address_of("127.0.0.1", echo.server->port());
    ASSERT_EQ(::connect(waits, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    send_all(waits, "GET /waited HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const int before = clock.looks;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the time in which it would spin
    EXPECT_LT(clock.looks - before, 500);
  }
  EXPECT_NE(receive(waits, "GET /waited").find("200 OK"), std::string::npos);
}

}  // namespace
}  // namespace heddle::net
