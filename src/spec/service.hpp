#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "spec/identity.hpp"

namespace heddle::spec {

struct ServiceLimits {
  std::size_t body_bytes = 4 << 20;
  std::size_t batch_rows = 1024;
  std::size_t header_bytes = 16 << 10;
  std::int64_t read_timeout_ms = 10'000;   ///< for a whole request from its first byte
  std::int64_t idle_timeout_ms = 60'000;
  std::size_t connections = 4096;
  std::int64_t queue_ms = 20;              ///< how long a predict request may wait for its turn; past it, it is shed with 503
  std::uint32_t requests_per_second = 0;   ///< of one account; past it 429; 0: no limit
};

/// What is kept of every request (docs/formats/access-log.md).
struct AccessLog {
  std::uint64_t bytes = 512ull << 20;      ///< of the log; past it the oldest segments go; 0: no access log
  bool fields = false;                     ///< the values of the request fields too
};

/// Where spans of requests go: an OpenTelemetry collector, OTLP/HTTP with JSON.
struct Traces {
  std::string endpoint{};                  ///< `http://host:port/v1/traces`; empty: no traces, nothing is sent anywhere
  double share = 0.01;                     ///< of the requests that come without a trace of their caller's
};

struct Telemetry {
  Traces traces;
};

struct Service {
  Identity identity;
  std::string model;
  std::string monitor;
  std::vector<std::string> sources;    ///< declared; a request that names none is from `default`
  std::string host = "127.0.0.1";
  int port = 8000;
  ServiceLimits limits;
  std::string autonomy = "observe";    ///< observe, propose, act
  AccessLog access_log;
  Telemetry telemetry;
  std::uint32_t readmit_after = 5;     ///< clean rows in a row that let a quarantined source in again
};

}  // namespace heddle::spec
