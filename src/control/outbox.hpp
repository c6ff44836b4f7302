#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "doc/value.hpp"
#include "spec/monitor.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// Notifications on their way to webhooks. `put` writes a row; a thread of its own posts it,
/// signed, with growing pauses, and removes it when the receiver answered 2xx or the attempts are
/// used up (that is logged). At least once: a receiver tells repeats apart by
/// `Heddle-Notification`, the id. The signature is `Heddle-Signature: sha256=HEX`, HMAC-SHA256 of
/// the body. Thread-safe.
class Outbox {
 public:
  /// Who is told what happens to a service, by its name.
  using Receivers = std::map<std::string, std::vector<spec::Notification>>;
  /// Secrets are resolved at each use. Starts the thread.
  [[nodiscard]] static Result<std::unique_ptr<Outbox>> open(store::State& state,
                                                            Receivers receivers);
  virtual ~Outbox() = default;
  /// Writes the row in the transaction of what it tells of: it is told if that happened, and only
  /// then. `id` names this very notification: one that was put before is not sent again. `payload`
  /// is an object; its `service` says whose receivers take it.
  [[nodiscard]] virtual Result<void> put(store::Txn& txn, const std::string& id,
                                         const doc::Value& payload) = 0;
  /// Call it once that transaction has committed: what was put is sent now.
  virtual void wake() = 0;
};

}  // namespace heddle::control
