#include "watch/accounts.hpp"

#include <algorithm>
#include <utility>

namespace heddle::watch {

namespace {

// Rounded down, also before 1970: otherwise the days around it would be one of 48 hours.
std::int64_t day_of(Micros time) { return time >= 0 ? time / kDay : -((-time + kDay - 1) / kDay); }

}  // namespace

void Accounts::add(const std::string& account, Micros event_time, std::int64_t rows) {
  if (rows > 0) rows_[account][day_of(event_time)] += rows;
}

void Accounts::prune(Micros before) {
  for (auto& [account, days] : rows_) days.erase(days.begin(), days.lower_bound(day_of(before)));
  std::erase_if(rows_, [](const auto& item) { return item.second.empty(); });
}

bool Accounts::several() const {
  // Of an account with a few rows nobody can tell what it shows; without this bound, one stray
  // request would have every finding looked at account by account.
  const auto counts = [&](const auto& item) {
    std::int64_t rows = 0;
    for (const auto& [day, of_day] : item.second) rows += of_day;
    return rows >= least_rows_;
  };
  return std::count_if(rows_.begin(), rows_.end(), counts) > 1;
}

void Accounts::save(StateWriter& out) const {
  out.put(std::uint64_t{rows_.size()});
  for (const auto& [account, days] : rows_) {
    out.put(account);
    out.put(std::uint64_t{days.size()});
    for (const auto& [day, rows] : days) {
      out.put(day);
      out.put(rows);
    }
  }
}

void Accounts::load(StateReader& in) {
  rows_.clear();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    auto& days = rows_[in.text()];
    for (std::uint64_t m = in.count(); m > 0; --m) {
      const std::int64_t day = in.i64();
      days[day] = in.i64();
    }
  }
}

}  // namespace heddle::watch
