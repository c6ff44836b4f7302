#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/signature.hpp"
#include "net/handover.hpp"
#include "plane/journal.hpp"
#include "spec/service.hpp"
#include "store/store.hpp"

namespace heddle::serve {

/// A bearer token and what it may do: `predict`, `label`, `replay`, `read`, `stop`. Deny by
/// default.
struct Token {
  std::string account;
  std::string secret;
  std::vector<std::string> permissions;
  std::vector<std::string> sources{};  ///< that it may name; empty: any that the service declares
};

/// What a service account may do.
struct Right {
  std::vector<std::string> permissions;
  std::vector<std::string> sources{};  ///< as of `Token`
};
/// What each service account may do now; one that is not named is none any more.
using Rights = std::map<std::string, Right>;

struct Options {
  std::string heddle_dir;  ///< `<project>/.heddle`: routes/<service>.json, spool/<service>/
  spec::Service service;
  store::Objects* objects = nullptr;  ///< used from a loading thread; outlives the data plane
  Ed25519Public control_key{};        ///< route tables must be signed by it
  std::vector<Token> tokens;
  std::string socket{};  ///< of the project's owner, for a stop that waits for nobody; empty: none
  /// Asked several times a second by the serving thread: the rights that count now, null while they
  /// are those of `tokens`. Quick, and safe to call from any thread.
  std::function<std::shared_ptr<const Rights>()> rights{};
  bool lockstep = false;  ///< ticks come over HTTP only; else one each second from the clock
  const Clock* clock = &system_clock();
  std::uint64_t spool_bytes = plane::kJournalBytes;
  std::vector<net::ListenerFd> listeners{};  ///< of a predecessor, used instead of making new ones
};

/// The data plane of one service (DESIGN 4): answers by the route table, journals every answer
/// before it leaves, fails over when it was authorised to, and needs no control plane to go on.
/// `run` serves on the calling thread; loading and fsync have threads of their own.
class DataPlane {
 public:
  /// Binds the port and opens the journal. kConflict when the port is in use. A route table or
  /// bundle that cannot be used yet is no error: the service is live but not ready until one can.
  [[nodiscard]] static Result<std::unique_ptr<DataPlane>> open(Options options);
  virtual ~DataPlane() = default;
  virtual void run() = 0;
  virtual void stop() = 0;  ///< thread- and signal-safe: `run` returns
  [[nodiscard]] virtual int port() const = 0;
  [[nodiscard]] virtual int grpc_port() const = 0;  ///< 0: none
};

/// `open` and `run` until `stop` becomes true (a signal handler sets it), then requests in flight
/// are finished (`limits.drain_ms`). With `successor` true by then, the listening sockets are given
/// back open, for it; else they are closed and nothing more connects.
[[nodiscard]] Result<std::vector<net::ListenerFd>> run(Options options,
                                                       const std::atomic<bool>& stop,
                                                       const std::atomic<bool>& successor);

}  // namespace heddle::serve
