#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/clock.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// Who uses the service: rows that were answered, by account and event day. What one of several
/// accounts sends must not change what the others get (docs/adr/0024); an account of a few tries is
/// none of them. Single-threaded.
class Accounts {
 public:
  /// `least_rows`: of an account that counts.
  explicit Accounts(std::int64_t least_rows) : least_rows_(least_rows) {}

  void add(const std::string& account, Micros event_time, std::int64_t rows);
  /// Forgets days that ended before `before`.
  void prune(Micros before);
  /// Whether more than one account sent so many rows.
  [[nodiscard]] bool several() const;

  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  std::int64_t least_rows_;
  std::map<std::string, std::map<std::int64_t, std::int64_t>> rows_;  ///< by account and day
};

}  // namespace heddle::watch
