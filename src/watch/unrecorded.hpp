#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "plane/journal.hpp"
#include "watch/detector.hpp"
#include "watch/finding.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// The key of the alert that says that what an account sent was answered and not recorded.
[[nodiscard]] std::string unrecorded_key(const std::string& account);

/// What the journal does not have, by account: what was answered and not recorded is an alert at
/// once, until an hour of event time came without any. Single-threaded.
class Unrecorded final : public Detector {
 public:
  void gap(const plane::GapRecord& gap, Micros now, std::vector<Finding>& out) override;
  void tick(const SeenTick& tick, std::vector<Finding>& out) override;
  /// The last gap of an account, or the one that goes on.
  struct Gap {
    std::int64_t requests = 0;
    std::int64_t labels = 0;
    Micros since = 0;
    Micros last = 0;
    int quiet = 0;
    bool goes_on = false;
    std::string why{};
  };
  [[nodiscard]] const std::map<std::string, Gap>& gaps() const noexcept { return gaps_; }
  /// One line for people about what goes on; empty: everything is recorded.
  [[nodiscard]] std::string line() const;

  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

 private:
  [[nodiscard]] Finding finding_of(const std::string& account, const Gap& gap, Micros to) const;

  std::map<std::string, Gap> gaps_;  ///< by account
};

}  // namespace heddle::watch
