#include "watch/label_join.hpp"

#include <cmath>
#include <utility>

namespace heddle::watch {

namespace {

std::int64_t day_of(Micros time) { return time >= 0 ? time / kDay : -((-time + kDay - 1) / kDay); }

}  // namespace

void LabelJoin::add_row(JoinedRow row) {
  if (index_.contains(row.id)) return;  // a retried request: the first answer counts
  if (const auto early = waiting_.find(row.id); early != waiting_.end()) {
    row.label = early->second.label > 0.5 ? 1 : 0;
    row.label_time = early->second.event_time;
    ++labelled_by_day_[day_of(row.event_time)];
    waiting_.erase(early);
    if (!row.alternatives.empty()) joined_.push_back(row);
  }
  index_.emplace(row.id, first_ + rows_.size());
  rows_.push_back(std::move(row));
}

LabelJoin::Outcome LabelJoin::add_label(const std::string& id, double label, Micros event_time) {
  const std::int8_t value = label > 0.5 ? 1 : 0;
  const auto it = index_.find(id);
  if (it == index_.end()) {
    auto [early, fresh] = waiting_.try_emplace(id, Waiting{label, event_time});
    if (!fresh && event_time > early->second.event_time) early->second = {label, event_time};
    return Outcome::kWaiting;
  }
  JoinedRow& row = rows_[it->second - first_];
  if (row.label < 0) {
    row.label = value;
    row.label_time = event_time;
    ++labelled_by_day_[day_of(row.event_time)];
    if (!row.alternatives.empty()) joined_.push_back(row);
    return Outcome::kJoined;
  }
  if (row.label == value) return Outcome::kRepeated;
  if (event_time <= row.label_time) return Outcome::kIgnored;
  row.label = value;
  row.label_time = event_time;
  return Outcome::kChanged;
}

void LabelJoin::prune(Micros before) {
  while (!rows_.empty() && rows_.front().event_time < before) {
    index_.erase(rows_.front().id);
    rows_.pop_front();
    ++first_;
  }
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    it = it->second.event_time < before ? waiting_.erase(it) : std::next(it);
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

std::map<std::string, LabelJoin::Chunk> LabelJoin::by_source(Micros from, Micros to, std::uint64_t epoch) const {
  std::map<std::string, Chunk> out;
  for (const JoinedRow& row : rows_) {
    if (row.event_time < from || row.event_time >= to || row.epoch != epoch) continue;
    if (row.label < 0 || std::isnan(row.margin)) continue;
    Chunk& chunk = out[row.source];
    chunk.margins.push_back(row.margin);
    chunk.labels.push_back(static_cast<std::uint8_t>(row.label));
  }
  return out;
}

std::int64_t LabelJoin::labelled_since(Micros from) const {
  std::int64_t n = 0;
  for (auto it = labelled_by_day_.lower_bound(day_of(from)); it != labelled_by_day_.end(); ++it) n += it->second;
  return n;
}

void LabelJoin::save(StateWriter& out) const {
  out.put(first_);
  out.put(std::uint64_t{rows_.size()});
  for (const JoinedRow& row : rows_) {
    out.put(row.id);
    out.put(row.event_time);
    out.put(row.epoch);
    out.put(static_cast<double>(row.margin));
    out.put(static_cast<double>(row.standby_margin));
    out.put(static_cast<int>(row.label));
    out.put(row.label_time);
    out.put(row.source);
    out.put(std::uint64_t{row.alternatives.size()});
    for (const auto& [trial, margin] : row.alternatives) {
      out.put(std::uint64_t{trial});
      out.put(static_cast<double>(margin));
    }
  }
  out.put(std::uint64_t{waiting_.size()});
  for (const auto& [id, label] : waiting_) {
    out.put(id);
    out.put(label.label);
    out.put(label.event_time);
  }
  out.put(std::uint64_t{labelled_by_day_.size()});
  for (const auto& [day, count] : labelled_by_day_) {
    out.put(day);
    out.put(count);
  }
}

void LabelJoin::load(StateReader& in) {
  *this = {};
  first_ = in.u64();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    JoinedRow row;
    row.id = in.text();
    row.event_time = in.i64();
    row.epoch = in.u64();
    row.margin = static_cast<float>(in.real());
    row.standby_margin = static_cast<float>(in.real());
    row.label = static_cast<std::int8_t>(in.small());
    row.label_time = in.i64();
    row.source = in.text();
    for (std::uint64_t m = in.count(); m > 0; --m) {
      const auto trial = static_cast<std::uint32_t>(in.u64());
      row.alternatives.emplace_back(trial, static_cast<float>(in.real()));
    }
    index_.emplace(row.id, first_ + rows_.size());
    rows_.push_back(std::move(row));
  }
  for (std::uint64_t n = in.count(); n > 0; --n) {
    std::string id = in.text();
    const double label = in.real();
    waiting_.emplace(std::move(id), Waiting{label, in.i64()});
  }
  for (std::uint64_t n = in.count(); n > 0; --n) {
    const std::int64_t day = in.i64();
    labelled_by_day_.emplace(day, in.i64());
  }
}

}  // namespace heddle::watch
