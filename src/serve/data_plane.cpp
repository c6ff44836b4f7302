#include "serve/serve.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/file.hpp"
#include "base/file_port.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "net/listener.hpp"
#include "net/server.hpp"
#include "net/tls.hpp"
#include "plane/journal_files.hpp"
#include "serve/engine.hpp"
#include "serve/grpc_api.hpp"
#include "serve/http_api.hpp"
#include "serve/serving.hpp"
#include "serve/tokens.hpp"

namespace heddle::serve {
namespace {

constexpr std::int64_t kTickMs = 1000;
constexpr std::int64_t kRightsMs = 50;
constexpr std::int64_t kMostHeldNs = 10'000'000'000;

/// Work for the serving thread from threads that may outlive it: a runtime's answer that comes
/// after the end goes nowhere.
class Mailbox {
 public:
  void open(net::HttpServer* server) {
    const std::lock_guard lock(mutex_);
    server_ = server;
  }
  void post(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    if (server_ != nullptr) server_->post(std::move(work));
  }

 private:
  std::mutex mutex_;
  net::HttpServer* server_ = nullptr;
};

/// The parts put together: server, engine, surfaces, follower.
class Plane final : public DataPlane {
 public:
  explicit Plane(Options options) : options_(std::move(options)), tokens_(options_.tokens) {}

  ~Plane() override {
    follower_.reset();  // it posts to the server
    mailbox_->open(nullptr);
    if (journal_ != nullptr) (void)journal_->sync();
  }

  Result<void> open();
  void run() override { server_->run(); }
  void stop() override { server_->stop(); }
  [[nodiscard]] int port() const override { return server_->port(); }
  [[nodiscard]] int grpc_port() const override { return server_->grpc_port(); }
  [[nodiscard]] net::HttpServer& server() noexcept { return *server_; }
  /// A runtime is being started without which nothing is served, and nothing went wrong yet.
  [[nodiscard]] bool starts() const noexcept {
    return follower_->began_with_start() && follower_->refused() == 0 &&
           engine_->serving() == nullptr;
  }

 private:
  [[nodiscard]] Result<void> open_server();
  void tell_tls_files();
  [[nodiscard]] Result<int> listen_for_owner() const;
  [[nodiscard]] Metrics::Gauges gauges() const;
  [[nodiscard]] RouteFollower::Waiting waiting() const {
    return follower_ == nullptr ? RouteFollower::Waiting{} : follower_->waiting();
  }
  void follow_rights();

  Options options_;
  Tokens tokens_;
  std::shared_ptr<const Rights> rights_;  ///< the last that were taken over
  std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  std::unique_ptr<plane::JournalWriter> journal_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<telemetry::Tracer> tracer_;
  std::unique_ptr<HttpApi> http_;
  std::unique_ptr<GrpcApi> grpc_;
  std::unique_ptr<net::HttpServer> server_;
  std::unique_ptr<RouteFollower> follower_;
};

/// A stop that was acknowledged holds after a restart: a disk that fails at this moment is asked
/// again for a while before anybody is answered. One that stays as it is must not keep a service
/// away for ever: then that is said, and the control plane carries the stop out when it reads it.
Result<plane::Standing> acts_of_before(const std::string& spool, std::vector<std::string>& gaps) {
  constexpr auto kLongest = std::chrono::seconds(10);
  const auto until = std::chrono::steady_clock::now() + kLongest;
  for (;;) {
    gaps.clear();
    auto known = plane::standing_acts(spool, system_files(), gaps);
    if (known.ok() || known.error().kind != ErrorKind::kIo ||
        std::chrono::steady_clock::now() >= until)
      return known;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Result<void> Plane::open() {
  const std::string& name = options_.service.identity.name;
  const std::string spool = fmt::format("{}/spool/{}", options_.heddle_dir, name);
  plane::Standing standing;
  std::vector<std::string> gaps;
  if (auto known = acts_of_before(spool, gaps); known.ok()) {
    standing = std::move(*known);
    for (const auto& gap : gaps) {
      log::error(
          "service `{}`: {}; a stop or an act of this data plane that stood there is known "
          "only if the control plane had read it",
          name, gap);
    }
  } else {
    log::error("{}; acts of this data plane before its start are not known", known.error().str());
  }
  HEDDLE_ASSIGN_OR_RETURN(
      journal_,
      plane::JournalWriter::open({.dir = spool, .fields = {}, .max_bytes = options_.spool_bytes}));
  engine_ = std::make_unique<Engine>(
      Engine::Options{.service = &options_.service,
                      .clock = options_.clock,
                      .journal = journal_.get(),
                      .lockstep = options_.lockstep,
                      .accounts = tokens_.size(),
                      .post = [mailbox = mailbox_](
                                  std::function<void()> work) { mailbox->post(std::move(work)); }},
      standing);
  if (const spec::Traces& traces = options_.service.telemetry.traces; !traces.endpoint.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(
        tracer_, telemetry::Tracer::open(
                     {.endpoint = traces.endpoint, .service = name, .share = traces.share}));
  }
  http_ = std::make_unique<HttpApi>(HttpApi::Options{.engine = engine_.get(),
                                                     .tokens = &tokens_,
                                                     .service = &options_.service,
                                                     .clock = options_.clock,
                                                     .gauges = [this] { return gauges(); },
                                                     .waiting = [this] { return waiting(); },
                                                     .defer = [this] { return server_->defer(); },
                                                     .tracer = tracer_.get()});
  grpc_ = std::make_unique<GrpcApi>(
      GrpcApi::Options{engine_.get(), &tokens_, &options_.service, options_.clock,
                       [this] { return server_->defer(); }, tracer_.get()});
  HEDDLE_TRY(open_server());
  tell_tls_files();
  (void)make_dirs(options_.heddle_dir + "/data");  // what is kept there can be done without
  RouteFollower::Options follow;
  follow.directory = options_.heddle_dir + "/routes";
  follow.service = name;
  follow.newest = fmt::format("{}/data/{}.route", options_.heddle_dir, name);
  follow.key = options_.control_key;
  follow.objects = options_.objects;
  const spec::ServiceLimits& limits = options_.service.limits;
  follow.host = {.directory = options_.heddle_dir + "/runtime",
                 .hidden = options_.heddle_dir,
                 .batch_ms = limits.batch_ms,
                 .batch_rows = limits.batch_rows,
                 .queue_rows = std::max(limits.queue_rows, limits.batch_rows)};
  follow.ready = [this](std::shared_ptr<const Serving> next) {
    server_->post([this, next = std::move(next)] { engine_->apply(next); });
  };
  HEDDLE_ASSIGN_OR_RETURN(follower_, RouteFollower::start(std::move(follow)));
  return {};
}

Result<void> Plane::open_server() {
  const spec::ServiceLimits& limits = options_.service.limits;
  net::HttpServer::Options http;
  http.host = options_.service.host;
  http.allowed_hosts = options_.service.hosts;
  http.host_hint =
      fmt::format("add the name to `hosts` of service `{}`, then `heddle apply` and restart",
                  options_.service.identity.name);
  http.port = options_.service.port;
  http.limits = {.header_bytes = limits.header_bytes,
                 .body_bytes = limits.body_bytes,
                 .read_timeout_ms = limits.read_timeout_ms,
                 .idle_timeout_ms = limits.idle_timeout_ms,
                 .connections = limits.connections,
                 .connections_per_address = limits.connections_per_address};
  http.clock = options_.clock;
  if (const spec::ServiceTls& tls = options_.service.tls; !tls.certificate.empty()) {
    http.tls = net::TlsOptions{
        .cert_file = tls.certificate, .key_file = tls.key, .client_ca_file = tls.client_ca};
  }
  // What the definition does not ask for any more is not adopted.
  for (const net::ListenerFd& listener : options_.listeners) {
    const int wanted = listener.name == "http"   ? options_.service.port
                       : listener.name == "grpc" ? options_.service.grpc_port
                                                 : -1;
    const bool owners = listener.name == "unix" && !options_.socket.empty();
    if (owners) http.unix_path = options_.socket;
    // Port 0 takes any: a test, or a project that does not care which.
    if (owners || wanted == 0 || (wanted > 0 && net::bound_port(listener.fd) == wanted))
      http.adopt_fds.push_back(listener);
    else
      ::close(listener.fd);
  }
  if (!options_.socket.empty() && http.unix_path.empty()) {
    // Answers come first: a disk that takes no socket's name must not keep a plane from serving.
    const auto listening = listen_for_owner();
    if (listening.ok()) {
      http.unix_path = options_.socket;
      http.adopt_fds.push_back({"unix", *listening});
    } else {
      log::error("{}; `heddle stop` reaches this data plane by the control plane only",
                 listening.error().str());
    }
  }
  if (options_.service.grpc_port >= 0) {
    http.grpc_host = options_.service.host;
    http.grpc_port = options_.service.grpc_port;
    http.grpc_streaming = GrpcApi::streaming();
    http.grpc_inflate_for = [this](const net::GrpcCall& call) {
      return tokens_.find(call.bearer()) != nullptr;
    };
    http.grpc_handler = [this](const net::GrpcCall& call, net::GrpcReply& reply) {
      grpc_->handle(call, reply);
    };
  }
  http.handler = [this](const net::Request& request, net::Response& response) {
    http_->handle(request, response);
  };
  http.before_answers = [this] { engine_->commit(); };
  HEDDLE_ASSIGN_OR_RETURN(server_, net::HttpServer::open(std::move(http)));
  mailbox_->open(server_.get());
  server_->every(kTickMs, [this] { engine_->each_second(); });
  if (options_.rights) server_->every(kRightsMs, [this] { follow_rights(); });
  return {};
}

/// They are no part of what is applied, so that they may be renewed: which ones they are is on
/// record.
void Plane::tell_tls_files() {
  const spec::ServiceTls& tls = options_.service.tls;
  if (tls.certificate.empty()) return;
  const auto tell = [&](std::string_view act, const Result<Digest>& digest) {
    if (!digest.ok()) log::error("{}", digest.error().str());
    journal_->append(plane::ActRecord{std::string(act),
                                      digest.ok() && !digest->empty() ? digest->str() : "",
                                      engine_->event_clock().now(options_.clock->wall()),
                                      "read at the start", uuid7(*options_.clock), ""});
  };
  tell(plane::kCertificateAct, net::certificate_digest(tls.certificate));
  tell(plane::kClientCaAct, tls.client_ca.empty() ? Digest{} : sha256_file(tls.client_ca));
  if (const auto told = journal_->commit(); !told.ok()) log::error("{}", told.error().str());
}

void Plane::follow_rights() {
  auto now = options_.rights();
  if (now == nullptr || now == rights_) return;
  rights_ = std::move(now);
  tokens_.set_rights(*rights_);
}

Result<int> Plane::listen_for_owner() const {
  HEDDLE_TRY(make_dirs(options_.socket.substr(0, options_.socket.find_last_of('/'))));
  return net::listen_unix(options_.socket);
}

Metrics::Gauges Plane::gauges() const {
  Metrics::Gauges all{engine_->ready(),
                      engine_->stopped(),
                      engine_->failed_over(),
                      engine_->applied_version(),
                      follower_->refused(),
                      engine_->journal().unrecorded(),
                      engine_->journal().room(plane::RecordKind::kRows, {}) != plane::Room::kFull,
                      engine_->journal().bytes(),
                      server_->connections(),
                      server_->closed_for_room(),
                      engine_->event_clock().last_tick(),
                      engine_->event_clock().held()};
  for (std::size_t i = 0; engine_->serving() != nullptr && i < kSlots; ++i) {
    const score::Plan* plan = engine_->serving()->slots[i].plan.get();
    if (plan != nullptr && plan->endpoint() != nullptr)
      all.runtimes.push_back({static_cast<SlotId>(i), plan->endpoint()->condition()});
  }
  return all;
}

}  // namespace

Result<std::unique_ptr<DataPlane>> DataPlane::open(Options options) {
  auto plane = std::make_unique<Plane>(std::move(options));
  HEDDLE_TRY(plane->open());
  return std::unique_ptr<DataPlane>(std::move(plane));
}

Result<std::vector<net::ListenerFd>> run(Options options, const std::atomic<bool>& stop,
                                         const std::atomic<bool>& successor) {
  const log::Background lines;  // a terminal that is paused must not pause answers
  const std::int64_t drain_ms = options.service.limits.drain_ms;
  const Clock& clock = *options.clock;
  const bool succeeds = !options.listeners.empty();
  Plane plane(std::move(options));
  HEDDLE_TRY(plane.open());
  // Who comes while a successor's runtime starts waits in the kernel's queue as for a native model,
  // and is not refused; not for ever, though.
  bool held = succeeds && plane.starts();
  const std::int64_t held_until = clock.mono_ns() + kMostHeldNs;
  if (held) plane.server().set_accepting(false);
  std::vector<net::ListenerFd> kept;
  bool draining = false;
  plane.server().every(50, [&] {
    if (held && (!plane.starts() || clock.mono_ns() >= held_until)) {
      held = false;
      plane.server().set_accepting(true);
    }
    if (!stop.load(std::memory_order_relaxed) || draining) return;
    draining = true;
    // The sockets stay open past the server: what connects from now on waits for the successor.
    if (successor.load(std::memory_order_relaxed)) {
      for (const net::ListenerFd& listener : plane.server().listener_fds())
        kept.push_back({listener.name, ::fcntl(listener.fd, F_DUPFD_CLOEXEC, 0)});
    }
    plane.server().drain(drain_ms);
  });
  log::info("data plane on port {}, gRPC on {}", plane.port(), plane.grpc_port());
  plane.run();
  return kept;
}

}  // namespace heddle::serve
