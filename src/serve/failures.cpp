#include "serve/failures.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace heddle::serve {
namespace {

double share(std::uint64_t part, std::uint64_t of) {
  return of == 0 ? 0 : static_cast<double>(part) / static_cast<double>(of);
}

bool too_many_failed(const plane::FailOver& rule, std::uint64_t failed, std::uint64_t requests) {
  return failed > 0 && share(failed, requests) >= rule.failed_share;
}

bool too_many_refused(const plane::FailOver& rule, std::uint64_t refused, std::uint64_t rows) {
  return rule.refused_share < 1 && refused > 0 && share(refused, rows) >= rule.refused_share;
}

}  // namespace

void Failures::add(bool failed, std::uint32_t rows, std::uint32_t refused) noexcept {
  Seen& place = seen_[next_];
  if (count_ == seen_.size()) {
    failed_ -= place.failed ? 1 : 0;
    rows_ -= place.rows;
    refused_ -= place.refused;
  } else {
    ++count_;
  }
  place = {failed, rows, refused};
  failed_ += failed ? 1 : 0;
  rows_ += rows;
  refused_ += refused;
  next_ = next_ + 1 == seen_.size() ? 0 : next_ + 1;
}

void Failures::clear() noexcept {
  next_ = count_ = 0;
  failed_ = rows_ = refused_ = 0;
}

std::string Failures::reason(const plane::FailOver& rule) const {
  // Of fewer requests than the policy names, a share is soon anything.
  if (count_ < seen_.size()) return {};
  if (too_many_failed(rule, failed_, count_))
    return fmt::format("{} of the last {} requests got no answer", failed_, count_);
  if (too_many_refused(rule, refused_, rows_))
    return fmt::format("{} of the last {} rows were refused", refused_, rows_);
  return {};
}

void Witnesses::add(std::string_view account, std::int64_t mono_ns, const Failures::Seen& seen) {
  auto at = std::find_if(accounts_.begin(), accounts_.end(),
                         [&](const Account& known) { return known.name == account; });
  if (at == accounts_.end()) {
    if (accounts_.size() == kAccounts) {
      // Who was not heard for longest makes room: the list is bounded whatever accounts there are.
      accounts_.erase(std::min_element(
          accounts_.begin(), accounts_.end(),
          [](const Account& a, const Account& b) { return a.heard_ns < b.heard_ns; }));
    }
    accounts_.push_back({std::string(account)});
    at = std::prev(accounts_.end());
  }
  at->heard_ns = mono_ns;
  if (at->newest.size() < kRequests) {
    at->newest.push_back(seen);
  } else {
    at->newest[at->next] = seen;
    at->next = (at->next + 1) % kRequests;
  }
}

bool Witnesses::agree(const plane::FailOver& rule, std::int64_t mono_ns) const {
  std::size_t there = 0;
  std::size_t see_it = 0;
  for (const Account& account : accounts_) {
    if (mono_ns - account.heard_ns > kThere) continue;
    ++there;
    std::uint64_t failed = 0, rows = 0, refused = 0;
    for (const Failures::Seen& seen : account.newest) {
      failed += seen.failed ? 1 : 0;
      rows += seen.rows;
      refused += seen.refused;
    }
    if (too_many_failed(rule, failed, account.newest.size()) ||
        too_many_refused(rule, refused, rows))
      ++see_it;
  }
  // With one account there is no other witness; with several, one alone does not move the traffic
  // of all.
  return there <= 1 || see_it > 1;
}

}  // namespace heddle::serve
