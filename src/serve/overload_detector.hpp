#pragma once

#include <cstdint>

namespace heddle::serve {

/// Decides which predict requests are shed: those that waited longer than the service's patience
/// while a queue stands. A queue stands once more than half the requests of a window waited so
/// long, until a window in which none did; after one pause of the process, or of the machine below
/// it, everybody waited and nobody is too many. The idea is CoDel's (K. Nichols and V. Jacobson,
/// "Controlling Queue Delay", ACM Queue 10(5), 2012), whose queue stands when the least wait of a
/// window is too long. Confined to one thread.
class OverloadDetector {
 public:
  explicit OverloadDetector(std::int64_t patience_ns) noexcept : patience_ns_(patience_ns) {}

  /// Counts a request that had waited `queued_ns` when its turn came at `now_ns` (monotonic); true:
  /// it is shed.
  [[nodiscard]] bool sheds(std::int64_t queued_ns, std::int64_t now_ns) noexcept {
    if (now_ns - last_ns_ > kForgottenNs) {
      stands_ = false;
      seen_ = 0;
    } else if (seen_ >= kFewest && now_ns >= window_end_ns_) {
      stands_ = stands_ ? late_ > 0 : 2 * late_ > seen_;
      seen_ = 0;
    }
    last_ns_ = now_ns;
    if (seen_ == 0) {
      late_ = 0;
      window_end_ns_ = now_ns + kPatiences * patience_ns_;
    }
    ++seen_;
    if (queued_ns <= patience_ns_) return false;
    ++late_;
    return stands_;
  }

 private:
  static constexpr std::int64_t kPatiences =
      5;  ///< of a window; 100 ms, CoDel's interval, at the 20 ms `queue_ms` is unless said
  static constexpr std::uint64_t kFewest = 16;  ///< requests of a window that says something
  static constexpr std::int64_t kForgottenNs = 1'000'000'000;  ///< without a request

  std::int64_t patience_ns_;
  std::int64_t window_end_ns_ = 0, last_ns_ = 0;
  std::uint64_t seen_ = 0, late_ = 0;  ///< requests of this window
  bool stands_ = false;
};

}  // namespace heddle::serve
