#pragma once

#include <cstdint>
#include <string>
#include <string_view>
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

  struct Seen {
    bool failed = false;
    std::uint32_t rows = 0;
    std::uint32_t refused = 0;
  };

 private:
  std::vector<Seen> seen_;
  std::size_t next_ = 0;
  std::size_t count_ = 0;
  std::uint64_t failed_ = 0, rows_ = 0, refused_ = 0;
};

/// Whether a fault is seen by more than one account, or nobody else is there to see it: what one
/// account sends makes the service fail over for nobody else. An account is there for a minute
/// after its last request, and its own newest requests say what it sees. Constant memory; confined
/// to one thread.
class Witnesses {
 public:
  static constexpr std::size_t kAccounts = 64;  ///< the one heard of longest ago makes room
  static constexpr std::size_t kRequests = 5;   ///< of an account: what it sees now
  static constexpr std::int64_t kThere = 60'000'000'000;  ///< ns

  void add(std::string_view account, std::int64_t mono_ns, const Failures::Seen& seen);
  void clear() noexcept { accounts_.clear(); }
  [[nodiscard]] bool agree(const plane::FailOver& rule, std::int64_t mono_ns) const;

 private:
  struct Account {
    std::string name;
    std::int64_t heard_ns = 0;
    std::vector<Failures::Seen> newest{};
    std::size_t next = 0;
  };
  std::vector<Account> accounts_;
};

}  // namespace heddle::serve
