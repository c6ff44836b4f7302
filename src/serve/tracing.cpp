#include "serve/tracing.hpp"

namespace heddle::serve {

void RequestTracing::begin(std::string_view name, std::span<const net::Header> headers) {
  active_ = called_ = false;
  if (tracer_ == nullptr) return;
  std::string_view parent, state;
  int parents = 0;
  for (const net::Header& header : headers) {
    if (net::same_token(header.name, "traceparent")) {
      parent = header.value;
      ++parents;
    } else if (net::same_token(header.name, "tracestate")) {
      if (state.empty()) {
        state = header.value;
      } else {
        state_ = std::string(state) + "," + std::string(header.value);
        state = state_;
      }
    }
  }
  if (parents != 1) parent = {};  // two say nothing
  tracer_->begin(parent, state, span_);
  called_ = span_.parent != telemetry::SpanId{};
  active_ = span_.self.sampled;
  if (active_) span_.name = name;
}

void RequestTracing::answered(const Answer& answer, const Stages& stages_ns) {
  if (!active_) return;
  span_.stages_ns = stages_ns;
  span_.bundle = answer.by.bundle;
  span_.slot = answer.by.slot;
  span_.route_version = answer.by.route_version;
  span_.rows = static_cast<std::uint32_t>(answer.rows.size());
  for (const auto& row : answer.rows) {
    span_.refused +=
        row.outcome == plane::RowOutcome::kRefused || row.outcome == plane::RowOutcome::kQuarantined
            ? 1
            : 0;
  }
}

std::string RequestTracing::end(int status, std::int64_t took_ns, int grpc_status) {
  if (active_) {
    span_.status = status;
    span_.grpc_status = grpc_status;
    span_.ended_ns = clock_.wall() * 1000;
    span_.begun_ns = span_.ended_ns - took_ns;
    tracer_->submit(span_);
    active_ = false;
  }
  return called_ ? telemetry::to_traceparent(span_.self) : std::string{};
}

}  // namespace heddle::serve
