#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/client.hpp"
#include "net/server.hpp"

namespace heddle::net {

/// An echo server on its own thread: answers method, path, query and body.
class Echo {
 public:
  explicit Echo(HttpServer::Options options = {}) {
    if (options.host.empty() && options.unix_path.empty()) options.host = "127.0.0.1";
    options.handler = [this](const Request& request, Response& response) {
      ++handled;
      if (request.path == "/later") {
        waiting.push_back(server->defer());
        return;
      }
      if (request.path == "/now") {
        for (const auto& responder : waiting) {
          Response late;
          late.body = "late";
          responder.send(late);
        }
        waiting.clear();
      }
      if (request.path == "/large") response.body.assign(4 << 20, 'x');
      if (request.path == "/huge") response.body.assign(64 << 20, 'x');
      response.content_type = "text/plain";
      response.body +=
          fmt::format("{} {} {} {}", request.method, request.path, request.query, request.body);
    };
    options.before_answers = [this] { ++turns; };
    auto opened = HttpServer::open(std::move(options));
    EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().str());
    server = std::move(*opened);
    thread = std::thread([this] { server->run(); });
  }
  ~Echo() {
    server->stop();
    thread.join();
  }
  [[nodiscard]] HttpClient client() const {
    HttpClient::Options options;
    options.port = server->port();
    return HttpClient(options);
  }

  std::unique_ptr<HttpServer> server;
  std::vector<HttpServer::Responder> waiting;
  std::atomic<int> handled{0};
  std::atomic<int> turns{0};
  std::thread thread;
};

inline int raw_connect(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

inline void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// Everything until the server closes or `stop_at` appeared.
inline std::string receive(int fd, std::string_view stop_at = {}) {
  std::string text;
  char buffer[65536];
  while (stop_at.empty() || text.find(stop_at) == std::string::npos) {
    pollfd p{fd, POLLIN, 0};
    if (::poll(&p, 1, 10'000) <= 0) return text + "<timeout>";
    const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  return text;
}

inline std::string exchange(int port, std::string_view request) {
  const int fd = raw_connect(port);
  send_all(fd, request);
  ::shutdown(fd, SHUT_WR);
  std::string answer = receive(fd);
  ::close(fd);
  return answer;
}

}  // namespace heddle::net
