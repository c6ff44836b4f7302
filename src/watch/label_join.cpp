#include "watch/label_join.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace heddle::watch {

namespace {

std::int64_t day_of(Micros time) { return time >= 0 ? time / kDay : -((-time + kDay - 1) / kDay); }

}  // namespace

void LabelJoin::add_row(JoinedRow row) {
  if (index_.contains(row.id)) return;  // a retried request: the first answer counts
  if (const auto early = waiting_.find(row.id); early != waiting_.end()) {
    row.label = early->second.label;
    row.label_time = early->second.event_time;
    ++labelled_by_day_[day_of(row.event_time)];
    ++counts_.joined;
    touch(early->first, early->second.event_time);
    waiting_.erase(early);
    if (!row.alternatives.empty()) joined_.push_back(row);
  }
  index_.emplace(row.id, first_ + rows_.size());
  rows_.push_back(std::move(row));
}

LabelJoin::Outcome LabelJoin::add_label(const std::string& id, double label, Micros event_time) {
  // A journal of before, or one that another program wrote: half a label is not a true one.
  if (label != 0 && label != 1) {
    ++counts_.malformed;
    return Outcome::kMalformed;
  }
  const auto value = static_cast<std::int8_t>(label);
  const auto it = index_.find(id);
  if (it == index_.end()) {
    auto [early, fresh] = waiting_.try_emplace(id, Waiting{value, event_time});
    if (!fresh && event_time > early->second.event_time) early->second = {value, event_time};
    touch(id, early->second.event_time);
    return Outcome::kWaiting;
  }
  JoinedRow& row = rows_[it->second - first_];
  if (row.label < 0) {
    row.label = value;
    row.label_time = event_time;
    ++labelled_by_day_[day_of(row.event_time)];
    ++counts_.joined;
    relabelled(it->second);
    if (!row.alternatives.empty()) joined_.push_back(row);
    return Outcome::kJoined;
  }
  if (row.label == value) return Outcome::kRepeated;
  if (event_time <= row.label_time) return Outcome::kIgnored;
  row.label = value;
  row.label_time = event_time;
  relabelled(it->second);
  return Outcome::kChanged;
}

/// A row that is in a piece already was labelled; one that is not goes into the next piece with its
/// label.
void LabelJoin::relabelled(std::uint64_t sequence) {
  if (sequence < kept_rows_) relabelled_.insert(sequence);
}

void LabelJoin::touch(const std::string& id, Micros event_time) {
  auto [at, fresh] = touched_.try_emplace(id, event_time);
  if (!fresh) at->second = std::max(at->second, event_time);
}

void LabelJoin::prune(Micros before) {
  while (!rows_.empty() && rows_.front().event_time < before) {
    index_.erase(rows_.front().id);
    rows_.pop_front();
    ++first_;
  }
  if (before <= pruned_before_) return;
  pruned_before_ = before;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const bool over = it->second.event_time < before;
    counts_.forgotten += over ? 1 : 0;
    it = over ? waiting_.erase(it) : std::next(it);
  }
}

LabelJoin::Chunk LabelJoin::collect(Micros from, Micros to, std::uint64_t epoch) const {
  Chunk chunk;
  chunk.first = to;
  for (const JoinedRow& row : rows_) {
    if (row.event_time < from || row.event_time >= to || row.epoch != epoch) continue;
    chunk.first = std::min(chunk.first, row.event_time);
    if (row.label < 0 || std::isnan(row.margin)) continue;
    chunk.margins.push_back(row.margin);
    chunk.standby.push_back(row.standby_margin);
    chunk.labels.push_back(static_cast<std::uint8_t>(row.label));
  }
  return chunk;
}

std::optional<Micros> LabelJoin::first_from(Micros from, std::uint64_t epoch) const {
  std::optional<Micros> first;
  for (const JoinedRow& row : rows_) {
    if (row.epoch == epoch && row.event_time >= from)
      first = std::min(first.value_or(row.event_time), row.event_time);
  }
  return first;
}

LabelJoin::Chunks LabelJoin::by_source(Micros from, Micros to, std::uint64_t epoch) const {
  return by(&JoinedRow::source, from, to, epoch);
}

LabelJoin::Chunks LabelJoin::by_account(Micros from, Micros to, std::uint64_t epoch) const {
  return by(&JoinedRow::account, from, to, epoch);
}

LabelJoin::Chunks LabelJoin::by(std::string JoinedRow::* key, Micros from, Micros to,
                                std::uint64_t epoch) const {
  Chunks out;
  for (const JoinedRow& row : rows_) {
    if (row.event_time < from || row.event_time >= to || row.epoch != epoch) continue;
    if (row.label < 0 || std::isnan(row.margin)) continue;
    Chunk& chunk = out[row.*key];
    chunk.margins.push_back(row.margin);
    chunk.labels.push_back(static_cast<std::uint8_t>(row.label));
  }
  return out;
}

std::int64_t LabelJoin::labelled_since(Micros from) const {
  std::int64_t n = 0;
  for (auto it = labelled_by_day_.lower_bound(day_of(from)); it != labelled_by_day_.end(); ++it)
    n += it->second;
  return n;
}

void LabelJoin::save_head(StateWriter& out) const {
  out.put(first_);
  out.put(first_ + rows_.size());
  out.put(pruned_before_);
  out.put(counts_.joined);
  out.put(counts_.forgotten);
  out.put(counts_.malformed);
  out.put(std::uint64_t{labelled_by_day_.size()});
  for (const auto& [day, count] : labelled_by_day_) {
    out.put(day);
    out.put(count);
  }
}

void LabelJoin::load_head(StateReader& in) {
  *this = {};
  first_ = in.u64();
  loaded_end_ = in.u64();
  pruned_before_ = in.i64();
  counts_.joined = in.i64();
  counts_.forgotten = in.i64();
  counts_.malformed = in.i64();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    const std::int64_t day = in.i64();
    labelled_by_day_.emplace(day, in.i64());
  }
}

/// Rows from sequence number `from` on, with their labels as they are now.
void LabelJoin::save_rows(StateWriter& out, std::uint64_t from) const {
  out.put(from);
  out.put(first_ + rows_.size() - from);
  for (std::uint64_t sequence = from; sequence < first_ + rows_.size(); ++sequence) {
    const JoinedRow& row = rows_[sequence - first_];
    out.put(row.id);
    out.put(row.event_time);
    out.put(row.epoch);
    out.put(static_cast<double>(row.margin));
    out.put(static_cast<double>(row.standby_margin));
    out.put(static_cast<int>(row.label));
    out.put(row.label_time);
    out.put(row.source);
    out.put(row.account);
    out.put(std::uint64_t{row.alternatives.size()});
    for (const auto& [trial, margin] : row.alternatives) {
      out.put(std::uint64_t{trial});
      out.put(static_cast<double>(margin));
    }
  }
}

std::size_t LabelJoin::changed() const noexcept {
  return first_ + rows_.size() - std::max(kept_rows_, first_) + relabelled_.size() +
         touched_.size();
}

std::optional<std::string> LabelJoin::changes() const {
  if (changed() == 0) return std::nullopt;
  const std::uint64_t from = std::max(kept_rows_, first_);
  StateWriter out;
  save_rows(out, from);
  const auto first =
      relabelled_.lower_bound(first_);  // what was forgotten meanwhile needs no label
  out.put(static_cast<std::uint64_t>(std::distance(first, relabelled_.end())));
  for (auto it = first; it != relabelled_.end(); ++it) {
    const JoinedRow& row = rows_[*it - first_];
    out.put(*it);
    out.put(static_cast<int>(row.label));
    out.put(row.label_time);
  }
  out.put(std::uint64_t{touched_.size()});
  for (const auto& [id, time] : touched_) {
    const auto it = waiting_.find(id);
    out.put(id);
    out.put(it != waiting_.end());
    out.put(it != waiting_.end() ? int{it->second.label} : 0);
    out.put(it != waiting_.end() ? it->second.event_time : time);
  }
  return out.take();
}

void LabelJoin::save_whole(StateWriter& out) const {
  save_head(out);
  save_rows(out, first_);
  out.put(std::uint64_t{waiting_.size()});
  for (const auto& [id, label] : waiting_) {
    out.put(id);
    out.put(int{label.label});
    out.put(label.event_time);
  }
}

LabelJoin::Lifetime LabelJoin::lifetime_of_changes() const {
  Lifetime until;
  const std::uint64_t end = first_ + rows_.size();
  if (std::max(kept_rows_, first_) < end)
    until.rows_end = end;
  else if (!relabelled_.empty())
    until.rows_end = *relabelled_.rbegin() + 1;
  for (const auto& [id, time] : touched_) until.waiting_end = std::max(until.waiting_end, time);
  return until;
}

void LabelJoin::kept(std::uint64_t number) {
  pieces_[number] = lifetime_of_changes();
  kept_rows_ = first_ + rows_.size();
  relabelled_.clear();
  touched_.clear();
}

std::vector<std::uint64_t> LabelJoin::spent() const {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, until] : pieces_) {
    if (until.rows_end <= first_ && until.waiting_end < pruned_before_) numbers.push_back(number);
  }
  return numbers;
}

void LabelJoin::dropped(std::span<const std::uint64_t> numbers) {
  for (const std::uint64_t number : numbers) pieces_.erase(number);
}

bool LabelJoin::load_piece(std::uint64_t number, std::string_view bytes) {
  StateReader in(bytes);
  Lifetime until;
  const std::uint64_t from = in.u64();
  const std::uint64_t count = in.count();
  if (count > 0) until.rows_end = from + count;
  for (std::uint64_t i = 0; i < count; ++i) {
    JoinedRow row;
    row.id = in.text();
    row.event_time = in.i64();
    row.epoch = in.u64();
    row.margin = static_cast<float>(in.real());
    row.standby_margin = static_cast<float>(in.real());
    row.label = static_cast<std::int8_t>(in.small());
    row.label_time = in.i64();
    row.source = in.text();
    row.account = in.text();
    for (std::uint64_t m = in.count(); m > 0; --m) {
      const auto trial = static_cast<std::uint32_t>(in.u64());
      row.alternatives.emplace_back(trial, static_cast<float>(in.real()));
    }
    if (from + i < first_) continue;                      // forgotten since
    if (from + i != first_ + rows_.size()) return false;  // a piece before this one is missing
    index_.emplace(row.id, from + i);
    rows_.push_back(std::move(row));
  }
  for (std::uint64_t n = in.count(); n > 0; --n) {
    const std::uint64_t sequence = in.u64();
    const auto label = static_cast<std::int8_t>(in.small());
    const Micros time = in.i64();
    until.rows_end = std::max(until.rows_end, sequence + 1);
    if (sequence < first_) continue;
    if (sequence - first_ >= rows_.size()) return false;
    rows_[sequence - first_].label = label;
    rows_[sequence - first_].label_time = time;
  }
  for (std::uint64_t n = in.count(); n > 0; --n) {
    std::string id = in.text();
    const bool waits = in.flag();
    const auto label = static_cast<std::int8_t>(in.small());
    const Micros time = in.i64();
    until.waiting_end = std::max(until.waiting_end, time);
    if (waits && time >= pruned_before_)
      waiting_.insert_or_assign(std::move(id), Waiting{label, time});
    else
      waiting_.erase(id);
  }
  pieces_[number] = until;
  kept_rows_ = first_ + rows_.size();
  return in.done();
}

}  // namespace heddle::watch
