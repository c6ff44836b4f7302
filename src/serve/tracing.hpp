#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/clock.hpp"
#include "net/http.hpp"
#include "serve/answer.hpp"
#include "serve/metrics.hpp"
#include "telemetry/tracer.hpp"

namespace heddle::serve {

/// The span of the request being handled. Without a tracer every call is a comparison. Knows no
/// protocol but the two headers of Trace Context, which are metadata of gRPC too. Confined to the
/// serving thread.
class RequestTracing {
 public:
  RequestTracing(telemetry::Tracer* tracer, const Clock& clock) : tracer_(tracer), clock_(clock) {}

  /// `name`: of the span, with the placeholders of the path.
  void begin(std::string_view name, std::span<const net::Header> headers);
  void answered(const Answer& answer, const Stages& stages_ns);
  /// `took_ns`: since the request was there; `grpc_status` of a gRPC call. The value of the
  /// `traceparent` that the response carries; empty: none.
  [[nodiscard]] std::string end(int status, std::int64_t took_ns,
                                int grpc_status = telemetry::RequestSpan::kNoGrpc);

 private:
  telemetry::Tracer* tracer_;  ///< outlives this; nullptr: no traces
  const Clock& clock_;
  bool active_ = false;  ///< sampled
  bool called_ = false;  ///< the request came with a parent
  telemetry::RequestSpan span_;
  std::string state_;  ///< of several headers
};

}  // namespace heddle::serve
