#include "watch/clock_runs.hpp"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace heddle::watch {

void ClockRuns::add(const std::string& field, Micros value, Micros event_time) {
  std::deque<Micros>& rows = newest_[field];
  rows.push_back(value - event_time);
  if (rows.size() > kRows) rows.pop_front();
}

std::optional<Micros> ClockRuns::offset(const std::string& field) const {
  const auto at = newest_.find(field);
  if (at == newest_.end() || at->second.size() < kRows) return std::nullopt;
  std::vector<Micros> sorted(at->second.begin(), at->second.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  const Micros median = *middle;
  const auto near = std::count_if(sorted.begin(), sorted.end(), [&](Micros value) {
    return std::llabs(value - median) <= kTolerance;
  });
  if (static_cast<double>(near) < kAgreement * static_cast<double>(sorted.size()))
    return std::nullopt;
  return median;
}

void ClockRuns::save(StateWriter& out) const {
  out.put(std::uint64_t{newest_.size()});
  for (const auto& [field, rows] : newest_) {
    out.put(field);
    out.put(std::uint64_t{rows.size()});
    for (const Micros offset : rows) out.put(offset);
  }
}

void ClockRuns::load(StateReader& in) {
  newest_.clear();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    std::deque<Micros>& rows = newest_[in.text()];
    for (std::uint64_t m = in.count(); m > 0; --m) rows.push_back(in.i64());
  }
}

}  // namespace heddle::watch
