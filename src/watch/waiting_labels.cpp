#include "watch/waiting_labels.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace heddle::watch {

namespace {

Micros latest_of(const LabelOpinion& label) {
  return label.other < 0 ? label.time : std::max(label.time, label.other_time);
}

}  // namespace

void WaitingLabels::touch(RowKey key, Micros event_time) {
  auto [at, fresh] = touched_.try_emplace(key, event_time);
  if (!fresh) at->second = std::max(at->second, event_time);
}

void WaitingLabels::erase(std::unordered_map<RowKey, LabelOpinion>::iterator at) {
  if (--of_account_[at->second.by] == 0) of_account_.erase(at->second.by);
  labels_.erase(at);
}

bool WaitingLabels::add(RowKey key, std::int8_t label, Micros event_time,
                        std::string_view account) {
  if (event_time < pruned_before_) return false;
  const std::uint16_t by = names_.number(account);
  auto [at, fresh] = labels_.try_emplace(key);
  const LabelOpinion before = at->second;
  at->second.add(label, event_time, by);
  if (at->second == before) return true;
  // It is of the account that spoke first: who adds to it takes no more room.
  if (fresh) ++of_account_[by];
  touch(key, latest_of(at->second));
  if (labels_.size() > most_) give_way();
  return true;
}

std::optional<LabelOpinion> WaitingLabels::take(RowKey key) {
  const auto at = labels_.find(key);
  if (at == labels_.end()) return std::nullopt;
  const LabelOpinion label = at->second;
  touch(key, latest_of(label));
  erase(at);
  return label;
}

/// Halving is what makes room for many at once: finding the oldest one for each would be a search
/// over all of them a label.
void WaitingLabels::give_way() {
  const auto most =
      std::max_element(of_account_.begin(), of_account_.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  const std::uint16_t account = most->first;
  std::vector<std::pair<Micros, RowKey>> own;
  for (const auto& [key, label] : labels_) {
    if (label.by == account) own.emplace_back(latest_of(label), key);
  }
  const std::size_t half = (own.size() + 1) / 2;
  std::nth_element(own.begin(), own.begin() + static_cast<std::ptrdiff_t>(half - 1), own.end());
  for (std::size_t i = 0; i < half; ++i) {
    touch(own[i].second, own[i].first);
    erase(labels_.find(own[i].second));
  }
  given_up_[names_.name(account)] += static_cast<std::int64_t>(half);
}

std::int64_t WaitingLabels::prune(Micros before) {
  // All of them are looked at: once an hour of event time, not at every tick.
  before -= (before % kHour + kHour) % kHour;
  if (before <= pruned_before_) return 0;
  pruned_before_ = before;
  std::int64_t gone = 0;
  for (auto at = labels_.begin(); at != labels_.end();) {
    const auto next = std::next(at);
    if (latest_of(at->second) < before) {
      erase(at);
      ++gone;
    }
    at = next;
  }
  return gone;
}

void WaitingLabels::thin(const RowSample& sample) {
  for (auto at = labels_.begin(); at != labels_.end();) {
    const auto next = std::next(at);
    if (!sample.always_takes(at->first)) {
      touch(at->first, latest_of(at->second));
      erase(at);
    }
    at = next;
  }
}

void WaitingLabels::clear() {
  for (const auto& [key, label] : labels_) touch(key, latest_of(label));
  labels_.clear();
  of_account_.clear();
  pruned_before_ = INT64_MIN;
}

Micros WaitingLabels::changed_until() const noexcept {
  Micros latest = INT64_MIN;
  for (const auto& [key, time] : touched_) latest = std::max(latest, time);
  return latest;
}

void WaitingLabels::save_head(StateWriter& out) const {
  out.put(pruned_before_);
  out.put(std::uint64_t{given_up_.size()});
  for (const auto& [account, count] : given_up_) {
    out.put(account);
    out.put(count);
  }
}

void WaitingLabels::load_head(StateReader& in) {
  labels_.clear();
  touched_.clear();
  of_account_.clear();
  given_up_.clear();
  pruned_before_ = in.i64();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    std::string account = in.text();
    given_up_[std::move(account)] = in.i64();
  }
}

void WaitingLabels::write(StateWriter& out, RowKey key, const LabelOpinion& label) const {
  out.put(key.high);
  out.put(key.low);
  save_opinion(out, label, names_);
}

void WaitingLabels::save_changes(StateWriter& out) const {
  out.put(std::uint64_t{touched_.size()});
  for (const auto& [key, time] : touched_) {
    const auto at = labels_.find(key);
    out.put(at != labels_.end());
    write(out, key, at != labels_.end() ? at->second : LabelOpinion{.time = time});
  }
}

Micros WaitingLabels::load_changes(StateReader& in) {
  Micros latest = INT64_MIN;
  for (std::uint64_t n = in.count(); n > 0; --n) {
    const bool waits = in.flag();
    RowKey key;
    key.high = in.u64();
    key.low = in.u64();
    const LabelOpinion label = load_opinion(in, names_);
    const Micros time = latest_of(label);
    latest = std::max(latest, time);
    if (const auto at = labels_.find(key); at != labels_.end()) erase(at);
    if (!waits || time < pruned_before_) continue;
    ++of_account_[label.by];
    labels_.emplace(key, label);
  }
  return latest;
}

void WaitingLabels::save_whole(StateWriter& out) const {
  const std::map<RowKey, LabelOpinion> sorted(labels_.begin(), labels_.end());
  out.put(std::uint64_t{sorted.size()});
  for (const auto& [key, label] : sorted) write(out, key, label);
}

}  // namespace heddle::watch
