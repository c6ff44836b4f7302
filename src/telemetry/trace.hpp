#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace heddle::telemetry {

using TraceId = std::array<std::uint8_t, 16>;
using SpanId = std::array<std::uint8_t, 8>;

/// Who called, as the W3C Trace Context says (https://www.w3.org/TR/trace-context/, level 1).
struct TraceParent {
  TraceId trace{};
  SpanId span{};
  bool sampled = false;
};

/// Reads `traceparent` strictly: lower-case hex, no zero ids, version `ff` refused; of a later
/// version the known part, if `-` or nothing follows it. nullopt: the caller begins a new trace.
[[nodiscard]] std::optional<TraceParent> parse_traceparent(std::string_view header) noexcept;
/// Whether `tracestate` is well-formed: at most 32 members of `key=value` and 512 characters. What
/// is not is left out, the parent stays.
[[nodiscard]] bool valid_tracestate(std::string_view header) noexcept;
/// `00-<trace>-<span>-<flags>`.
[[nodiscard]] std::string to_traceparent(const TraceParent& parent);

[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);

}  // namespace heddle::telemetry
