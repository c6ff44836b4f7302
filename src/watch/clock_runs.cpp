#include "watch/clock_runs.hpp"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace heddle::watch {
namespace {

Micros median_of(std::vector<Micros>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::ptrdiff_t near(const std::vector<Micros>& values, Micros median) {
  return std::count_if(values.begin(), values.end(), [&](Micros value) {
    return std::llabs(value - median) <= ClockRuns::kTolerance;
  });
}

}  // namespace

void ClockRuns::add(const std::string& account, const std::string& field, Micros value,
                    Micros event_time) {
  Run& run = runs_[field][account];
  run.newest.push_back(value - event_time);
  // The newest rows only: how the clock goes now, not how it went on average.
  if (run.newest.size() > kRows) run.newest.pop_front();
  run.last = std::max(run.last, event_time);
}

std::optional<Micros> ClockRuns::reading(const Run& run) {
  std::vector<Micros> rows(run.newest.begin(), run.newest.end());
  const Micros median = median_of(rows);
  // A median is always there; it is a reading only where nearly all rows are close to it.
  if (static_cast<double>(near(rows, median)) < kAgreement * static_cast<double>(rows.size()))
    return std::nullopt;
  return median;
}

std::optional<Micros> ClockRuns::offset(const std::string& field) const {
  const auto at = runs_.find(field);
  if (at == runs_.end()) return std::nullopt;
  Micros newest = INT64_MIN;
  for (const auto& [account, run] : at->second) newest = std::max(newest, run.last);
  std::vector<Micros> readings;
  std::ptrdiff_t accounts = 0;
  for (const auto& [account, run] : at->second) {
    // Who sends no more says nothing about the clock of now.
    if (run.newest.size() < kRows || run.last < newest - kRecent) continue;
    ++accounts;
    if (const auto stands = reading(run)) readings.push_back(*stands);
  }
  if (readings.empty()) return std::nullopt;
  const Micros median = median_of(readings);
  // More than half of all that send, not of those that agree: one account alone must not move the
  // clock that repairs everybody's rows.
  if (2 * near(readings, median) <= accounts) return std::nullopt;
  return median;
}

void ClockRuns::save(StateWriter& out) const {
  out.put(std::uint64_t{runs_.size()});
  for (const auto& [field, accounts] : runs_) {
    out.put(field);
    out.put(std::uint64_t{accounts.size()});
    for (const auto& [account, run] : accounts) {
      out.put(account);
      out.put(run.last);
      out.put(std::uint64_t{run.newest.size()});
      for (const Micros offset : run.newest) out.put(offset);
    }
  }
}

void ClockRuns::load(StateReader& in) {
  runs_.clear();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    auto& accounts = runs_[in.text()];
    for (std::uint64_t m = in.count(); m > 0; --m) {
      Run& run = accounts[in.text()];
      run.last = in.i64();
      for (std::uint64_t k = in.count(); k > 0; --k) run.newest.push_back(in.i64());
    }
  }
}

}  // namespace heddle::watch
