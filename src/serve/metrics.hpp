#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "doc/value.hpp"
#include "net/server.hpp"
#include "plane/journal.hpp"
#include "runtime/endpoint.hpp"
#include "serve/slots.hpp"

namespace heddle::serve {

/// What the parts of a request's way took, in nanoseconds: queue, read, score, write.
inline constexpr std::size_t kStages = 4;
using Stages = std::array<std::int64_t, kStages>;

/// Counters of one data plane, as Prometheus and the Open Inference Protocol's statistics read
/// them. Confined to the serving thread.
class Metrics {
 public:
  /// A predict request was answered, whatever came of it.
  void answered(int status, std::int64_t ns) noexcept;
  /// A request was refused as a whole. `id` is one of the program's error ids: they are few.
  void refused(std::string_view id);
  /// Of an answered request.
  void stages(const Stages& ns) noexcept;
  void shed() noexcept { ++shed_; }
  void rows(std::uint64_t served, std::uint64_t refused, std::uint64_t failed,
            std::uint64_t quarantined) noexcept {
    served_ += served;
    refused_ += refused;
    failed_ += failed;
    quarantined_ += quarantined;
  }
  /// Rows that a standby or shadow with a runtime scored beside the answer, those it gave no answer
  /// for, and the sum of |difference|.
  void beside(SlotId slot, std::uint64_t rows, std::uint64_t failed, double difference) noexcept {
    Compared& compared = beside_[static_cast<std::size_t>(slot)];
    compared.rows += rows;
    compared.failed += failed;
    compared.difference += difference;
  }
  void labels(std::uint64_t taken, std::uint64_t refused) noexcept {
    labels_ += taken;
    refused_labels_ += refused;
  }
  void applied() noexcept { ++applied_; }
  /// A repair of the contract changed a value. `id` is one of its repairs: they are few.
  void repaired(std::string_view id);

  /// Of one slot, in the terms of the statistics extension.
  struct SlotStatistics {
    std::uint64_t requests = 0;   ///< executions
    std::uint64_t rows = 0;       ///< inferences
    std::uint64_t before_ns = 0;  ///< from the whole request to its scoring
    std::uint64_t score_ns = 0;
    Micros last = 0;  ///< wall clock
  };
  void scored(SlotId slot, std::size_t rows, std::int64_t before_ns, std::int64_t score_ns,
              Micros arrival) noexcept;
  [[nodiscard]] const SlotStatistics& of(SlotId slot) const noexcept {
    return slots_[static_cast<std::size_t>(slot)];
  }
  [[nodiscard]] std::uint64_t errors() const noexcept;  ///< predict requests answered 4xx or 5xx

  struct Gauges {
    bool ready = false;
    bool stopped = false;
    bool failed_over = false;
    std::uint64_t route_version = 0;
    std::uint64_t route_refused = 0;
    std::map<std::string, plane::Unrecorded> unrecorded{};  ///< by account
    bool recording = true;
    std::uint64_t journal_bytes = 0;
    std::uint64_t connections = 0;
    net::HttpServer::ClosedForRoom closed{};
    Micros last_tick = INT64_MIN;  ///< of event time; INT64_MIN: none yet
    bool clock_held = false;
    struct Runtime {
      SlotId slot = SlotId::kPrimary;
      runtime::Condition condition{};
    };
    std::vector<Runtime> runtimes{};  ///< of the slots that have one
  };
  /// Requests refused as a whole: `{id: count}`.
  [[nodiscard]] doc::Value errors_by_id() const;
  [[nodiscard]] std::string text(std::string_view service, const Gauges& gauges) const;

 private:
  class Exposition;
  void put_counts(Exposition& out) const;
  void put_slots(Exposition& out, const Gauges& gauges) const;
  static void put_journal(Exposition& out, const Gauges& gauges);
  static void put_state(Exposition& out, const Gauges& gauges);
  static void put_runtimes(Exposition& out, const Gauges& gauges);
  void put_beside(Exposition& out) const;

  static constexpr std::array<double, 12> kBounds = {10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6,
                                                     1e-3,  2e-3,  5e-3,  10e-3,  100e-3, 1};
  struct Histogram {
    std::array<std::uint64_t, kBounds.size() + 1> buckets{};
    std::uint64_t count = 0;
    double seconds = 0;
    void add(std::int64_t ns) noexcept;
  };
  struct Compared {
    std::uint64_t rows = 0, failed = 0;
    double difference = 0;
  };
  std::array<Compared, kSlots> beside_{};
  std::map<int, std::uint64_t> statuses_;
  std::map<std::string, std::uint64_t, std::less<>> errors_;  ///< by id
  std::map<std::string, std::uint64_t, std::less<>> repaired_;
  Histogram requests_;
  std::array<Histogram, kStages> stages_{};
  std::array<SlotStatistics, kSlots> slots_{};
  std::uint64_t served_ = 0, refused_ = 0, failed_ = 0, quarantined_ = 0, labels_ = 0,
                refused_labels_ = 0, applied_ = 0, shed_ = 0;
};

}  // namespace heddle::serve
