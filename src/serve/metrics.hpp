#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace heddle::serve {

/// Counters of one data plane, as Prometheus reads them. Confined to the serving thread.
class Metrics {
 public:
  void answered(int status, std::int64_t ns) noexcept;
  void rows(std::uint64_t served, std::uint64_t refused, std::uint64_t quarantined) noexcept {
    served_ += served;
    refused_ += refused;
    quarantined_ += quarantined;
  }
  void labels(std::uint64_t n) noexcept { labels_ += n; }
  void applied() noexcept { ++applied_; }

  struct Gauges {
    bool ready = false;
    bool stopped = false;
    bool failed_over = false;
    std::uint64_t route_version = 0;
    std::uint64_t route_refused = 0;
    std::uint64_t journal_dropped = 0;
    std::uint64_t connections = 0;
  };
  [[nodiscard]] std::string text(std::string_view service, const Gauges& gauges) const;

 private:
  static constexpr std::array<double, 12> kBounds = {10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 100e-3, 1};
  std::map<int, std::uint64_t> statuses_;
  std::array<std::uint64_t, kBounds.size() + 1> buckets_{};
  std::uint64_t requests_ = 0, served_ = 0, refused_ = 0, quarantined_ = 0, labels_ = 0, applied_ = 0;
  double seconds_ = 0;
};

}  // namespace heddle::serve
