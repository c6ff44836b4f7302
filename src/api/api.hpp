#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "control/control.hpp"

namespace heddle::api {

/// Whose token it is. What the account may do is asked of `Control::permissions_of` at each
/// request: it follows what is applied.
struct Account {
  std::string name;
  std::string token;
};

struct Options {
  control::Control* control = nullptr;  ///< borrowed; used from the serving thread only
  std::string socket;  ///< Unix socket, made 0600: a caller of the same user (or root) that knows
                       ///< the secret is the owner
  std::string secret_path;  ///< where the owner's secret is; made here, 0600
  int port = 8010;          ///< TCP on loopback, bearer tokens; 0: none
  std::vector<Account> accounts;
};

/// Serves the control plane's operations as `POST /v1/ops/NAME` (JSON in, JSON out) and drives its
/// pump, on the calling thread, until `stop` becomes true. Errors answer {"error", "id", "kind",
/// "hint"} with the status of their kind; nothing but `GET /health` answers without a credential.
/// kConflict when the port or the socket is in use.
[[nodiscard]] Result<void> serve(const Options& options, const std::atomic<bool>& stop);

}  // namespace heddle::api
