#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "plane/route.hpp"
#include "score/plan.hpp"
#include "serve/request.hpp"
#include "store/store.hpp"

namespace heddle::serve {

/// A source under quarantine, with the place of its rule in the primary's contract.
struct Quarantine {
  plane::QuarantinedSource source;
  int primary_rule = -1;   ///< index into the contract's rules; -1: it has no such rule
  int standby_rule = -1;
};

/// Everything that answers under one route table: built away from the serving thread, immutable, put in force by one
/// pointer store.
struct Serving {
  plane::RouteTable route;
  std::shared_ptr<const score::Plan> primary;   ///< null when it cannot be loaded and the standby may take its place
  std::shared_ptr<const score::Plan> standby;
  std::string primary_digest;
  std::string standby_digest;
  FieldNames fields;                            ///< of both
  std::vector<Quarantine> quarantined;
  std::string primary_error;                    ///< why `primary` is null
};

/// Follows a service's route table file and loads what it names, on a thread of its own: verified, newer than what was applied,
/// parity proven. What cannot be used is logged once and tried again; what is in force stays.
class RouteFollower {
 public:
  struct Options {
    std::string directory;         ///< of route tables
    std::string service;
    Ed25519Public key{};
    store::Objects* objects = nullptr;
    /// Called on the follower's thread, the first time within `start`; the receiver takes it to its own.
    std::function<void(std::shared_ptr<const Serving>)> ready{};
  };

  [[nodiscard]] static Result<std::unique_ptr<RouteFollower>> start(Options options);
  ~RouteFollower();

  /// Looks at a table or bundle that could not be used.
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }

 private:
  explicit RouteFollower(Options options) : options_(std::move(options)) {}
  void run();
  void look();
  [[nodiscard]] Result<std::shared_ptr<const Serving>> build(const plane::RouteTable& route);
  [[nodiscard]] Result<std::shared_ptr<const score::Plan>> plan(const Digest& digest);
  void complain(const Error& error);

  Options options_;
  int inotify_ = -1;
  int wake_ = -1;
  std::atomic<bool> ending_{false};
  std::atomic<std::uint64_t> refused_{0};
  std::uint64_t delivered_ = 0;       ///< version
  bool settled_ = false;              ///< what the file says was delivered or refused for good
  std::string last_complaint_;
  std::map<Digest, std::shared_ptr<const score::Plan>> plans_;
  std::thread thread_;
};

}  // namespace heddle::serve
