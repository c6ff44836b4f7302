#include "watch/unrecorded.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace heddle::watch {

namespace {

constexpr int kQuietFindings = 2;  ///< that clear an alert
/// Each, without a gap. An account that goes past its share again and again has an incident an
/// hour, not one a minute.
constexpr Micros kQuietAfter = 30 * kMinute;

std::string whose(const std::string& account) {
  return account.empty() ? "somebody" : fmt::format("account `{}`", account);
}

}  // namespace

std::string unrecorded_key(const std::string& account) {
  return account.empty() ? "journal" : "journal/" + account;
}

Finding Unrecorded::finding_of(const std::string& account, const Gap& gap, Micros to) const {
  Finding f;
  f.key = unrecorded_key(account);
  f.subject = Subject::kJournal;
  f.account = account;
  f.value = static_cast<double>(gap.goes_on && gap.quiet == 0 ? gap.requests + gap.labels : 0);
  f.from = gap.since;
  f.to = to;
  const std::string what = gap.requests + gap.labels == 0
                               ? "something that was answered"
                               : fmt::format("{} requests and {} labels of {}", gap.requests,
                                             gap.labels, whose(account));
  f.detail = doc::Value::object(
      {{"requests", gap.requests},
       {"labels", gap.labels},
       {"why", fmt::format("{} {} not in the journal: {}", what,
                           gap.requests + gap.labels == 0 ? "is" : "are", gap.why)}});
  return f;
}

void Unrecorded::gap(const plane::GapRecord& gap, Micros now, std::vector<Finding>& out) {
  Gap& known = gaps_[gap.account];
  // What an earlier gap lost is told; this one counts from its own beginning.
  if (!known.goes_on) {
    known = {};
    known.since = now;
  }
  known.goes_on = true;
  known.quiet = 0;
  known.last = now;
  known.requests += static_cast<std::int64_t>(gap.requests);
  known.labels += static_cast<std::int64_t>(gap.labels);
  known.why = gap.reason;
  Finding f = finding_of(gap.account, known, now);
  f.alert = f.raises = f.confirms = true;
  out.push_back(std::move(f));
}

void Unrecorded::tick(const SeenTick& tick, std::vector<Finding>& out) {
  const Micros now = tick.at;
  for (auto& [account, gap] : gaps_) {
    gap.last = std::min(gap.last, now);  // of before the first tick, or before time was set back
    if (!gap.goes_on || now < gap.last + kQuietAfter) continue;
    gap.last = now;
    ++gap.quiet;
    out.push_back(finding_of(account, gap, now));
    // It keeps its counts for people, and its alert has had the findings that clear it.
    if (gap.quiet == kQuietFindings) gap.goes_on = false;
  }
}

std::string Unrecorded::line() const {
  std::string line;
  for (const auto& [account, gap] : gaps_) {
    if (!gap.goes_on) continue;
    if (!line.empty()) line += ", ";
    // Nobody counted what was in bytes that cannot be read: what is known of them is the reason.
    line += gap.requests + gap.labels == 0 ? gap.why
                                           : fmt::format("{} requests and {} labels of {}",
                                                         gap.requests, gap.labels, whose(account));
    // Before the first tick there is no event time.
    if (gap.since > 0) line += fmt::format(" since {}", format_time(gap.since));
  }
  return line;
}

void Unrecorded::save(StateWriter& out) const {
  out.put(std::uint64_t{gaps_.size()});
  for (const auto& [account, gap] : gaps_) {
    out.put(account);
    out.put(gap.requests);
    out.put(gap.labels);
    out.put(gap.since);
    out.put(gap.last);
    out.put(gap.quiet);
    out.put(gap.goes_on);
    out.put(gap.why);
  }
}

void Unrecorded::load(StateReader& in) {
  gaps_.clear();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    Gap& gap = gaps_[in.text()];
    gap.requests = in.i64();
    gap.labels = in.i64();
    gap.since = in.i64();
    gap.last = in.i64();
    gap.quiet = in.small();
    gap.goes_on = in.flag();
    gap.why = in.text();
  }
}

const DetectorKind& unrecorded() {
  static constexpr DetectorKind row("unrecorded", [](const WatchOptions&) {
    return Result<std::unique_ptr<Detector>>(std::make_unique<Unrecorded>());
  });
  return row;
}

}  // namespace heddle::watch
