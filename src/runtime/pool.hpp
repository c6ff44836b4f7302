#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "runtime/cost.hpp"
#include "runtime/rows.hpp"

namespace heddle::runtime {

/// Requests of rows on their way to a runtime: a bounded queue, first come first served, and
/// threads that each have one call under way. A thread that becomes free takes at once as many
/// waiting requests, oldest first, as the cost model says fit into `batch_ms` and into the oldest
/// one's deadline, counted in rows and never more than `batch_rows`; nothing waits for a batch to
/// fill. What reaches its deadline is answered then, sent or not, and is not sent any more.
/// Thread-safe.
class Pool {
 public:
  /// Scores rows within `timeout_ms`; used by one thread.
  using Call = std::function<Result<std::vector<float>>(std::span<const Rows* const>,
                                                        std::int64_t timeout_ms)>;
  /// Called once, on a thread of the pool: `outputs` numbers a row, or why there are none.
  using Done = std::function<void(Result<std::vector<float>>)>;

  struct Options {
    std::size_t connections = 2;
    std::size_t outputs = 1;        ///< numbers that a row is answered with
    std::size_t queue_rows = 4096;  ///< rows that may wait
    std::size_t batch_rows = 1024;
    std::int64_t batch_ms = 5;
    std::function<Call()> connect{};  ///< makes the call of a thread, on that thread
    const Clock* clock = &system_clock();
  };

  explicit Pool(Options options);
  /// Waits for the calls under way; what still waits is answered with kCancelled.
  ~Pool();

  /// kUnavailable (`runtime-queue-full`) when the rows do not fit into the queue: `done` is not
  /// called then. kTooLarge past `batch_rows`. `deadline_ns` on the monotonic clock.
  [[nodiscard]] Result<void> submit(Rows rows, std::int64_t deadline_ns, Done done);

  [[nodiscard]] std::size_t waiting_rows() const;
  [[nodiscard]] std::uint64_t batches() const noexcept {
    return batches_.load(std::memory_order_relaxed);
  }

 private:
  struct Item {
    Rows rows;
    std::int64_t deadline_ns = 0;
    Done done;
    bool over = false;  ///< `done` was taken
  };
  using Batch = std::vector<std::shared_ptr<Item>>;

  void work();
  void watch_deadlines();
  [[nodiscard]] Batch next_batch();
  void finish(const Batch& batch, Result<std::vector<float>> answer);

  Options options_;
  mutable std::mutex mutex_;
  std::condition_variable work_, deadline_;
  bool closing_ = false;
  std::deque<std::shared_ptr<Item>> waiting_;
  std::vector<std::shared_ptr<Item>> under_way_;
  std::size_t waiting_rows_ = 0;
  std::int64_t watched_ns_ = INT64_MAX;  ///< the deadline that the watching thread sleeps until
  CostModel cost_;
  std::vector<std::size_t> sizes_;
  std::atomic<std::uint64_t> batches_{0};
  std::vector<std::thread> threads_;
};

}  // namespace heddle::runtime
