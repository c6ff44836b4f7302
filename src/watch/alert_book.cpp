#include "watch/alert_book.hpp"

#include <utility>

#include "doc/json.hpp"

namespace heddle::watch {

std::vector<Alert> AlertBook::update(const Finding& finding, Micros at, std::int64_t rows_seen) {
  std::vector<Alert> moves;
  const auto it = alerts_.find(finding.key);
  if (it == alerts_.end()) {
    // An alert may take more to be raised than to stay: `alert` alone keeps one up.
    if (!finding.raises) return moves;
    Alert alert{AlertStage::kRaised, finding, finding, at, rows_seen, rows_seen};
    moves.push_back(alert);
    // The finding is made of several windows, or is a fact: there is nothing to wait for.
    if (finding.confirms) {
      alert.stage = AlertStage::kConfirmed;
      moves.push_back(alert);
    }
    alerts_.emplace(finding.key, Entry{std::move(alert), 0});
    return moves;
  }
  Entry& entry = it->second;
  entry.alert.last = finding;
  if (finding.alert) {
    entry.quiet = 0;
    // The second window in a row confirms.
    if (entry.alert.stage == AlertStage::kRaised) {
      entry.alert.stage = AlertStage::kConfirmed;
      entry.alert.at = at;
      entry.alert.rows_seen = rows_seen;
      moves.push_back(entry.alert);
    }
    return moves;
  }
  // One that was raised and not confirmed was chance: one quiet window drops it. A confirmed one
  // must be quiet for as long as the monitor says, so that it does not come and go.
  ++entry.quiet;
  if (entry.alert.stage == AlertStage::kRaised || entry.quiet >= quiet_windows_) {
    entry.alert.stage = AlertStage::kCleared;
    entry.alert.at = at;
    entry.alert.rows_seen = rows_seen;
    moves.push_back(std::move(entry.alert));
    alerts_.erase(it);
  }
  return moves;
}

const Alert* AlertBook::find(const std::string& key) const {
  const auto it = alerts_.find(key);
  return it == alerts_.end() ? nullptr : &it->second.alert;
}

bool AlertBook::confirmed(Subject subject) const {
  for (const auto& [key, entry] : alerts_) {
    if (entry.alert.first.subject == subject && entry.alert.stage == AlertStage::kConfirmed)
      return true;
  }
  return false;
}

bool AlertBook::standing(Subject subject, Micros since) const {
  for (const auto& [key, entry] : alerts_) {
    if (entry.alert.first.subject == subject && entry.alert.first.from >= since) return true;
  }
  return false;
}

void AlertBook::new_epoch() {
  // Those that are about the model or what it answers belong to the primary that was replaced.
  std::erase_if(alerts_, [](const auto& item) {
    const Subject subject = item.second.alert.first.subject;
    return subject != Subject::kContract && subject != Subject::kRule &&
           subject != Subject::kMonitor && subject != Subject::kAnswers &&
           subject != Subject::kLabels && subject != Subject::kJournal;
  });
}

void save_finding(StateWriter& out, const Finding& f) {
  out.put(f.key);
  out.put(static_cast<int>(f.subject));
  out.put(f.column);
  out.put(f.source);
  out.put(f.account);
  out.put(f.label_account);
  out.put(f.value);
  out.put(f.threshold);
  out.put(f.alert);
  out.put(f.raises);
  out.put(f.confirms);
  out.put(f.from);
  out.put(f.to);
  out.put(f.rows);
  out.put(f.epoch);
  out.put(doc::to_json(f.detail));
}

Finding load_finding(StateReader& in) {
  Finding f;
  f.key = in.text();
  f.subject = static_cast<Subject>(in.small());
  f.column = in.text();
  f.source = in.text();
  f.account = in.text();
  f.label_account = in.text();
  f.value = in.real();
  f.threshold = in.real();
  f.alert = in.flag();
  f.raises = in.flag();
  f.confirms = in.flag();
  f.from = in.i64();
  f.to = in.i64();
  f.rows = in.i64();
  f.epoch = in.u64();
  if (auto detail = doc::parse_json(in.text()); detail.ok()) f.detail = *std::move(detail);
  return f;
}

void AlertBook::save(StateWriter& out) const {
  out.put(std::uint64_t{alerts_.size()});
  for (const auto& [key, entry] : alerts_) {
    out.put(static_cast<int>(entry.alert.stage));
    save_finding(out, entry.alert.first);
    save_finding(out, entry.alert.last);
    out.put(entry.alert.at);
    out.put(entry.alert.rows_seen);
    out.put(entry.alert.raised_rows);
    out.put(entry.quiet);
  }
}

void AlertBook::load(StateReader& in) {
  alerts_.clear();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    Entry entry;
    entry.alert.stage = static_cast<AlertStage>(in.small());
    entry.alert.first = load_finding(in);
    entry.alert.last = load_finding(in);
    entry.alert.at = in.i64();
    entry.alert.rows_seen = in.i64();
    entry.alert.raised_rows = in.i64();
    entry.quiet = in.small();
    std::string key = entry.alert.first.key;
    alerts_.emplace(std::move(key), std::move(entry));
  }
}

}  // namespace heddle::watch
