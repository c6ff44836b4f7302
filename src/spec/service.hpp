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
  std::size_t connections_per_address = 1024;
  std::int64_t drain_ms = 5'000;           ///< how long requests in flight may take when the data plane ends or is replaced
  std::uint32_t requests_per_second = 0;   ///< of one account; past it 429; 0: no limit
};

/// PEM files, relative to the project. Empty: no TLS.
struct ServiceTls {
  std::string certificate;   ///< the chain, leaf first
  std::string key;
  std::string client_ca;     ///< set: a client must show a certificate that one of these signed
};

struct Service {
  Identity identity;
  std::string model;
  std::string monitor;
  std::vector<std::string> sources;    ///< declared; a request that names none is from `default`
  std::string host = "127.0.0.1";
  int port = 8000;
  int grpc_port = 8001;                ///< -1: no gRPC; 0: any free one
  ServiceTls tls;
  ServiceLimits limits;
  std::string autonomy = "observe";    ///< observe, propose, act
  std::uint32_t readmit_after = 5;     ///< clean rows in a row that let a quarantined source in again
};

}  // namespace heddle::spec
