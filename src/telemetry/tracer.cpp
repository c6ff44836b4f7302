#include "telemetry/tracer.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "base/log.hpp"
#include "doc/json.hpp"
#include "net/client.hpp"

namespace heddle::telemetry {
namespace {

constexpr std::size_t kPlaces = 4096;
constexpr std::size_t kBatch = 512;
constexpr int kTries = 5;
constexpr std::int64_t kSendTimeoutMs = 3000;
constexpr std::int64_t kLastTimeoutMs = 2000;

doc::Value text(std::string_view key, std::string_view value) {
  return doc::Value::object(
      {{"key", key}, {"value", doc::Value::object({{"stringValue", value}})}});
}
/// 64-bit integers are strings in protobuf's JSON.
doc::Value integer(std::string_view key, std::uint64_t value) {
  return doc::Value::object(
      {{"key", key}, {"value", doc::Value::object({{"intValue", std::to_string(value)}})}});
}

/// One producer, one consumer, no lock.
class Ring {
 public:
  Ring() : places_(kPlaces) {}

  bool push(const RequestSpan& span) {
    const auto head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) == kPlaces) return false;
    places_[head % kPlaces] = span;  // its texts keep their memory
    head_.store(head + 1, std::memory_order_release);
    return true;
  }
  [[nodiscard]] std::size_t size() const noexcept {
    return head_.load(std::memory_order_acquire) - tail_.load(std::memory_order_acquire);
  }
  /// The i-th oldest; valid until it is popped.
  [[nodiscard]] const RequestSpan& at(std::size_t i) const noexcept {
    return places_[(tail_.load(std::memory_order_relaxed) + i) % kPlaces];
  }
  void pop(std::size_t n) noexcept {
    tail_.store(tail_.load(std::memory_order_relaxed) + n, std::memory_order_release);
  }

 private:
  std::vector<RequestSpan> places_;
  std::atomic<std::size_t> head_{0};
  std::atomic<std::size_t> tail_{0};
};

class OtlpTracer final : public Tracer {
 public:
  OtlpTracer(Options options, net::Url url)
      : options_(std::move(options)), url_(std::move(url)), client_(client_options(url_)) {
    std::random_device seed;
    std::seed_seq mix{seed(), seed(), seed(), seed(), seed(), seed(), seed(), seed()};
    random_.seed(mix);
    child_random_.seed((static_cast<std::uint64_t>(seed()) << 32) | seed());
    thread_ = std::thread([this] { run(); });
  }

  ~OtlpTracer() override {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void begin(std::string_view traceparent, std::string_view tracestate, RequestSpan& out) override {
    out.parent = {};
    out.state.clear();
    out.stages_ns = {};
    out.bundle.clear();
    out.slot.clear();
    out.route_version = out.rows = out.refused = 0;
    // Whoever began the trace has decided whether it is recorded.
    if (const auto parent = parse_traceparent(traceparent)) {
      out.self.trace = parent->trace;
      out.self.sampled = parent->sampled;
      out.parent = parent->span;
      if (valid_tracestate(tracestate)) out.state = tracestate;
    } else {
      fill(out.self.trace, random_);
      // The last seven bytes are the draw: every service with the same share takes the same traces
      // (OpenTelemetry, TraceIdRatioBased).
      std::uint64_t draw = 0;
      for (std::size_t i = 9; i < 16; ++i) draw = draw << 8 | out.self.trace[i];
      out.self.sampled = static_cast<double>(draw) < options_.share * 0x1p56;
    }
    fill(out.self.span, random_);
  }

  void submit(const RequestSpan& span) override {
    // A request never waits for a collector.
    if (!ring_.push(span)) dropped_.fetch_add(1, std::memory_order_relaxed);
    // Once on the way up, and not with every span.
    if (ring_.size() == kPlaces / 2) wake_.notify_one();
  }

  [[nodiscard]] Counts counts() const override {
    return {exported_.load(std::memory_order_relaxed), dropped_.load(std::memory_order_relaxed)};
  }

 private:
  static net::HttpClient::Options client_options(const net::Url& url) {
    net::HttpClient::Options options;
    options.host = url.host;
    options.port = url.port;
    options.timeout_ms = kSendTimeoutMs;
    options.max_response = 1 << 20;
    return options;
  }

  template <std::size_t N, class Random>
  static void fill(std::array<std::uint8_t, N>& out, Random& random) {
    static_assert(N % 8 == 0);
    do {
      for (std::size_t i = 0; i < N; i += 8) {
        std::uint64_t bits = random();
        for (std::size_t k = 0; k < 8; ++k, bits >>= 8)
          out[i + k] = static_cast<std::uint8_t>(bits);
      }
      // All zeros stand for "no id" in W3C's format.
    } while (out == std::array<std::uint8_t, N>{});
  }

  /// False: it is time to end.
  bool wait(std::int64_t ms) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::milliseconds(ms),
                   [&] { return ending_ || ring_.size() >= kPlaces / 2; });
    return !ending_;
  }
  /// A pause between tries is not cut short by a full ring.
  bool pause(std::int64_t ms) {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, std::chrono::milliseconds(ms), [&] { return ending_; });
  }

  void run() {
    while (wait(options_.every_ms)) {
      while (ring_.size() > 0) {
        if (!send_batch()) break;
      }
    }
    // The last words: one try each, for a bounded time.
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kLastTimeoutMs);
    while (ring_.size() > 0 && std::chrono::steady_clock::now() < until) {
      const std::size_t n = std::min(ring_.size(), kBatch);
      settle(n, post(batch_of(n), kLastTimeoutMs) == Sent::kTaken);
    }
    dropped_.fetch_add(ring_.size(), std::memory_order_relaxed);
  }

  enum class Sent { kTaken, kLater, kNever };

  Sent post(const std::string& body, std::int64_t timeout_ms) {
    const auto reply =
        client_.send("POST", url_.target, body, {{"Content-Type", "application/json"}}, timeout_ms);
    if (!reply.ok()) return Sent::kLater;
    if (reply->status >= 200 && reply->status < 300) return Sent::kTaken;
    const bool later = reply->status == 429 || reply->status == 502 || reply->status == 503 ||
                       reply->status == 504;
    return later ? Sent::kLater : Sent::kNever;
  }

  /// False when the end interrupted it; what was not sent is still in the ring.
  bool send_batch() {
    const std::size_t n = std::min(ring_.size(), kBatch);
    const std::string body = batch_of(n);
    std::int64_t ms = options_.first_pause_ms;
    for (int attempt = 1;; ++attempt) {
      const Sent sent = post(body, kSendTimeoutMs);
      // What a collector refuses it refuses again; what it is too busy for may be taken later.
      if (sent == Sent::kTaken || sent == Sent::kNever || attempt == kTries) {
        settle(n, sent == Sent::kTaken);
        return true;
      }
      // Between half and the whole pause, so that many replicas do not come back at once.
      if (!pause(ms / 2 + static_cast<std::int64_t>(child_random_() %
                                                    static_cast<std::uint64_t>(ms / 2 + 1))))
        return false;
      ms *= 2;
    }
  }

  void settle(std::size_t n, bool taken) {
    ring_.pop(n);
    (taken ? exported_ : dropped_).fetch_add(n, std::memory_order_relaxed);
    if (taken == failing_) {
      failing_ = !taken;
      if (failing_)
        log::warn("traces: the collector `{}` does not take spans; they are dropped and counted",
                  options_.endpoint);
      else
        log::info("traces: the collector `{}` takes spans again", options_.endpoint);
    }
  }

  doc::Value span_of(const RequestSpan& span, std::string_view name, const SpanId& id,
                     const SpanId& parent, int kind, std::int64_t from, std::int64_t to) const {
    auto out = doc::Value::object({{"traceId", to_hex(span.self.trace)}, {"spanId", to_hex(id)}});
    if (!span.state.empty()) out.set("traceState", span.state);
    if (parent != SpanId{}) out.set("parentSpanId", to_hex(parent));
    out.set("flags", 1);
    out.set("name", name);
    out.set("kind", kind);
    out.set("startTimeUnixNano", std::to_string(from));
    out.set("endTimeUnixNano", std::to_string(to));
    return out;
  }

  std::string batch_of(std::size_t n) {
    constexpr int kServer = 2, kInternal = 1, kError = 2;
    auto spans = doc::Value::array();
    for (std::size_t i = 0; i < n; ++i) {
      const RequestSpan& span = ring_.at(i);
      auto server = span_of(span, span.name, span.self.span, span.parent, kServer, span.begun_ns,
                            span.ended_ns);
      auto attributes = doc::Value::array({text("heddle.service", options_.service)});
      if (span.grpc_status == RequestSpan::kNoGrpc) {
        attributes.push(text("http.request.method", "POST"));
        attributes.push(
            integer("http.response.status_code", static_cast<std::uint64_t>(span.status)));
      } else {
        const std::size_t slash = span.name.find('/');
        attributes.push(text("rpc.system", "grpc"));
        attributes.push(text("rpc.service", std::string_view(span.name).substr(0, slash)));
        attributes.push(text("rpc.method", std::string_view(span.name).substr(slash + 1)));
        attributes.push(
            integer("rpc.grpc.status_code", static_cast<std::uint64_t>(span.grpc_status)));
      }
      if (!span.bundle.empty()) {
        attributes.push(text("heddle.bundle", span.bundle));
        attributes.push(text("heddle.slot", span.slot));
        attributes.push(integer("heddle.route_version", span.route_version));
        attributes.push(integer("heddle.rows", span.rows));
        attributes.push(integer("heddle.refused", span.refused));
      }
      server.set("attributes", std::move(attributes));
      if (span.status >= 500) server.set("status", doc::Value::object({{"code", kError}}));
      spans.push(std::move(server));
      std::int64_t at = span.begun_ns;
      for (std::size_t stage = 0; stage < kStageNames.size(); ++stage) {
        const std::int64_t took = span.stages_ns[stage];
        // A stage that the request did not come to.
        if (took <= 0) continue;
        SpanId id;
        fill(id, child_random_);
        spans.push(span_of(span, kStageNames[stage], id, span.self.span, kInternal, at, at + took));
        at += took;
      }
    }
    const auto scope = doc::Value::object(
        {{"scope", doc::Value::object({{"name", "heddle.serve"}})}, {"spans", std::move(spans)}});
    const auto resource = doc::Value::object(
        {{"attributes", doc::Value::array({text("service.name", options_.service),
                                           text("service.namespace", "heddle")})}});
    return doc::to_json(doc::Value::object(
        {{"resourceSpans",
          doc::Value::array({doc::Value::object(
              {{"resource", resource}, {"scopeSpans", doc::Value::array({scope})}})})}}));
  }

  Options options_;
  net::Url url_;
  net::HttpClient client_;        ///< of the sending thread
  std::mt19937_64 random_;        ///< of the submitting thread
  std::mt19937_64 child_random_;  ///< of the sending thread
  Ring ring_;
  std::atomic<std::uint64_t> exported_{0};
  std::atomic<std::uint64_t> dropped_{0};
  bool failing_ = false;
  std::mutex mutex_;  ///< never taken by `submit`
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Tracer>> Tracer::open(Options options) {
  HEDDLE_ASSIGN_OR_RETURN(auto url, net::parse_url(options.endpoint));
  if (url.target == "/") url.target = "/v1/traces";
  return std::unique_ptr<Tracer>(std::make_unique<OtlpTracer>(std::move(options), std::move(url)));
}

}  // namespace heddle::telemetry
