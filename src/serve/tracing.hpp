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

/// The span of the request being handled. Without a tracer every call is a comparison. Knows no protocol but the two headers of Trace
/// Context. Confined to the serving thread.
class RequestTracing {
 public:
  RequestTracing(telemetry::Tracer* tracer, const Clock& clock) : tracer_(tracer), clock_(clock) {}

  /// `name`: of the span, a literal with the placeholders of the path.
  void begin(std::string_view name, std::span<const net::Header> headers);
  void stage(Stage stage, std::int64_t ns) noexcept {
    if (active_) span_.stages_ns[static_cast<std::size_t>(stage)] = ns;
  }
  void answered(const Answer& answer);
  /// `took_ns`: since the request was there. The value of the `traceparent` that the response carries; empty: none.
  [[nodiscard]] std::string end(int status, std::int64_t took_ns);

 private:
  telemetry::Tracer* tracer_;   ///< outlives this; nullptr: no traces
  const Clock& clock_;
  bool active_ = false;         ///< sampled
  bool called_ = false;         ///< the request came with a parent
  telemetry::RequestSpan span_;
  std::string state_;           ///< of several headers
};

}  // namespace heddle::serve
