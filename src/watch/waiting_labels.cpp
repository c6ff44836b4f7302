#include "watch/waiting_labels.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace heddle::watch {

namespace {

Micros latest_of(const LabelOpinion& label) {
  return label.has_other() ? std::max(label.time, label.other_time) : label.time;
}

std::int64_t hour_of(Micros time) {
  return time >= 0 ? time / kHour : -((-time + kHour - 1) / kHour);
}
std::int64_t hour_of(const LabelOpinion& label) { return hour_of(latest_of(label)); }

}  // namespace

void WaitingLabels::touch(RowKey key, Micros event_time) {
  auto [at, fresh] = touched_.try_emplace(key, event_time);
  if (!fresh) at->second = std::max(at->second, event_time);
}

void WaitingLabels::enter(RowKey key, const LabelOpinion& label) {
  Own& own = own_[label.by];
  ++own.labels;
  own.hours[hour_of(label)].insert(key);
}

void WaitingLabels::leave(RowKey key, const LabelOpinion& label) {
  const auto own = own_.find(label.by);
  const auto hour = own->second.hours.find(hour_of(label));
  hour->second.erase(key);
  if (hour->second.empty()) own->second.hours.erase(hour);
  if (--own->second.labels == 0) own_.erase(own);
}

void WaitingLabels::erase(Labels::iterator at) {
  leave(at->first, at->second);
  labels_.erase(at);
}

bool WaitingLabels::add(RowKey key, float label, Micros event_time, std::string_view account) {
  // Older than any row that may still come.
  if (event_time < pruned_before_) return false;
  const std::uint16_t by = names_.number(account);
  auto [at, fresh] = labels_.try_emplace(key);
  const LabelOpinion before = at->second;
  if (!at->second.add(label, event_time, by)) return true;
  // It is of the account that spoke first: who adds to it takes no more room.
  if (!fresh && hour_of(at->second) != hour_of(before)) leave(key, before);
  if (fresh || hour_of(at->second) != hour_of(before)) enter(key, at->second);
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
  // Room is taken from the account that has most of it: who sends labels of rows that never come
  // cannot push out those of others.
  const auto most = std::max_element(own_.begin(), own_.end(), [](const auto& a, const auto& b) {
    return a.second.labels < b.second.labels;
  });
  const std::uint16_t account = most->first;
  std::vector<std::pair<Micros, RowKey>> own;
  for (const auto& [hour, keys] : most->second.hours) {
    for (const RowKey key : keys) own.emplace_back(latest_of(labels_.at(key)), key);
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
  const std::int64_t hour = hour_of(before);
  // Whole hours, by which labels are found: a label is kept an hour longer at most.
  before = hour * kHour;
  if (before <= pruned_before_) return 0;
  pruned_before_ = before;
  std::size_t gone = 0;
  for (auto& [account, own] : own_) {
    const auto end = own.hours.lower_bound(hour);
    for (auto at = own.hours.begin(); at != end; at = own.hours.erase(at)) {
      for (const RowKey key : at->second) labels_.erase(key);
      own.labels -= at->second.size();
      gone += at->second.size();
    }
  }
  std::erase_if(own_, [](const auto& item) { return item.second.labels == 0; });
  return static_cast<std::int64_t>(gone);
}

void WaitingLabels::cap(Micros latest) {
  for (auto& [key, label] : labels_) {
    if (latest_of(label) <= latest) continue;
    leave(key, label);
    label.time = std::min(label.time, latest);
    label.other_time = std::min(label.other_time, latest);
    enter(key, label);
    // An earlier time in place of a later one: `touch` would keep the later.
    touched_.insert_or_assign(key, latest_of(label));
  }
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
  own_.clear();
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
  own_.clear();
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
    enter(key, label);
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
