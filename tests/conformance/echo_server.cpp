// A server whose answers say what it read: the transport alone, for the conformance and
// hostile-client tests.
//   net_echo_server [--http PORT] [--grpc PORT] [--tls CERT KEY] [--connections N] [--body-bytes N]
//   [--buffered-bytes N] [--per-address N]
//                   [--read-ms N] [--idle-ms N]
// Prints `http=PORT grpc=PORT pid=PID` once it listens. SIGTERM drains. SIGUSR2 starts this program
// again, hands it the sockets, and drains.
#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "net/server.hpp"

using namespace heddle::net;  // NOLINT(google-build-using-namespace): a test's program

namespace {

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes)
    fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<unsigned char>(c));
  return out;
}

class EchoServer {
 public:
  int run(std::vector<std::string> argv) {
    HttpServer::Options options;
    options.grpc_streaming = {"/test.Echo/Stream", "/test.Echo/StreamLater"};
    options.allowed_hosts = {"a", "example.com"};
    for (std::size_t i = 1; i < argv.size(); ++i) {
      const std::string& name = argv[i];
      const std::string value = i + 1 < argv.size() ? argv[++i] : "";
      if (name == "--http")
        options.host = "127.0.0.1", options.port = static_cast<int>(number(value));
      if (name == "--grpc")
        options.grpc_host = "127.0.0.1", options.grpc_port = static_cast<int>(number(value));
      if (name == "--tls" && i + 1 < argv.size()) options.tls = TlsOptions{value, argv[++i], {}};
      if (name == "--connections")
        options.limits.connections = static_cast<std::size_t>(number(value));
      if (name == "--per-address")
        options.limits.connections_per_address = static_cast<std::size_t>(number(value));
      if (name == "--body-bytes")
        options.limits.body_bytes = static_cast<std::size_t>(number(value));
      if (name == "--buffered-bytes")
        options.limits.buffered_bytes = static_cast<std::size_t>(number(value));
      if (name == "--read-ms") options.limits.read_timeout_ms = number(value);
      if (name == "--idle-ms") options.limits.idle_timeout_ms = number(value);
    }
    options.adopt_fds = inherited_listeners();
    options.handler = [this](const Request& request, Response& response) {
      http(request, response);
    };
    options.grpc_handler = [this](const GrpcCall& call, GrpcReply& reply) { grpc(call, reply); };
    options.before_answers = [this] { ++turns_; };
    auto opened = HttpServer::open(std::move(options));
    if (!opened.ok()) {
      fmt::print(stderr, "{}\n", opened.error().str());
      return 1;
    }
    server_ = std::move(*opened);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR2);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    const int signal_fd = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    server_->watch(signal_fd, [&, signal_fd] {
      signalfd_siginfo info{};
      if (::read(signal_fd, &info, sizeof info) != sizeof info) return;
      if (info.ssi_signo == SIGUSR2) {
        sigset_t none;
        sigemptyset(&none);
        sigset_t blocked;
        sigprocmask(SIG_SETMASK, &none, &blocked);  // a successor has its own
        const auto child = start_successor(argv, server_->listener_fds());
        sigprocmask(SIG_SETMASK, &blocked, nullptr);
        if (!child.ok()) return;
      }
      draining_ = true;
      server_->drain(30'000);
    });
    server_->every(50, [this] {
      std::vector<HttpServer::Responder> ready;
      ready.swap(later_);
      if (draining_) std::ranges::move(std::exchange(at_drain_, {}), std::back_inserter(ready));
      for (const auto& responder : ready) {
        GrpcReply late;
        late.message = "late";
        responder.send_grpc(std::move(late));
      }
    });
    fmt::print("http={} grpc={} pid={}\n", server_->port(), server_->grpc_port(), ::getpid());
    std::fflush(stdout);
    server_->run();
    ::close(signal_fd);
    return 0;
  }

 private:
  void http(const Request& request, Response& response) {
    ++handled_;
    if (request.path == "/empty") return;
    if (request.path == "/stats") {
      std::size_t alive = 0;
      for (const auto* waiting : {&never_, &at_drain_})
        for (const auto& responder : *waiting) alive += responder.alive() ? 1 : 0;
      response.body = fmt::format(
          R"({{"handled":{},"turns":{},"connections":{},"buffered":{},"waiting":{},"pid":{}}})",
          handled_, turns_, server_->connections(), server_->buffered_bytes(), alive, ::getpid());
      return;
    }
    response.content_type = "text/plain";
    response.body = fmt::format("{} {} {} {}", request.method, hex(request.path),
                                hex(request.query), hex(request.body));
  }

  void grpc(const GrpcCall& call, GrpcReply& reply) {
    ++handled_;
    std::string_view method = call.method;
    constexpr std::string_view kService = "/test.Echo/";
    if (!method.starts_with(kService)) {
      reply.status = 12;
      reply.status_message = "no such service";
      return;
    }
    method.remove_prefix(kService.size());
    if (method == "Unary" || (method == "Stream" && call.streaming)) {
      if (call.message == "fail") {
        reply.status = 3;
        reply.status_message = "as you wish: 100 % \xC3\xA9\n";
        return;
      }
      reply.message.assign(call.message);
    } else if (method == "Large") {
      reply.message.assign(static_cast<std::size_t>(number(call.message)), 'x');
    } else if (method == "Later" || method == "StreamLater") {
      later_.push_back(server_->defer());
    } else if (method == "AtDrain") {
      at_drain_.push_back(server_->defer());
    } else if (method == "Never") {
      never_.push_back(server_->defer());
    } else if (method == "Call") {
      reply.message = fmt::format(
          "{}\n{}\n{}\n", call.method, call.bearer(),
          call.deadline_ns == 0 ? 0 : (call.deadline_ns - server_->turn_began_ns()) / 1'000'000);
      for (const Header& header : call.metadata)
        reply.message += fmt::format("{}={}\n", header.name, header.value);
    } else {
      reply.status = 12;
      reply.status_message = "no such method";
    }
  }

  std::unique_ptr<HttpServer> server_;
  std::vector<HttpServer::Responder> later_, never_, at_drain_;
  bool draining_ = false;
  std::uint64_t handled_ = 0, turns_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv, argv + argc);
  words[0] = "/proc/self/exe";
  char path[4096];
  if (const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path); n > 0)
    words[0].assign(path, static_cast<std::size_t>(n));
  return EchoServer().run(std::move(words));
}
