// What hostile and slow clients meet, drain, and sockets that change hands.
#include <fcntl.h>

#include "net/echo_fixture.hpp"

namespace heddle::net {
namespace {

TEST(HalfClosed, IsAnsweredAllTheSame) {
  Echo echo;
  const int port = echo.server->port();
  const int waits = raw_connect(port);
  send_all(waits,
           "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\nGET /behind HTTP/1.1\r\nHost: "
           "localhost\r\n\r\n");
  ::shutdown(waits, SHUT_WR);
  while (echo.handled < 1) std::this_thread::yield();
  EXPECT_EQ(echo.client().get("/now")->status, 200);
  const std::string answers = receive(waits);
  EXPECT_NE(answers.find("\r\n\r\nlate"), std::string::npos) << answers;
  EXPECT_NE(answers.find("GET /behind"), std::string::npos) << answers;
  ::close(waits);
  // Many large answers to a client that closed its side before it read any.
  const int reads = raw_connect(port);
  for (int i = 0; i < 5; ++i) send_all(reads, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ::shutdown(reads, SHUT_WR);
  EXPECT_GT(receive(reads).size(), 5u * (4 << 20));
  ::close(reads);
  // A part of a request ends without an answer.
  EXPECT_EQ(exchange(port, "GET /part HTTP/1.1\r\nHo"), "");
}

TEST(Limits, BoundWhatIsHeldForAllConnections) {
  HttpServer::Options options;
  options.limits.buffered_bytes = 1 << 20;
  Echo echo(std::move(options));
  std::vector<int> fds;
  int refused = 0;
  for (int i = 0; i < 8; ++i) {
    const int fd = raw_connect(echo.server->port());
    send_all(fd, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400000\r\n\r\n" +
                     std::string(300'000, 'x'));
    fds.push_back(fd);
  }
  // The bound holds while they wait, and whoever came small and whole is served.
  EXPECT_EQ(echo.client().get("/small")->status, 200);
  for (const int fd : fds) {
    pollfd p{fd, POLLIN, 0};
    if (::poll(&p, 1, 300) == 1) {
      ++refused;
      EXPECT_TRUE(receive(fd).starts_with("HTTP/1.1 503 "));
    }
  }
  EXPECT_GE(refused, 4);
  EXPECT_LT(refused, 8);
  EXPECT_LE(echo.server->buffered_bytes(), 1u << 20);
  for (const int fd : fds) ::close(fd);
  while (echo.server->connections() > 0) std::this_thread::yield();
  EXPECT_EQ(echo.server->buffered_bytes(), 0u);
}

TEST(Limits, EndBodiesThatDribble) {
  HttpServer::Options options;
  options.limits.body_bytes_per_second = 100'000;
  Echo echo(std::move(options));
  const int fd = raw_connect(echo.server->port());
  send_all(fd, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nabc");
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(receive(fd).starts_with("HTTP/1.1 408 "));
  EXPECT_LT(std::chrono::steady_clock::now() - began,
            std::chrono::seconds(5));  // long before the 10 s of a whole request
  ::close(fd);
}

TEST(Limits, SayHowLongARequestWaited) {
  std::atomic<std::int64_t> waited{-1};
  std::unique_ptr<HttpServer> server;
  HttpServer::Options options;
  options.host = "127.0.0.1";
  options.handler = [&](const Request& request, Response&) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
    while (std::chrono::steady_clock::now() < until) {
    }
    waited = std::max(waited.load(), request.queued_ns);
  };
  auto opened = HttpServer::open(std::move(options));
  ASSERT_TRUE(opened.ok());
  server = std::move(*opened);
  const int fd = raw_connect(server->port());
  send_all(fd,
           "GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /2 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  std::thread thread([&] { server->run(); });
  std::string text = receive(fd, "\r\n\r\n");
  while (text.find("\r\n\r\n") == text.rfind("\r\n\r\n")) text += receive(fd, "\r\n\r\n");
  EXPECT_GE(waited, 5'000'000);
  server->stop();
  thread.join();
  ::close(fd);
}

TEST(Limits, WhoWasAnsweredAtTheEndOfALongTurnHasNotWaited) {
  std::atomic<int> handled{0};
  std::atomic<std::int64_t> waited{0};
  HttpServer::Options options;
  options.host = "127.0.0.1";
  options.handler = [&](const Request& request, Response&) {
    if (++handled == 1)
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    else
      waited = std::max(waited.load(), request.queued_ns);
  };
  auto opened = HttpServer::open(std::move(options));
  ASSERT_TRUE(opened.ok());
  const auto server = std::move(*opened);
  std::thread thread([&] { server->run(); });
  HttpClient::Options to;
  to.port = server->port();
  HttpClient client(to);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.get("/")->status, 200);
  server->stop();
  thread.join();
  EXPECT_LT(waited, 50'000'000);
}

TEST(Drain, FinishesWhatIsInFlightAndTellsEveryone) {
  auto echo = std::make_unique<Echo>();
  const int port = echo->server->port();
  HttpClient kept = echo->client();
  EXPECT_EQ(kept.get("/1")->status, 200);
  const int waits = raw_connect(port);
  send_all(waits, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const int raw = raw_connect(port);
  send_all(raw, "GET /2 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_NE(receive(raw, "GET /2").find("200 OK"), std::string::npos);
  while (echo->handled < 3) std::this_thread::yield();
  echo->server->drain(20'000);
  while (echo->client().get("/new").ok()) {
  }  // until nobody listens
  // A connection that is open is answered once more, and told to go.
  send_all(raw, "GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const std::string last = receive(raw);
  EXPECT_NE(last.find("GET /now"), std::string::npos);
  EXPECT_NE(last.find("Connection: close"), std::string::npos) << last;
  const std::string late = receive(waits);
  EXPECT_NE(late.find("late"), std::string::npos) << late;
  EXPECT_EQ(kept.get("/3")->status, 200);
  for (const int fd : {waits, raw}) ::close(fd);
  echo->thread.join();  // `run` returned by itself
  echo->thread = std::thread([] {});
}

TEST(Drain, EndsAtItsDeadline) {
  auto echo = std::make_unique<Echo>();
  const int fd = raw_connect(echo->server->port());
  send_all(fd, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
  while (echo->handled < 1) std::this_thread::yield();
  echo->server->drain(100);
  echo->thread.join();
  echo->thread = std::thread([] {});
  ::close(fd);
}

TEST(Handover, GoesOnWithTheSocketsOfAnother) {
  auto first = std::make_unique<Echo>();
  const int port = first->server->port();
  std::vector<ListenerFd> fds;
  std::atomic<bool> listed{false};
  first->server->post([&] {
    for (const ListenerFd& listener : first->server->listener_fds())
      fds.push_back({listener.name, ::dup(listener.fd)});
    listed = true;
  });
  while (!listed) std::this_thread::yield();
  ASSERT_EQ(fds.size(), 1u);
  EXPECT_EQ(fds[0].name, "http");
  first->server->drain(10'000);
  first->thread.join();
  first->thread = std::thread([] {});
  // Between the two: the kernel's queue takes the connection.
  const int fd = raw_connect(port);
  send_all(fd, "GET /between HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  HttpServer::Options options;
  options.host = "127.0.0.1";
  options.adopt_fds = fds;
  Echo second(std::move(options));
  EXPECT_EQ(second.server->port(), port);
  EXPECT_NE(receive(fd).find("GET /between"), std::string::npos);
  ::close(fd);
}

TEST(Handover, RefusesWhatIsNoListeningSocket) {
  HttpServer::Options options;
  options.handler = [](const Request&, Response&) {};
  options.adopt_fds = {{"http", ::open("/dev/null", O_RDONLY | O_CLOEXEC)}};
  const auto server = HttpServer::open(std::move(options));
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.error().id, "net-adopt");
}

}  // namespace
}  // namespace heddle::net
