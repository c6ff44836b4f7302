// Notifications: who is told of what happens to which service.
#include "control/outbox.hpp"

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "adapters/sqlite/state.hpp"
#include "net/server.hpp"

namespace heddle::control {
namespace {

/// A receiver on a port of its own: what came to which path, and under which id.
class Receiver {
 public:
  Receiver() {
    net::HttpServer::Options options;
    options.host = "127.0.0.1";
    options.handler = [this](const net::Request& request, net::Response&) {
      const std::lock_guard lock(mutex_);
      came_.insert(std::string(request.path));
      arrived_.notify_all();
    };
    server_ = std::move(*net::HttpServer::open(std::move(options)));
    thread_ = std::thread([this] { server_->run(); });
  }
  ~Receiver() {
    server_->stop();
    thread_.join();
  }
  [[nodiscard]] spec::Notification at(const std::string& path) const {
    return {fmt::format("http://127.0.0.1:{}/{}", server_->port(), path), "${env:OUTBOX_TEST_KEY}",
            2};
  }
  /// Waits until as many different paths were posted to.
  std::set<std::string> wait_for(std::size_t paths) {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, std::chrono::seconds(60), [&] { return came_.size() >= paths; });
    return came_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::set<std::string> came_;
  std::unique_ptr<net::HttpServer> server_;
  std::thread thread_;
};

TEST(Outbox, ToldAreThoseOfTheServiceAlone) {
  ::setenv("OUTBOX_TEST_KEY", "secret", 1);
  std::string dir = testing::TempDir() + "outbox-XXXXXX";
  ASSERT_NE(::mkdtemp(dir.data()), nullptr);
  const auto state = adapters::open_sqlite_state(dir + "/state.db").value();
  Receiver receiver;
  {
    const auto outbox = Outbox::open(*state, {{"delay", {receiver.at("of-delay")}},
                                              {"fares", {receiver.at("of-fares")}},
                                              {"quiet", {}}})
                            .value();
    const auto tell = [&](const std::string& id, const std::string& service) {
      const auto put = state->write([&](store::Txn& txn) {
        return outbox->put(txn, id,
                           doc::Value::object({{"kind", "incident"}, {"service", service}}));
      });
      outbox->wake();
      return put;
    };
    ASSERT_TRUE(tell("incident/quiet/1", "quiet").ok());
    ASSERT_TRUE(tell("incident/delay/1", "delay").ok());
    EXPECT_EQ(receiver.wait_for(1), std::set<std::string>{"/of-delay"});
    ASSERT_TRUE(tell("incident/fares/1", "fares").ok());
    EXPECT_EQ(receiver.wait_for(2), (std::set<std::string>{"/of-delay", "/of-fares"}));
  }
  // Nobody is to be told of the quiet one, later neither.
  std::vector<std::string> known;
  ASSERT_TRUE(state
                  ->read([&](store::Txn& txn) {
                    return txn.scan("outbox-known", "", [&](std::string_view id, std::string_view) {
                      known.emplace_back(id);
                      return true;
                    });
                  })
                  .ok());
  EXPECT_EQ(known, (std::vector<std::string>{"incident/delay/1", "incident/fares/1"}));
}

}  // namespace
}  // namespace heddle::control
