#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "loadgen/schedule.hpp"
#include "stats/latency_histogram.hpp"

namespace heddle::loadgen {

/// Where requests go and what they are. Bodies are sent in turn, from the first.
struct Target {
  std::string host = "127.0.0.1";
  int port = 0;
  std::string method = "POST";
  std::string path = "/";
  std::vector<std::pair<std::string, std::string>> headers{};  ///< besides Host and Content-Length
  std::vector<std::string> bodies{};                           ///< none: requests without a body
  bool allow_remote = false;  ///< else the host must be a loopback address
};

/// An answer as it came; views live during the call.
struct Answer {
  std::size_t connection =
      0;  ///< 0 to connections - 1; a connection that was lost and made again keeps its number
  std::uint64_t incarnation = 0;  ///< how often this connection was made before
  std::size_t body = 0;           ///< which of the target's bodies was sent
  int status = 0;
  std::string_view text{};
  std::int64_t intended_ns = 0;  ///< on the monotonic clock
  std::int64_t latency_ns = 0;   ///< from then to the whole answer
};

struct Options {
  Target target{};
  std::size_t connections = 8;
  std::size_t pipeline = 1;  ///< requests of one connection without an answer, at most
  bool closed = false;  ///< closed loop: a connection's next request leaves with its answer; `rate`
                        ///< is not used
  double rate = 1000;   ///< open loop: requests a second
  Arrival arrival = Arrival::kConstant;
  std::uint64_t seed = 1;
  std::int64_t warmup_ns = 1'000'000'000;     ///< sent like the rest, not counted
  std::int64_t duration_ns = 10'000'000'000;  ///< of what is counted
  std::int64_t timeout_ns =
      10'000'000'000;  ///< from the intended time: then the request is given up, and its connection
  std::int64_t slice_ns = 0;     ///< of the series over time; 0: a sixtieth of the duration
  std::int64_t start_at_ns = 0;  ///< of the first request on the monotonic clock, warm-up included;
                                 ///< 0: as soon as connected
  /// Called for every counted answer; false counts it as wrong. On the generator's thread: what it
  /// takes delays requests.
  std::function<bool(const Answer&)> inspect{};
};

/// A part of the time, by intended time.
struct Slice {
  std::uint64_t served = 0;
  std::uint64_t shed = 0;
  std::uint64_t failed = 0;  ///< everything else
  stats::LatencyHistogram served_ns{};
};

/// What became of the counted requests. Every scheduled request is in exactly one of `served`,
/// `shed`, `refused`, `malformed`, `timed_out`, `lost` and `unsent`; none is left out of the counts
/// because its server was slow.
struct Outcome {
  double seconds = 0;  ///< of the counted part, as scheduled (open) or as it took (closed)
  std::uint64_t scheduled = 0;
  std::uint64_t served = 0;     ///< 2xx
  std::uint64_t shed = 0;       ///< 429 and 503
  std::uint64_t refused = 0;    ///< any other status
  std::uint64_t malformed = 0;  ///< no HTTP; the connection is given up
  std::uint64_t timed_out = 0;  ///< sent, no answer within `timeout_ns`
  std::uint64_t lost = 0;       ///< sent, the connection ended before its answer
  std::uint64_t unsent = 0;     ///< never left: no connection had room for it in time
  std::uint64_t wrong =
      0;  ///< answers that `inspect` did not take; they are in their status' count too
  std::uint64_t connect_failures = 0;  ///< attempts; counted during warm-up too
  std::uint64_t reconnects = 0;        ///< connections made again; counted during warm-up too
  std::uint64_t warmup_failed = 0;     ///< requests of the warm-up that were not served
  std::array<std::uint64_t, 600> statuses{};

  stats::LatencyHistogram served_ns{};  ///< from the intended time
  stats::LatencyHistogram shed_ns{};    ///< from the intended time
  stats::LatencyHistogram every_ns{};   ///< every scheduled request; one without an answer counts
                                        ///< with the time it waited at least
  stats::LatencyHistogram served_sent_ns{};  ///< from when the request was handed to the connection
  stats::LatencyHistogram shed_sent_ns{};
  stats::LatencyHistogram late_ns{};  ///< from the intended time to that: the generator's own
                                      ///< lateness and the wait for room
  std::vector<Slice> slices{};
  std::int64_t slice_ns = 0;

  [[nodiscard]] std::uint64_t failed() const noexcept {
    return refused + malformed + timed_out + lost + unsent;
  }
  [[nodiscard]] double offered_rate() const noexcept {
    return seconds > 0 ? static_cast<double>(scheduled) / seconds : 0;
  }
  [[nodiscard]] double served_rate() const noexcept {
    return seconds > 0 ? static_cast<double>(served) / seconds : 0;
  }
};

/// Sends requests over `connections` keep-alive HTTP/1.1 connections from one epoll loop on the
/// calling thread and waits for their answers. Open loop: the schedule is fixed beforehand, a
/// request that finds no connection with room waits in the generator, and its latency counts from
/// its intended time. The loop spins in the last 80 us before a request is due: give it a core of
/// its own. kInvalid for options that make no sense, kDenied for a remote host without
/// `allow_remote`, kUnavailable when no connection can be made at the start; failures later are
/// counted, not errors.
[[nodiscard]] Result<Outcome> run(const Options& options);

}  // namespace heddle::loadgen
