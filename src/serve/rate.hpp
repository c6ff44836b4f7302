#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace heddle::serve {

/// A token bucket a client: `per_second` requests, a second's worth at once. Confined to one
/// thread.
class Rates {
 public:
  Rates(std::size_t clients, std::uint32_t per_second)
      : per_second_(per_second), buckets_(clients, {static_cast<double>(per_second), 0}) {}

  /// False: the client is past its rate. Without a rate everything passes.
  [[nodiscard]] bool take(std::size_t client, std::int64_t now_ns) noexcept {
    if (per_second_ == 0) return true;
    Bucket& bucket = buckets_[client];
    const double since = static_cast<double>(now_ns - bucket.at_ns) * 1e-9;
    bucket.tokens = std::min(static_cast<double>(per_second_), bucket.tokens + since * per_second_);
    bucket.at_ns = now_ns;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

 private:
  struct Bucket {
    double tokens;
    std::int64_t at_ns;
  };
  double per_second_;
  std::vector<Bucket> buckets_;
};

}  // namespace heddle::serve
