#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "runtime/pool.hpp"
#include "runtime/rows.hpp"
#include "runtime/sandbox.hpp"
#include "runtime/spec.hpp"

namespace heddle::runtime {

/// What runtimes find where they are used.
struct Host {
  std::string directory{};    ///< of worker processes, `.heddle/runtime`; empty: a new one in the
                              ///< temporary folder
  std::string hidden{};       ///< a folder that workers must not see, `.heddle`; empty: none
  std::int64_t batch_ms = 5;  ///< what a batch of several requests may take
  std::size_t batch_rows = 1024;
  std::size_t queue_rows = 4096;
  const std::atomic<bool>* ending =
      nullptr;  ///< once true, a start under way is given up (kCancelled)
};

/// Counters for people and metrics.
struct Condition {
  bool up = false;             ///< a worker runs and is ready; an upstream always
  std::uint64_t restarts = 0;  ///< of the worker
  std::uint64_t batches = 0;
  std::size_t waiting_rows = 0;
  std::optional<Layers> sandbox{};  ///< in force around the worker; empty for an upstream
};

/// One external model that is ready: a worker process of ours or an upstream server, with its
/// connections. Thread-safe; destruction waits for the calls under way and stops the worker, which
/// may take seconds.
class Endpoint {
 public:
  /// Starts the worker from `files` (a tar of ours; kProcess only), or asks the upstream; ready
  /// when this returns. kUnavailable, kTimeout, kCorrupt with the reason.
  [[nodiscard]] static Result<std::unique_ptr<Endpoint>> start(Runtime runtime, Shape shape,
                                                               std::string_view files,
                                                               const Host& host);
  virtual ~Endpoint() = default;

  /// See Pool::submit.
  [[nodiscard]] virtual Result<void> submit(Rows rows, std::int64_t deadline_ns,
                                            Pool::Done done) const = 0;
  /// Waits for the answer: `outputs()` numbers a row, all NaN where none were given. At most
  /// `batch_rows` rows.
  [[nodiscard]] virtual Result<std::vector<float>> score(Rows rows) const = 0;

  [[nodiscard]] virtual const Runtime& runtime() const noexcept = 0;
  [[nodiscard]] virtual std::size_t batch_rows() const noexcept = 0;
  [[nodiscard]] virtual std::size_t outputs() const noexcept = 0;  ///< numbers an answer has
  [[nodiscard]] virtual Condition condition() const = 0;
};

}  // namespace heddle::runtime
