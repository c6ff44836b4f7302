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
  std::int64_t batch_ms = 5;               ///< with a runtime: what a batch of several requests may take
  std::size_t queue_rows = 4096;           ///< with a runtime: rows that may wait for it; past it requests are shed with 503
  std::uint32_t requests_per_second = 0;   ///< of one account; past it 429; 0: no limit
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
  std::uint32_t readmit_after = 5;     ///< clean rows in a row that let a quarantined source in again
};

}  // namespace heddle::spec
