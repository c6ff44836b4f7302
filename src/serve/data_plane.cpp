#include "serve/serve.hpp"

#include <fmt/format.h>

#include "base/log.hpp"
#include "net/server.hpp"
#include "plane/journal.hpp"
#include "serve/engine.hpp"
#include "serve/http_api.hpp"
#include "serve/serving.hpp"
#include "serve/tokens.hpp"

namespace heddle::serve {
namespace {

constexpr std::int64_t kTickMs = 1000;

/// The parts put together: server, engine, surfaces, follower.
class Plane final : public DataPlane {
 public:
  explicit Plane(Options options) : options_(std::move(options)), tokens_(options_.tokens) {}

  ~Plane() override {
    follower_.reset();  // it posts to the server
    if (journal_ != nullptr) (void)journal_->sync();
  }

  Result<void> open();
  void run() override { server_->run(); }
  void stop() override { server_->stop(); }
  [[nodiscard]] int port() const override { return server_->port(); }
  [[nodiscard]] net::HttpServer& server() noexcept { return *server_; }

 private:
  [[nodiscard]] Result<void> open_server();
  [[nodiscard]] Metrics::Gauges gauges() const;

  Options options_;
  Tokens tokens_;
  std::unique_ptr<plane::JournalWriter> journal_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<telemetry::Tracer> tracer_;
  std::unique_ptr<HttpApi> http_;
  std::unique_ptr<net::HttpServer> server_;
  std::unique_ptr<RouteFollower> follower_;
};

Result<void> Plane::open() {
  const std::string& name = options_.service.identity.name;
  const std::string spool = fmt::format("{}/spool/{}", options_.heddle_dir, name);
  plane::Standing standing;
  if (auto known = plane::standing_acts(spool); known.ok()) {
    standing = std::move(*known);
  } else {
    log::error("{}; acts of this data plane before its start are not known", known.error().str());
  }
  HEDDLE_ASSIGN_OR_RETURN(journal_, plane::JournalWriter::open({.dir = spool, .fields = {}, .max_bytes = options_.spool_bytes}));
  engine_ = std::make_unique<Engine>(Engine::Options{.service = &options_.service, .clock = options_.clock, .journal = journal_.get(),
                                                     .lockstep = options_.lockstep, .accounts = tokens_.size()}, standing);
  if (const spec::Traces& traces = options_.service.telemetry.traces; !traces.endpoint.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(tracer_, telemetry::Tracer::open({.endpoint = traces.endpoint, .service = name, .share = traces.share}));
  }
  http_ = std::make_unique<HttpApi>(HttpApi::Options{.engine = engine_.get(), .tokens = &tokens_, .service = &options_.service, .clock = options_.clock,
                                                     .gauges = [this] { return gauges(); }, .tracer = tracer_.get()});
  HEDDLE_TRY(open_server());
  RouteFollower::Options follow;
  follow.directory = options_.heddle_dir + "/routes";
  follow.service = name;
  follow.key = options_.control_key;
  follow.objects = options_.objects;
  follow.ready = [this](std::shared_ptr<const Serving> next) { server_->post([this, next = std::move(next)] { engine_->apply(next); }); };
  HEDDLE_ASSIGN_OR_RETURN(follower_, RouteFollower::start(std::move(follow)));
  return {};
}

Result<void> Plane::open_server() {
  const spec::ServiceLimits& limits = options_.service.limits;
  net::HttpServer::Options http;
  http.host = options_.service.host;
  http.port = options_.service.port;
  http.limits = {.header_bytes = limits.header_bytes, .body_bytes = limits.body_bytes, .read_timeout_ms = limits.read_timeout_ms,
                 .idle_timeout_ms = limits.idle_timeout_ms, .connections = limits.connections};
  http.clock = options_.clock;
  http.handler = [this](const net::Request& request, net::Response& response) { http_->handle(request, response); };
  http.after_turn = [this] { engine_->commit(); };
  HEDDLE_ASSIGN_OR_RETURN(server_, net::HttpServer::open(std::move(http)));
  server_->every(kTickMs, [this] { engine_->each_second(); });
  return {};
}

Metrics::Gauges Plane::gauges() const {
  return {engine_->ready(), engine_->stopped(), engine_->acts().failed_over(), engine_->applied_version(), follower_->refused(), engine_->dropped(), server_->connections()};
}

}  // namespace

Result<std::unique_ptr<DataPlane>> DataPlane::open(Options options) {
  auto plane = std::make_unique<Plane>(std::move(options));
  HEDDLE_TRY(plane->open());
  return std::unique_ptr<DataPlane>(std::move(plane));
}

Result<void> run(Options options, const std::atomic<bool>& stop) {
  Plane plane(std::move(options));
  HEDDLE_TRY(plane.open());
  plane.server().every(50, [&] {
    if (stop.load(std::memory_order_relaxed)) plane.stop();
  });
  log::info("data plane on port {}", plane.port());
  plane.run();
  return {};
}

}  // namespace heddle::serve
