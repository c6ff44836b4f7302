#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "telemetry/trace.hpp"

namespace heddle::telemetry {

/// The children of a request's span, in the order in which they happen.
inline constexpr std::array<std::string_view, 4> kStageNames = {"queue", "read", "score", "write"};

/// One request of the data plane on its way into a trace: no values of rows, nor who asked. Kept
/// and reused by the tracer.
struct RequestSpan {
  TraceParent self{};
  SpanId parent{};            ///< zero: the trace begins here
  std::string state{};        ///< `tracestate`, handed on
  std::int64_t begun_ns = 0;  ///< since 1970
  std::int64_t ended_ns = 0;
  std::array<std::int64_t, 4> stages_ns{};  ///< durations; zero: not reached
  std::string name{};  ///< `POST /v2/models/{m}/infer`; of gRPC `SERVICE/METHOD`
  std::string bundle{};
  std::string slot{};
  std::uint64_t route_version = 0;
  std::uint32_t rows = 0;
  std::uint32_t refused = 0;  ///< by contract or quarantine
  int status = 0;             ///< of HTTP; what it would be there, of gRPC
  static constexpr int kNoGrpc = -1;
  int grpc_status = kNoGrpc;
};

/// Sends spans to an OpenTelemetry collector: OTLP/HTTP with JSON, in batches, from a thread of its
/// own. `submit` never waits: it writes into a ring of 4,096 places, and what finds none is dropped
/// and counted. A batch that the collector could not take (429, 502, 503, 504, no connection) is
/// tried again with growing pauses, five times in all; then it is dropped and counted too. One
/// thread submits.
class Tracer {
 public:
  struct Options {
    std::string endpoint;  ///< `http://host:port/v1/traces`
    std::string service;
    double share = 0.01;                ///< of the requests that come without a parent
    std::int64_t every_ms = 1000;       ///< a batch leaves at least so often
    std::int64_t first_pause_ms = 500;  ///< after a failure; doubles
  };
  /// kInvalid when the endpoint is no URL that is spoken. Nobody listening there is no error.
  [[nodiscard]] static Result<std::unique_ptr<Tracer>> open(Options options);
  virtual ~Tracer() = default;  ///< what is waiting is sent once, for at most two seconds

  /// The span of a request that came with these headers (empty: without). Its `self.sampled` says
  /// whether to fill it in and submit it: the parent's flag, or without one the draw.
  virtual void begin(std::string_view traceparent, std::string_view tracestate,
                     RequestSpan& out) = 0;
  virtual void submit(const RequestSpan& span) = 0;

  struct Counts {
    std::uint64_t exported =
        0;  ///< request spans that a collector took; their children are not counted
    std::uint64_t dropped = 0;
  };
  [[nodiscard]] virtual Counts counts() const = 0;  ///< thread-safe
};

}  // namespace heddle::telemetry
