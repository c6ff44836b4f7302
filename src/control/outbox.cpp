#include "control/outbox.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/encoding.hpp"
#include "base/log.hpp"
#include "base/signature.hpp"
#include "control/secret.hpp"
#include "doc/json.hpp"
#include "net/client.hpp"

namespace heddle::control {
namespace {

constexpr const char* kPending = "outbox";  ///< collection: id -> payload, until it was delivered
constexpr const char* kKnown = "outbox-known";  ///< collection: every id that was ever put
constexpr std::int64_t kFirstPauseMs = 100;
constexpr std::int64_t kLongestPauseMs = 10'000;

class ThreadedOutbox final : public Outbox {
 public:
  ThreadedOutbox(store::State& state, Receivers receivers)
      : state_(state), receivers_(std::move(receivers)), thread_([this] { work(); }) {}

  ~ThreadedOutbox() override {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  Result<void> put(store::Txn& txn, const std::string& id, const doc::Value& payload) override {
    if (receivers_of(payload).empty()) return {};
    HEDDLE_ASSIGN_OR_RETURN(const auto known, txn.get(kKnown, id));
    // An act that is decided again after a crash puts its notification again: it is told once.
    if (known) return {};
    auto value = payload;
    value.set("schema", "heddle.notification/1");
    value.set("id", id);
    HEDDLE_TRY(txn.put(kKnown, id, ""));
    HEDDLE_TRY(txn.put(kPending, id, doc::to_json(value)));
    const std::lock_guard lock(mutex_);
    put_ = true;
    return {};
  }

  void wake() override {
    {
      const std::lock_guard lock(mutex_);
      if (!put_) return;
      put_ = false;
      fresh_ = true;
    }
    wake_.notify_all();
  }

 private:
  void work() {
    std::int64_t pause = kFirstPauseMs;
    for (;;) {
      const bool all_sent = send_pending();
      pause = all_sent ? kFirstPauseMs : std::min(pause * 2, kLongestPauseMs);
      std::unique_lock lock(mutex_);
      const auto woken = [&] { return ending_ || fresh_; };
      if (all_sent) {
        wake_.wait(lock, woken);
      } else {
        wake_.wait_for(lock, std::chrono::milliseconds(pause), woken);
      }
      if (ending_) return;
      fresh_ = false;
    }
  }

  bool is_ending() {
    const std::lock_guard lock(mutex_);
    return ending_;
  }

  /// Every notification that waits, once; false where one was not taken, or is left for the end.
  bool send_pending() {
    std::vector<std::pair<std::string, std::string>> pending;
    const auto read = state_.read([&](store::Txn& txn) {
      return txn.scan(kPending, "", [&](std::string_view id, std::string_view payload) {
        pending.emplace_back(id, payload);
        return true;
      });
    });
    if (!read.ok()) log::warn("notifications cannot be read: {}", read.error().message);
    bool all_sent = true;
    for (const auto& [id, payload] : pending) {
      all_sent = send_one(id, payload) && all_sent;
      if (is_ending()) return false;
    }
    return all_sent;
  }

  /// Whether nothing is left to do for it: it was sent, or given up.
  bool send_one(const std::string& id, const std::string& payload) {
    const auto parsed = doc::parse_json(payload);
    const auto& receivers = receivers_of(parsed.ok() ? *parsed : doc::Value());
    if (!send(id, payload, receivers)) {
      if (++attempts_[id] < longest_attempts(receivers)) return false;
      log::error("notification `{}` was not taken after {} attempts: given up", id, attempts_[id]);
    }
    const auto erased = state_.write([&](store::Txn& txn) { return txn.erase(kPending, id); });
    // It is sent again after a restart: receivers know it by its id.
    if (!erased.ok()) log::warn("notification `{}` stays queued: {}", id, erased.error().message);
    attempts_.erase(id);
    return true;
  }

  /// Of a service that has none any more: nobody.
  const std::vector<spec::Notification>& receivers_of(const doc::Value& payload) const {
    static const std::vector<spec::Notification> kNobody;
    const auto found = receivers_.find(payload.string_or("service"));
    return found == receivers_.end() ? kNobody : found->second;
  }

  static int longest_attempts(const std::vector<spec::Notification>& receivers) {
    int longest = 1;
    for (const auto& notification : receivers) longest = std::max(longest, notification.attempts);
    return longest;
  }

  static bool send(const std::string& id, const std::string& payload,
                   const std::vector<spec::Notification>& receivers) {
    bool every = true;
    for (const auto& notification : receivers) {
      const auto url_text = resolve_secret(notification.url);
      const auto secret = resolve_secret(notification.secret);
      if (!url_text.ok() || !secret.ok()) {
        log::warn("notification `{}`: {}", id,
                  (url_text.ok() ? secret.error() : url_text.error()).message);
        every = false;
        continue;
      }
      const auto url = net::parse_url(*url_text);
      if (!url.ok()) {
        log::warn("notification `{}`: {}", id, url.error().message);
        every = false;
        continue;
      }
      net::HttpClient::Options options;
      options.host = url->host;
      options.port = url->port;
      if (url->tls) options.tls.emplace();
      options.timeout_ms = 5'000;
      const auto reply = net::HttpClient(options).send(
          "POST", url->target, payload,
          {{"Content-Type", "application/json"},
           {"Heddle-Notification", id},
           {"Heddle-Signature", "sha256=" + hex_encode(hmac_sha256(*secret, payload))}});
      if (!reply.ok() || reply->status / 100 != 2) {
        log::debug("notification `{}`: {}", id,
                   reply.ok() ? fmt::format("status {}", reply->status) : reply.error().message);
        every = false;
      }
    }
    return every;
  }

  store::State& state_;
  const Receivers receivers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  bool put_ = false;                     ///< since the last `wake`
  bool fresh_ = false;                   ///< what was put is there to be sent
  std::map<std::string, int> attempts_;  ///< of the thread
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Outbox>> Outbox::open(store::State& state, Receivers receivers) {
  return std::unique_ptr<Outbox>(new ThreadedOutbox(state, std::move(receivers)));
}

}  // namespace heddle::control
