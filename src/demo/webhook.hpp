#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "base/result.hpp"
#include "doc/value.hpp"
#include "net/server.hpp"

namespace heddle::demo {

/// Receives notifications on a free port of 127.0.0.1, in a thread of its own. Checks
/// `Heddle-Signature: sha256=HEX`, the HMAC-SHA256 of the body; a notification with a wrong one is
/// refused and counted. Repeats (`Heddle-Notification`) are answered and told once.
class WebhookReceiver {
 public:
  /// `on_notification` is called from the receiver's thread.
  [[nodiscard]] static Result<std::unique_ptr<WebhookReceiver>> open(
      std::string secret, std::function<void(const doc::Value&)> on_notification);
  ~WebhookReceiver();

  [[nodiscard]] std::string url() const;
  [[nodiscard]] std::int64_t received() const noexcept { return received_; }
  [[nodiscard]] std::int64_t forged() const noexcept { return forged_; }

 private:
  WebhookReceiver(std::string secret, std::function<void(const doc::Value&)> on_notification);
  void handle(const net::Request& request, net::Response& response);

  std::string secret_;
  std::function<void(const doc::Value&)> on_notification_;
  std::set<std::string> seen_;
  std::atomic<std::int64_t> received_ = 0;
  std::atomic<std::int64_t> forged_ = 0;
  std::unique_ptr<net::HttpServer> server_;
  std::thread thread_;
};

}  // namespace heddle::demo
