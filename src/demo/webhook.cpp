#include "demo/webhook.hpp"

#include <fmt/format.h>

#include "base/encoding.hpp"
#include "base/signature.hpp"
#include "doc/json.hpp"

namespace heddle::demo {

WebhookReceiver::WebhookReceiver(std::string secret,
                                 std::function<void(const doc::Value&)> on_notification)
    : secret_(std::move(secret)), on_notification_(std::move(on_notification)) {}

Result<std::unique_ptr<WebhookReceiver>> WebhookReceiver::open(
    std::string secret, std::function<void(const doc::Value&)> on_notification) {
  std::unique_ptr<WebhookReceiver> receiver(
      new WebhookReceiver(std::move(secret), std::move(on_notification)));
  net::HttpServer::Options options;
  options.host = "127.0.0.1";
  options.handler = [self = receiver.get()](const net::Request& request, net::Response& response) {
    self->handle(request, response);
  };
  HEDDLE_ASSIGN_OR_RETURN(receiver->server_, net::HttpServer::open(std::move(options)));
  receiver->thread_ = std::thread([server = receiver->server_.get()] { server->run(); });
  return receiver;
}

WebhookReceiver::~WebhookReceiver() {
  // `open` failed before the thread began: there is no server to stop.
  if (!thread_.joinable()) return;
  server_->stop();
  thread_.join();
}

std::string WebhookReceiver::url() const {
  return fmt::format("http://127.0.0.1:{}/notifications", server_->port());
}

void WebhookReceiver::handle(const net::Request& request, net::Response& response) {
  // The signature covers the body as it came, and is checked first: forged bytes reach no parser.
  const std::string expected = "sha256=" + hex_encode(hmac_sha256(secret_, request.body));
  if (!equal_constant_time(expected, request.header("Heddle-Signature"))) {
    ++forged_;
    response.status = 401;
    return;
  }
  response.status = 204;
  const std::string id(request.header("Heddle-Notification"));
  // A notification that is sent again is told once; its sender still gets the 204 that says that
  // it came.
  if (!id.empty() && !seen_.insert(id).second) return;
  ++received_;
  if (auto value = doc::parse_json(request.body); value.ok()) on_notification_(*value);
}

}  // namespace heddle::demo
