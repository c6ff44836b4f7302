#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "spec/identity.hpp"

namespace heddle::spec {

struct ServiceLimits {
  std::size_t body_bytes = 4 << 20;
  std::size_t batch_rows = 1024;
  std::size_t header_bytes = 16 << 10;
  std::int64_t read_timeout_ms = 10'000;  ///< for a whole request from its first byte
  std::int64_t idle_timeout_ms = 60'000;
  std::size_t connections = 4096;
  std::int64_t queue_ms = 20;  ///< how long a predict request may wait for its turn while a queue
                               ///< stands; past it, it is shed with 503
  std::size_t connections_per_address = 1024;
  std::int64_t drain_ms =
      5'000;  ///< how long requests in flight may take when the data plane ends or is replaced
  std::int64_t batch_ms = 5;  ///< with a runtime: what a batch of several requests may take
  std::size_t queue_rows =
      4096;  ///< with a runtime: rows that may wait for it; past it requests are shed with 503
  std::uint32_t requests_per_second = 0;  ///< of one account; past it 429; 0: no limit
};

/// PEM files, relative to the project. Empty: no TLS.
struct ServiceTls {
  std::string certificate;  ///< the chain, leaf first
  std::string key;
  std::string client_ca;  ///< set: a client must show a certificate that one of these signed
};

/// When a canary is worse than its baseline, and how sure one must be. Shares are of 1.
struct JudgementRules {
  std::int64_t minimum_rows = 500;  ///< of each cohort, before a step is judged good
  double error_rate =
      0.01;  ///< chance that a canary which is no worse is judged bad, over all its steps
  double failed_share = 0.01;   ///< by which more requests may fail
  double refused_share = 0.02;  ///< by which more requests may have a refused row
  double latency_ratio = 1.5;   ///< by which the median and the 99th percentile may be longer
  double score_shift =
      0.2;  ///< largest distance of the score distributions (Kolmogorov-Smirnov); 1: any
  double disagreement =
      0.1;  ///< by which the distance from the shadow's or standby's score may be larger; 1: any
  double loss = 0.01;  ///< by which the squared error against labels may be larger
};

/// How a canary takes over.
struct CanaryRules {
  std::vector<std::uint32_t> steps{100, 500,
                                   2'500};  ///< shares of the requests in ten-thousandths, rising
  Micros interval = 10 * kMinute;           ///< of event time between judgements
  Micros patience =
      2 * kHour;         ///< of event time without a good or bad one, before a person is asked
  std::string sticky{};  ///< `source`, `header:NAME`, `field:NAME`; empty: each request for itself
  std::string header{};
  std::string header_value{};
  JudgementRules judgement{};
};

/// What is kept of every request (docs/formats/access-log.md).
struct AccessLog {
  std::uint64_t bytes =
      512ull << 20;     ///< of the log; past it the oldest segments go; 0: no access log
  bool fields = false;  ///< the values of the request fields too
};

/// Where spans of requests go: an OpenTelemetry collector, OTLP/HTTP with JSON.
struct Traces {
  std::string
      endpoint{};  ///< `http://host:port/v1/traces`; empty: no traces, nothing is sent anywhere
  double share = 0.01;  ///< of the requests that come without a trace of their caller's
};

struct Telemetry {
  Traces traces;
};

struct Service {
  Identity identity;
  std::string model;
  std::string monitor;
  std::vector<std::string> sources;  ///< declared; a request that names none is from `default`
  std::string host = "127.0.0.1";
  std::vector<std::string>
      hosts;  ///< further names clients may call it by: `models.example.com`, `*.example.com`
  int port = 8000;
  int grpc_port = 8001;  ///< -1: no gRPC; 0: any free one
  ServiceTls tls;
  ServiceLimits limits;
  std::string autonomy = "observe";  ///< observe, propose, act
  AccessLog access_log;
  Telemetry telemetry;
  std::uint32_t readmit_after = 5;  ///< clean rows in a row that let a quarantined source in again
  CanaryRules canary{};
};

}  // namespace heddle::spec
