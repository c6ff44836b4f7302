#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "watch/finding.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// Turns findings into alerts. An alert is raised by a finding that `raises`, confirmed by the next
/// fresh window of the same key that alerts as well, dropped when that window is quiet, and
/// cleared, once confirmed, by `quiet_windows` quiet ones in a row. Single-threaded; deterministic.
class AlertBook {
 public:
  explicit AlertBook(int quiet_windows = 2) : quiet_windows_(quiet_windows) {}

  /// The moves this finding causes, in order: at most raised and confirmed together.
  [[nodiscard]] std::vector<Alert> update(const Finding& finding, Micros at,
                                          std::int64_t rows_seen);
  [[nodiscard]] const Alert* find(const std::string& key) const;
  [[nodiscard]] bool confirmed(
      Subject subject) const;  ///< any confirmed alert of this subject stands
  /// Any, raised or confirmed, about rows at or after `since`.
  [[nodiscard]] bool standing(Subject subject, Micros since = INT64_MIN) const;
  /// Forgets every alert but those of the contract, of rules, of silent metrics, of answers and of
  /// the journal, which depend neither on a model nor on a repair.
  void new_epoch();
  void forget(const std::string& key) { alerts_.erase(key); }

  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  struct Entry {
    Alert alert;
    int quiet = 0;
  };
  int quiet_windows_;
  std::map<std::string, Entry> alerts_;
};

/// Findings as bytes, for the state.
void save_finding(StateWriter& out, const Finding& finding);
[[nodiscard]] Finding load_finding(StateReader& in);

}  // namespace heddle::watch
