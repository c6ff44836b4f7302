#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plane/route.hpp"

namespace heddle::serve {

/// The last requests that one slot answered, as far as a fail-over looks at them: how many got no
/// answer of the runtime, how many of their rows the contract refused. Constant memory; confined to
/// one thread.
class Failures {
 public:
  explicit Failures(std::uint32_t requests = 50) : seen_(requests == 0 ? 1 : requests) {}

  void add(bool failed, std::uint32_t rows, std::uint32_t refused) noexcept;
  void clear() noexcept;

  /// Why `rule` says to leave this slot; empty: it does not, or too few requests were seen.
  [[nodiscard]] std::string reason(const plane::FailOver& rule) const;

 private:
  struct Seen {
    bool failed = false;
    std::uint32_t rows = 0;
    std::uint32_t refused = 0;
  };
  std::vector<Seen> seen_;
  std::size_t next_ = 0;
  std::size_t count_ = 0;
  std::uint64_t failed_ = 0, rows_ = 0, refused_ = 0;
};

}  // namespace heddle::serve
