#include "watch/label_join.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace heddle::watch {

namespace {

constexpr std::size_t kRoomToRefine = 8;
/// Days that labels are counted by: an incident of more than a year ago learns from no row of then.
constexpr std::int64_t kMostDays = 400;

/// Whether some label of the task has this code. A journal that another program wrote may hold
/// others: half a label is not a true one.
bool is_code(const stats::Task& task, double code) {
  if (task.kind == stats::TaskKind::kRegression) return std::isfinite(static_cast<float>(code));
  const double most =
      task.kind == stats::TaskKind::kBinary ? 1 : static_cast<double>(task.classes.size()) - 1;
  return code >= 0 && code <= most && code == std::trunc(code);
}

void save_task(StateWriter& out, const stats::Task& task) {
  out.put(static_cast<int>(task.kind));
  out.put(task.whole_classes);
  out.put(std::uint64_t{task.classes.size()});
  for (const std::string& name : task.classes) out.put(name);
}

stats::Task load_task(StateReader& in) {
  stats::Task task;
  task.kind = static_cast<stats::TaskKind>(in.small());
  task.whole_classes = in.flag();
  for (std::uint64_t n = in.count(); n > 0; --n) task.classes.push_back(in.text());
  return task;
}

std::int64_t day_of(Micros time) { return time >= 0 ? time / kDay : -((-time + kDay - 1) / kDay); }

}  // namespace

void LabelJoin::begin(const stats::Task& task) {
  if (task == task_) return;
  clear();
  task_ = task;
  outputs_ = RowOutputs(task.outputs());
}

void LabelJoin::add_row(const ServedRow& served) {
  const RowKey key = row_key(options_.secret, served.id);
  // By a keyed hash of the id, so that a label of a row that was not taken is known to be of none,
  // and a sender cannot choose ids that are.
  if (!sample_.takes(key)) return;
  if (find(key)) return;  // a retried request: the first answer counts
  Row row;
  row.key = key;
  row.sequence = next_++;
  row.event_time = served.event_time;
  row.epoch = static_cast<std::uint32_t>(served.epoch);
  row.source = names_.number(served.source);
  row.account = names_.number(served.account);
  for (const TrialMargins& margins : served.alternatives)
    alternatives_.push_back({row.sequence, margins});
  index_.insert(key, place_of(rows_.size()));
  rows_.push_back(row);
  outputs_.push(served.margins, served.standby);
  // Its labels came before the row.
  if (const auto early = waiting_.take(key)) {
    LabelOpinion& opinion = rows_.back().opinion;
    opinion = *early;
    opinion.by = names_.number(waiting_.account(early->by));
    opinion.other_by = names_.number(waiting_.account(early->other_by));
    count_labels(opinion, 1);
    counts_.contested += opinion.contested() ? 1 : 0;
    labelled(rows_.size() - 1);
  }
  if (is_too_large()) thin();
}

/// In eights of bytes, of which a row of one output has sixteen.
bool LabelJoin::is_too_large() const noexcept {
  constexpr std::size_t kRow = 16;
  const std::size_t further = task_.outputs() > 1 ? task_.outputs() - 1 : 0;
  return rows_.size() * (kRow + further) + alternatives_.size() * further / 2 >
         options_.most_rows * kRow;
}

LabelJoin::Outcome LabelJoin::add_label(std::string_view id, double code, Micros event_time,
                                        std::string_view account) {
  if (!is_code(task_, code)) {
    ++counts_.malformed;
    return Outcome::kMalformed;
  }
  const auto value = static_cast<float>(code);
  const RowKey key = row_key(options_.secret, id);
  const auto at = find(key);
  if (!at) {
    // Its row was never kept, or will not be: waiting for it would be in vain.
    if (!sample_.always_takes(key)) {
      ++counts_.unsampled;
      return Outcome::kUnsampled;
    }
    counts_.forgotten += waiting_.add(key, value, event_time, account) ? 0 : 1;
    return Outcome::kWaiting;
  }
  Row& row = rows_[*at];
  const LabelOpinion before = row.opinion;
  const bool is_news = row.opinion.add(value, event_time, names_.number(account));
  const LabelOpinion& now = row.opinion;
  if (!is_news) return same_label(now.label, value) ? Outcome::kRepeated : Outcome::kIgnored;
  count_labels(before, -1);
  count_labels(now, 1);
  counts_.contested += now.contested() && !before.contested() ? 1 : 0;
  // A row that is in a piece already was labelled; one that is not goes into the next piece with
  // its label. A repeat counts with its later time: a label of between the two is the older one
  // then, whichever came first.
  if (row.sequence < kept_rows_) relabelled_.insert(row.sequence);
  if (!before.has_label()) {
    labelled(*at);
    return Outcome::kJoined;
  }
  if (now.contested()) return Outcome::kContested;
  return same_label(now.label, before.label) ? Outcome::kRepeated : Outcome::kChanged;
}

void LabelJoin::add_unknown_class(const std::string& name) {
  ++counts_.unknown_class;
  // Names are a sender's: they are bounded, and the sum goes on.
  if (unknown_classes_.size() < kMostUnknownClasses || unknown_classes_.contains(name))
    ++unknown_classes_[name];
}

/// By each account that has a say.
void LabelJoin::count_labels(const LabelOpinion& opinion, std::int64_t rows) {
  if (opinion.has_label()) rows_of_label_account_[opinion.by] += rows;
  if (opinion.has_other()) rows_of_label_account_[opinion.other_by] += rows;
}

/// The first label of a row that is kept.
void LabelJoin::labelled(std::size_t at) {
  const Row& row = rows_[at];
  // A row of a sample stands for all that were left out: the count is of rows that were served.
  labelled_by_day_[day_of(row.event_time)] += std::int64_t{1} << sample_.halvings_at(row.sequence);
  ++counts_.joined;
  // Accounts contradict each other about it: no trial learns from such a row.
  if (!row.opinion.stands()) return;
  auto alternatives = alternatives_of(row.sequence);
  if (alternatives.empty()) return;
  const auto margins = outputs_.primary(at);
  joined_.push_back({row.event_time,
                     {margins.begin(), margins.end()},
                     static_cast<double>(row.opinion.label),
                     names_.name(row.account),
                     row.opinion.confirmed() ? std::string() : names_.name(row.opinion.by),
                     std::move(alternatives)});
}

std::optional<std::size_t> LabelJoin::find(RowKey key) const {
  std::uint32_t place = 0;
  // The difference is right also where places have gone round.
  const auto row = [&](std::uint32_t at) { return std::size_t{std::uint32_t{at - front_}}; };
  const auto is = [&](std::uint32_t at) { return rows_[row(at)].key == key; };
  if (!index_.find(key, is, place)) return std::nullopt;
  return row(place);
}

LabelJoin::Rows::const_iterator LabelJoin::from_sequence(std::uint64_t sequence) const {
  return std::lower_bound(
      rows_.begin(), rows_.end(), sequence,
      [](const Row& row, std::uint64_t wanted) { return row.sequence < wanted; });
}

std::vector<TrialMargins> LabelJoin::alternatives_of(std::uint64_t sequence) const {
  std::vector<TrialMargins> out;
  auto at = std::lower_bound(
      alternatives_.begin(), alternatives_.end(), sequence,
      [](const Alternative& item, std::uint64_t wanted) { return item.sequence < wanted; });
  for (; at != alternatives_.end() && at->sequence == sequence; ++at) out.push_back(at->margins);
  return out;
}

/// Halves the sample, and what is kept with it.
void LabelJoin::thin() {
  sample_.halve();
  Rows rows;
  RowOutputs outputs(outputs_.outputs());
  index_.clear();
  rows_of_label_account_.clear();
  front_ = 0;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const Row& row = rows_[i];
    if (!sample_.holds(row.key, row.sequence)) continue;
    index_.insert(row.key, place_of(rows.size()));
    count_labels(row.opinion, 1);
    rows.push_back(row);
    outputs.push(outputs_.primary(i), outputs_.standby(i));
  }
  rows_ = std::move(rows);
  outputs_ = std::move(outputs);
  const auto gone = [&](const Alternative& item) {
    const auto at = from_sequence(item.sequence);
    return at == rows_.end() || at->sequence != item.sequence;
  };
  alternatives_.erase(std::remove_if(alternatives_.begin(), alternatives_.end(), gone),
                      alternatives_.end());
  waiting_.thin(sample_);
  refine_after_ = rows_.empty() ? INT64_MIN : rows_.back().event_time;
}

void LabelJoin::forget_front() {
  const std::uint64_t sequence = rows_.front().sequence;
  index_.erase(rows_.front().key, place_of(0));
  count_labels(rows_.front().opinion, -1);
  rows_.pop_front();
  outputs_.pop_front();
  ++front_;
  first_ = rows_.empty() ? next_ : rows_.front().sequence;
  while (!alternatives_.empty() && alternatives_.front().sequence <= sequence)
    alternatives_.pop_front();
}

void LabelJoin::prune(Micros before) {
  while (!rows_.empty() && rows_.front().event_time < before) forget_front();
  sample_.prune(first_);
  counts_.forgotten += waiting_.prune(before);
  const auto oldest = day_of(std::max(before, INT64_MIN + kMostDays * kDay)) - kMostDays;
  labelled_by_day_.erase(labelled_by_day_.begin(), labelled_by_day_.lower_bound(oldest));
  // Rows of the coarser sample are still among those kept: a finer one now would be halved again
  // when they grow.
  if (sample_.halvings() == 0 || refine_after_ >= before) return;
  // An eighth, so that a finer sample does not fill up at once: each halving and refining costs a
  // look at all rows.
  if (rows_.size() > options_.most_rows / kRoomToRefine) return;
  sample_.refine(next_);
  refine_after_ = rows_.empty() ? before : rows_.back().event_time;
}

void LabelJoin::clear() {
  rows_.clear();
  outputs_.clear();
  index_.clear();
  alternatives_.clear();
  waiting_.clear();
  joined_.clear();
  rows_of_label_account_.clear();
  labelled_by_day_.clear();
  counts_ = {};
  unknown_classes_.clear();
  refine_after_ = INT64_MIN;
  first_ = next_;
}

double LabelJoin::sample() const noexcept { return std::ldexp(1.0, -sample_.halvings()); }

/// Calls `take` with the place of each row of `epoch` with from <= event time < to that is in the
/// coarsest sample among them, so that no part of the time weighs more than another. That sample's
/// share.
template <class Take>
double LabelJoin::select(Micros from, Micros to, std::uint64_t epoch, Take take) const {
  const auto wanted = [&](const Row& row) {
    return row.event_time >= from && row.event_time < to && row.epoch == epoch;
  };
  const auto first = std::find_if(rows_.begin(), rows_.end(), wanted);
  if (first == rows_.end()) return 1;
  // Samples only get finer with time, so the first row's is the coarsest.
  const int halvings = sample_.halvings_at(first->sequence);
  for (auto row = first; row != rows_.end(); ++row) {
    if (wanted(*row) && RowSample::begins(row->key, halvings))
      take(static_cast<std::size_t>(row - rows_.begin()));
  }
  return std::ldexp(1.0, -halvings);
}

bool LabelJoin::add_to(Chunk& chunk, std::size_t at) const {
  const auto margins = outputs_.primary(at);
  // Accounts contradict each other about its label, or another slot answered.
  if (!rows_[at].opinion.stands() || std::isnan(margins[0])) return false;
  const auto standby = outputs_.standby(at);
  chunk.outputs = outputs_.outputs();
  chunk.margins.insert(chunk.margins.end(), margins.begin(), margins.end());
  chunk.standby.insert(chunk.standby.end(), standby.begin(), standby.end());
  chunk.codes.push_back(static_cast<double>(rows_[at].opinion.label));
  return true;
}

void LabelJoin::Chunk::append(const Chunk& other) {
  outputs = other.outputs;
  margins.insert(margins.end(), other.margins.begin(), other.margins.end());
  standby.insert(standby.end(), other.standby.begin(), other.standby.end());
  codes.insert(codes.end(), other.codes.begin(), other.codes.end());
}

LabelJoin::Chunk LabelJoin::collect(Micros from, Micros to, std::uint64_t epoch) const {
  Chunk chunk;
  chunk.outputs = outputs_.outputs();
  chunk.first = to;
  chunk.sample = select(from, to, epoch, [&](std::size_t at) {
    chunk.first = std::min(chunk.first, rows_[at].event_time);
    (void)add_to(chunk, at);
  });
  return chunk;
}

std::optional<Micros> LabelJoin::first_from(Micros from, std::uint64_t epoch) const {
  std::optional<Micros> first;
  for (const Row& row : rows_) {
    if (row.epoch == epoch && row.event_time >= from)
      first = std::min(first.value_or(row.event_time), row.event_time);
  }
  return first;
}

template <class Key>
auto LabelJoin::by(Key key, Micros from, Micros to, std::uint64_t epoch) const {
  std::map<decltype(key(rows_.front())), Chunk> out;
  const double sample = select(from, to, epoch, [&](std::size_t at) {
    Chunk one;
    if (add_to(one, at)) out[key(rows_[at])].append(one);
  });
  for (auto& [of, chunk] : out) chunk.sample = sample;
  return out;
}

std::map<LabelJoin::Sender, LabelJoin::Chunk> LabelJoin::by_sender(Micros from, Micros to,
                                                                   std::uint64_t epoch) const {
  const auto sender = [&](const Row& row) {
    return Sender{names_.name(row.account), names_.name(row.source)};
  };
  return by(sender, from, to, epoch);
}

LabelJoin::Chunks LabelJoin::by_account(Micros from, Micros to, std::uint64_t epoch) const {
  return by([&](const Row& row) { return names_.name(row.account); }, from, to, epoch);
}

LabelJoin::Chunks LabelJoin::by_label_account(Micros from, Micros to, std::uint64_t epoch) const {
  const auto alone = [&](const Row& row) {
    return row.opinion.confirmed() ? std::string() : names_.name(row.opinion.by);
  };
  return by(alone, from, to, epoch);
}

std::int64_t LabelJoin::label_accounts(std::int64_t least_rows) const {
  return std::count_if(
      rows_of_label_account_.begin(), rows_of_label_account_.end(),
      [&](const auto& item) { return item.first != 0 && item.second >= least_rows; });
}

std::vector<LabelJoin::Labelled> LabelJoin::labelled(Micros from, Micros to) const {
  std::vector<Labelled> out;
  for (std::size_t at = 0; at < rows_.size(); ++at) {
    const Row& row = rows_[at];
    if (row.event_time < from || row.event_time >= to || !row.opinion.has_label()) continue;
    const auto margins = outputs_.primary(at);
    // Of classes, the one that is predicted: rows are alike that the model takes for the same.
    const bool has_classes = task_.kind == stats::TaskKind::kClasses && !std::isnan(margins[0]);
    const float score = has_classes ? static_cast<float>(stats::Task::best(margins)) : margins[0];
    out.push_back({row.event_time, score, row.source, row.account, row.opinion});
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
  out.put(options_.secret);
  save_task(out, task_);
  out.put(first_);
  out.put(next_);
  out.put(std::uint64_t{rows_.size()});
  sample_.save(out);
  out.put(refine_after_);
  waiting_.save_head(out);
  for (const std::int64_t count : {counts_.joined, counts_.malformed, counts_.unknown_class,
                                   counts_.forgotten, counts_.unsampled, counts_.contested})
    out.put(count);
  out.put(std::uint64_t{unknown_classes_.size()});
  for (const auto& [name, count] : unknown_classes_) {
    out.put(name);
    out.put(count);
  }
  out.put(std::uint64_t{labelled_by_day_.size()});
  for (const auto& [day, count] : labelled_by_day_) {
    out.put(day);
    out.put(count);
  }
}

void LabelJoin::load_head(StateReader& in) {
  *this = LabelJoin(std::move(options_));
  options_.secret = in.text();
  task_ = load_task(in);
  outputs_ = RowOutputs(task_.outputs());
  first_ = in.u64();
  next_ = in.u64();
  loaded_rows_ = in.u64();
  sample_.load(in);
  refine_after_ = in.i64();
  waiting_.load_head(in);
  for (std::int64_t* count : {&counts_.joined, &counts_.malformed, &counts_.unknown_class,
                              &counts_.forgotten, &counts_.unsampled, &counts_.contested})
    *count = in.i64();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    std::string name = in.text();
    unknown_classes_[std::move(name)] = in.i64();
  }
  for (std::uint64_t n = in.count(); n > 0; --n) {
    const std::int64_t day = in.i64();
    labelled_by_day_.emplace(day, in.i64());
  }
}

/// Rows from sequence number `from` on, with their labels as they are now.
void LabelJoin::save_rows(StateWriter& out, std::uint64_t from) const {
  auto row = from_sequence(from);
  out.put(std::uint64_t{outputs_.outputs()});
  out.put(static_cast<std::uint64_t>(std::distance(row, rows_.end())));
  for (; row != rows_.end(); ++row) {
    out.put(row->sequence);
    out.put(row->key.high);
    out.put(row->key.low);
    out.put(row->event_time);
    out.put(std::uint64_t{row->epoch});
    out.put_floats(outputs_.both(static_cast<std::size_t>(row - rows_.begin())));
    save_opinion(out, row->opinion, names_);
    out.put(names_.name(row->source));
    out.put(names_.name(row->account));
    const auto alternatives = alternatives_of(row->sequence);
    out.put(std::uint64_t{alternatives.size()});
    for (const auto& [trial, margins] : alternatives) {
      out.put(std::uint64_t{trial});
      out.put_floats(margins);
    }
  }
}

std::size_t LabelJoin::changed() const noexcept {
  const auto unsaved = static_cast<std::size_t>(
      std::distance(from_sequence(std::max(kept_rows_, first_)), rows_.end()));
  return unsaved + relabelled_.size() + waiting_.changed();
}

std::optional<std::string> LabelJoin::changes() const {
  if (changed() == 0) return std::nullopt;
  StateWriter out;
  save_rows(out, std::max(kept_rows_, first_));
  // What was forgotten meanwhile, or is not in the sample any more, needs no label.
  std::vector<const Row*> rows;
  for (auto it = relabelled_.lower_bound(first_); it != relabelled_.end(); ++it) {
    const auto row = from_sequence(*it);
    if (row != rows_.end() && row->sequence == *it) rows.push_back(&*row);
  }
  out.put(std::uint64_t{rows.size()});
  for (const Row* row : rows) {
    out.put(row->sequence);
    save_opinion(out, row->opinion, names_);
  }
  waiting_.save_changes(out);
  return out.take();
}

void LabelJoin::save_whole(StateWriter& out) const {
  save_head(out);
  save_rows(out, first_);
  waiting_.save_whole(out);
}

LabelJoin::Lifetime LabelJoin::lifetime_of_changes() const {
  Lifetime until;
  if (from_sequence(std::max(kept_rows_, first_)) != rows_.end())
    until.rows_end = next_;
  else if (!relabelled_.empty())
    until.rows_end = *relabelled_.rbegin() + 1;
  until.waiting_end = waiting_.changed_until();
  return until;
}

void LabelJoin::kept(std::uint64_t number) {
  pieces_[number] = lifetime_of_changes();
  kept_rows_ = next_;
  relabelled_.clear();
  waiting_.kept();
}

std::vector<std::uint64_t> LabelJoin::spent() const {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, until] : pieces_) {
    if (until.rows_end <= first_ && until.waiting_end < waiting_.pruned_before())
      numbers.push_back(number);
  }
  return numbers;
}

void LabelJoin::dropped(std::span<const std::uint64_t> numbers) {
  for (const std::uint64_t number : numbers) pieces_.erase(number);
}

bool LabelJoin::load_piece(std::uint64_t number, std::string_view bytes) {
  StateReader in(bytes);
  Lifetime until;
  // Of a task of before: its rows were all forgotten.
  const std::uint64_t outputs = in.count();
  for (std::uint64_t n = in.count(); n > 0 && in.ok(); --n) {
    Row row;
    row.sequence = in.u64();
    row.key.high = in.u64();
    row.key.low = in.u64();
    row.event_time = in.i64();
    row.epoch = static_cast<std::uint32_t>(in.u64());
    const std::vector<float> margins = in.floats(2 * outputs);
    row.opinion = load_opinion(in, names_);
    row.source = names_.number(in.text());
    row.account = names_.number(in.text());
    const std::size_t before = alternatives_.size();
    for (std::uint64_t m = in.count(); m > 0; --m) {
      const auto trial = static_cast<std::uint32_t>(in.u64());
      alternatives_.push_back({row.sequence, {trial, in.floats(outputs)}});
    }
    until.rows_end = std::max(until.rows_end, row.sequence + 1);
    // Forgotten since, or sampled away.
    if (row.sequence < first_ || !sample_.holds(row.key, row.sequence)) {
      alternatives_.resize(before);
      continue;
    }
    // Pieces are in the order of rows; bytes that are not were not written by `save_rows`.
    if (!rows_.empty() && rows_.back().sequence >= row.sequence) return false;
    if (outputs != outputs_.outputs() || margins.size() != 2 * outputs) return false;
    index_.insert(row.key, place_of(rows_.size()));
    count_labels(row.opinion, 1);
    rows_.push_back(row);
    outputs_.push(std::span(margins).first(outputs), std::span(margins).last(outputs));
  }
  for (std::uint64_t n = in.count(); n > 0; --n) {
    const std::uint64_t sequence = in.u64();
    const LabelOpinion opinion = load_opinion(in, names_);
    until.rows_end = std::max(until.rows_end, sequence + 1);
    const auto at = from_sequence(sequence);
    if (at == rows_.end() || at->sequence != sequence) continue;
    Row& row = rows_[static_cast<std::size_t>(std::distance(rows_.cbegin(), at))];
    count_labels(row.opinion, -1);
    row.opinion = opinion;
    count_labels(row.opinion, 1);
  }
  until.waiting_end = waiting_.load_changes(in);
  pieces_[number] = until;
  kept_rows_ = next_;
  return in.done();
}

}  // namespace heddle::watch
