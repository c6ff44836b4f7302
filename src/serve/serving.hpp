#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "base/signature.hpp"
#include "bundle/bundle.hpp"
#include "plane/route_file.hpp"
#include "serve/slots.hpp"
#include "store/store.hpp"

namespace heddle::serve {

/// A source under quarantine, with the place of its rule in each slot's contract.
struct Quarantine {
  plane::QuarantinedSource source;
  std::array<int, kSlots>
      rules{};  ///< indexes into the contracts' rules; -1: there is no such rule
};

/// Everything that answers under one route table: built away from the serving thread, immutable,
/// put in force by one pointer store.
struct Serving {
  plane::RouteTable route;
  Slots slots;  ///< the primary's plan is null only when the standby may take its place
  /// What the plan of the second slot has in common with that of the first, which answers.
  std::array<std::array<score::Shared, kSlots>, kSlots> shared{};
  FieldNames fields;         ///< of all slots
  StickyKey sticky;          ///< of the canary
  DrawSecret draw_secret{};  ///< of the canary
  std::vector<Quarantine> quarantined;
  std::string primary_error;  ///< why the primary's plan is null

  [[nodiscard]] const Loaded& slot(SlotId id) const noexcept {
    return slots[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] score::Shared shared_by(SlotId answering, SlotId beside) const noexcept {
    return shared[static_cast<std::size_t>(answering)][static_cast<std::size_t>(beside)];
  }
  /// A plan of any slot: what describes the rows.
  [[nodiscard]] const score::Plan* any_plan() const noexcept;
};

/// Starts threads with the priority that it was made with: what they start inherits that, whatever
/// the caller's is by then. Waits for them at its end.
class Starter {
 public:
  Starter();
  ~Starter();
  void end();  ///< waits for what was started; what is started from now on is not
  void start(std::function<void()> work);

 private:
  struct Job {
    std::thread thread{};
    std::shared_ptr<std::atomic<bool>> done{};
  };
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> waiting_;
  bool ending_ = false;
  std::thread thread_;
};

/// Follows a service's route table file and loads what it names, on a thread of its own: verified,
/// newer than what was applied, parity proven. What cannot be used is logged once and tried again;
/// what is in force stays. Bundles are loaded beside, those of a table one after the other, at the
/// lowest priority; the table waits for them, and a newer one takes its place. Runtimes are started
/// beside too: a table whose primary still starts waits for it, the other slots join when they are
/// ready.
class RouteFollower {
 public:
  struct Options {
    std::string directory;  ///< of route tables
    std::string service;
    Ed25519Public key{};
    store::Objects* objects = nullptr;
    runtime::Host host{};  ///< of workers and upstreams
    std::string newest{};  ///< file that keeps the newest version, beside what the journal keeps:
                           ///< no older table is taken also where that is gone; empty: none
    /// Called on the follower's thread, the first time within `start`; the receiver takes it to its
    /// own.
    std::function<void(std::shared_ptr<const Serving>)> ready{};
  };

  [[nodiscard]] static Result<std::unique_ptr<RouteFollower>> start(Options options);
  ~RouteFollower();

  /// Looks at a table or bundle that could not be used.
  [[nodiscard]] std::uint64_t refused() const noexcept {
    return refused_.load(std::memory_order_relaxed);
  }
  /// What keeps the newest route table, or one of its slots, from being in force: what is loaded or
  /// started, or why it could not be used. `why` is empty when nothing does. From any thread.
  struct Waiting {
    std::string why{};
    std::int64_t since_ns = 0;  ///< on the monotonic clock
  };
  [[nodiscard]] Waiting waiting() const;
  /// At the end of `start` nothing could be served yet and a runtime was being started.
  [[nodiscard]] bool began_with_start() const noexcept { return began_with_start_; }

 private:
  explicit RouteFollower(Options options) : options_(std::move(options)) {}
  void run();
  void look();
  [[nodiscard]] Result<void> take_table();
  [[nodiscard]] Result<void> add_slots(const plane::RouteFile& file);
  void wait(int ms);
  struct Built {
    std::shared_ptr<const Serving> serving{};
    std::string missing{};  ///< why a slot is without its plan, which it may get yet
    int loaded_slots = 0;
  };
  [[nodiscard]] Result<Built> build(const plane::RouteFile& file);
  [[nodiscard]] Result<void> load_slot(SlotId id, const Digest& digest, Serving& serving,
                                       Built& built);
  void drop_slots_unlike(const score::Plan* reads, Serving& serving);
  [[nodiscard]] Result<std::shared_ptr<const score::Plan>> plan(const Digest& digest);
  void complain(const Error& error);
  void tell_waiting(const std::string& why);
  void remember(std::uint64_t version);

  Options options_;
  /// For tables that have none.
  const std::string own_secret_ = random_bytes(plane::kDrawSecretBytes);
  int inotify_ = -1;
  int wake_ = -1;
  std::atomic<bool> ending_{false};
  std::atomic<std::uint64_t> refused_{0};
  std::uint64_t delivered_ = 0;  ///< version
  std::uint64_t newest_ = 0;     ///< version that was ever delivered, as far as is known
  bool began_with_start_ = false;
  bool waits_ = false;    ///< for a bundle that is being loaded
  bool answers_ = false;  ///< a primary is in force: loads must not be felt
  mutable std::mutex told_mutex_;
  Waiting told_;                      ///< of `told_mutex_`
  bool settled_ = false;              ///< what the file says was delivered or refused for good
  std::set<std::string> complaints_;  ///< that were said of this table
  void forget(const plane::RouteTable& route);

  /// A bundle that could not be loaded, or whose runtime could not be started, is tried again after
  /// a while that doubles.
  struct Failed {
    Error error;
    std::int64_t again_ns = 0;
    std::int64_t wait_ns = 0;
  };
  std::map<Digest, Failed> failed_;
  /// A bundle on its way, on a thread of its own.
  struct Load {
    bool starts_runtime = false;
    std::optional<Result<std::unique_ptr<const score::Plan>>> plan{};
  };
  void begin_load(const Digest& digest);
  void start_runtime(std::shared_ptr<Load> load, bundle::Bundle opened);
  void end_load(Load& load, Result<std::unique_ptr<const score::Plan>> plan);
  void wake() const;
  std::mutex loading_mutex_;
  std::map<Digest, std::shared_ptr<Load>> loading_;  ///< what they point to, too, is of the mutex
  std::string missing_;                              ///< of the table in force, as `Built` has it
  int loaded_slots_ = 0;
  std::map<Digest, std::shared_ptr<const score::Plan>> plans_;
  Starter starter_;
  std::thread thread_;
};

}  // namespace heddle::serve
