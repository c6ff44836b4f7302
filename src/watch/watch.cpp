#include "watch/watch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "stats/quality.hpp"

namespace heddle::watch {

namespace {

constexpr std::string_view kFormat = "heddle.watch-state/8";

/// None for no prediction.
std::vector<float> margins_of(const stats::Task& task, const std::vector<float>& prediction) {
  // Of another task than the route's: nothing can be said of it.
  if (prediction.size() != task.outputs()) return {};
  return stats::margins_of(task, prediction);
}

std::string key_of(const Route& route) { return route.primary.hex() + "/" + route.repair; }

std::vector<table::DateFormat> layouts_of(const spec::Field& field) {
  std::vector<table::DateFormat> out;
  for (const auto& layout : field.repairs.dates) {
    // The contract was compiled: its layouts are good.
    if (auto format = table::DateFormat::compile(layout); format.ok())
      out.push_back(std::move(*format));
  }
  return out;
}

/// A time as the contract reads it, before any transform.
std::optional<Micros> time_of(const plane::FieldValue& field,
                              const std::vector<table::DateFormat>& layouts) {
  if (field.kind == expr::Datum::Kind::kString && !layouts.empty()) {
    for (const auto& layout : layouts) {
      if (const auto time = layout.parse(field.s)) return time;
    }
    return std::nullopt;
  }
  const expr::Datum time = datum_of(field, expr::Type::kTimestamp);
  return time.kind == expr::Datum::Kind::kTimestamp ? std::optional(time.i) : std::nullopt;
}

}  // namespace

Watch::Watch(Options options, std::vector<Named> made)
    : options_(std::move(options)),
      join_(options_.join),
      detectors_(std::move(made)),
      quality_(the<QualityWindows>()),
      silence_(the<Silence>()),
      unrecorded_(the<Unrecorded>()),
      accounts_(options_.monitor.window_rows) {
  for (const auto& name : options_.fields) {
    const auto& fields = options_.contract.fields;
    const auto at = std::find_if(fields.begin(), fields.end(),
                                 [&](const spec::Field& field) { return field.name == name; });
    types_.push_back(at == fields.end() ? expr::Type::kDyn : at->type);
    auto& layouts = layouts_.emplace_back();
    if (at != fields.end()) layouts = layouts_of(*at);
  }
}

template <class D>
D* Watch::the() const {
  for (const Named& each : detectors_) {
    if (auto* found = dynamic_cast<D*>(each.detector.get())) return found;
  }
  HEDDLE_CHECK(false, "the table of detectors lacks one that the watch asks");
  return nullptr;
}

Result<Watch> Watch::open(Options options) {
  std::vector<Named> made;
  for (const DetectorKind* kind : watch::detectors().rows()) {
    HEDDLE_ASSIGN_OR_RETURN(auto detector, kind->make(options));
    made.push_back({kind, std::move(detector)});
  }
  return Watch(std::move(options), std::move(made));
}

void Watch::register_route(Route route) {
  const std::uint64_t version = route.version;
  // Labels that come before the first row are of what answers first.
  if (epoch_ == 0) join_.begin(route.task);
  // A route table that is read again replaces its first reading: after a restart the journal is
  // replayed from an earlier place.
  routes_.insert_or_assign(version, std::move(route));
}

void Watch::observe(const plane::Record& record, Output& out) {
  if (const auto* request = std::get_if<plane::RequestRecord>(&record)) {
    observe_request(*request, out);
  } else if (const auto* label = std::get_if<plane::LabelRecord>(&record)) {
    // One that says it is from the future waits as long as one of today.
    const Micros latest =
        watermark_ == INT64_MIN ? plane::kLatestEvent : watermark_ + plane::kFarthestAhead;
    take_label(*label, std::min(label->event_time, latest));
    const std::size_t settled = out.findings.size();
    for (const Named& each : detectors_) each.detector->label(*label, out.findings);
    settle(settled, watermark_ == INT64_MIN ? label->event_time : watermark_, out);
    try_alternatives();
  } else if (const auto* tick = std::get_if<plane::TickRecord>(&record)) {
    observe_tick(tick->event_time, out);
  } else if (const auto* gap = std::get_if<plane::GapRecord>(&record)) {
    // Before the first tick nobody knows what time it is here.
    const Micros now = std::max(watermark_, last_row_);
    const std::size_t settled = out.findings.size();
    for (const Named& each : detectors_)
      each.detector->gap(*gap, now == INT64_MIN ? 0 : now, out.findings);
    settle(settled, now, out);
  } else if (const auto* act = std::get_if<plane::ActRecord>(&record)) {
    observe_clock(*act, out);
  }
}

void Watch::take_label(const plane::LabelRecord& label, Micros event_time) {
  const auto code = join_.task().code_of(label.label);
  if (!code.ok() && code.error().id == "label-class-unknown") {
    join_.add_unknown_class(stats::to_string(label.label));
    return;
  }
  // A label that is of no type of the task is counted as malformed there, by its NaN.
  (void)join_.add_label(label.row_id, code.ok() ? *code : std::numeric_limits<double>::quiet_NaN(),
                        event_time, label.account);
}

void Watch::observe_clock(const plane::ActRecord& act, Output& out) {
  // The data plane's clock is what is in doubt, so the alert stands at the watch's own time.
  const Micros at = watermark_ == INT64_MIN ? act.event_time : watermark_;
  if (act.act == "clock-jump") {
    const std::size_t settled = out.findings.size();
    out.findings.push_back(clock_jumped(act.reason, act.event_time, at));
    settle(settled, at, out);
  } else if (act.act == "clock-set") {
    // Two ticks that agree clear the alert.
    const auto latest = latest_.find(std::string(kClockKey));
    if (latest != latest_.end()) latest->second.alert = false;
  }
}

void Watch::set_back(Micros to) {
  // Time that only goes on needs no new beginning.
  if (to >= watermark_) return;
  watermark_ = to;
  begin_anew(to);
  // A finding that ends after `to` would count as newer than all that are to come. The alert about
  // the clock is why time was set back, and stays until ticks agree.
  std::erase_if(latest_, [&](const auto& item) {
    return item.second.to > to && item.second.key != kClockKey;
  });
}

/// What was seen so far is of another time: windows, runs and rows that wait for labels begin at
/// `at`.
void Watch::begin_anew(Micros at) {
  last_row_ = INT64_MIN;
  epoch_key_.clear();  // the next row begins a new epoch, and its windows
  for (const Named& each : detectors_) each.detector->set_back(at, rows_);
  join_.clear();
  clocks_ = {};
  trials_ = {};
  accounts_ = Accounts(options_.monitor.window_rows);
}

void Watch::enter(const Route& route, Micros event_time) {
  route_version_ = route.version;
  std::string key = key_of(route);
  // Another version of the same primary with the same repairs, for example a new canary, changes
  // nothing of what the windows hold.
  if (key == epoch_key_) return;
  epoch_key_ = std::move(key);
  ++epoch_;
  // Losses of two tasks have no common unit.
  if (route.task != join_.task()) trials_ = {};
  join_.begin(route.task);
  // Everything after the last row of the epoch before is this one's; of the very first one, nothing
  // is known before its first row.
  const Micros from = last_row_ == INT64_MIN ? event_time : last_row_ + 1;
  for (const Named& each : detectors_) each.detector->start({epoch_, from, rows_});
  // What was said of the primary before is not said of this one. What is about rows, labels and the
  // journal stands: no release changes those.
  alerts_.new_epoch();
  std::erase_if(latest_, [](const auto& item) {
    const Subject subject = item.second.subject;
    return subject != Subject::kContract && subject != Subject::kMonitor &&
           subject != Subject::kAnswers && subject != Subject::kLabels &&
           subject != Subject::kJournal;
  });
}

/// One such row would be the last row of the epoch for years, and the windows of the next epoch
/// would begin there.
bool Watch::too_far_ahead(Micros event_time) const noexcept {
  if (!plane::is_event_time(event_time)) return true;
  return watermark_ != INT64_MIN && event_time > watermark_ + plane::kFarthestAhead;
}

void Watch::observe_request(const plane::RequestRecord& request, Output& out) {
  const auto rows = static_cast<std::int64_t>(request.rows.size());
  // The newest route that is not newer than the one which answered.
  auto it = routes_.upper_bound(request.route_version);
  const bool ahead = too_far_ahead(request.event_time);
  if (ahead || it == routes_.begin()) {
    rows_seen_ += rows;
    (ahead ? rows_.ahead : rows_.unwatched) += rows;
    return;
  }
  const Route& route = std::prev(it)->second;
  // Replies of the route before still come after the first of the new one: they are counted as of
  // another epoch, and do not begin the old one again.
  if (route.version >= route_version_) enter(route, request.event_time);
  const bool of_epoch = key_of(route) == epoch_key_;
  // Rows come out of order; the next epoch begins after the latest of them.
  if (of_epoch) last_row_ = std::max(last_row_, request.event_time);
  accounts_.add(request.account, request.event_time,
                std::count_if(request.rows.begin(), request.rows.end(), [](const auto& row) {
                  return row.outcome == plane::RowOutcome::kServed;
                }));
  const Baseline* baseline = route.baseline.get();
  const std::size_t settled = out.findings.size();
  // What standby and canary answer says nothing about the primary's predictions.
  const bool by_primary = request.slot != "standby" && request.slot != "canary";
  const std::vector<std::uint32_t> trials = trials_of(route);
  for (std::size_t index = 0; index < request.rows.size(); ++index) {
    const plane::RowRecord& row = request.rows[index];
    ++rows_seen_;
    read_clocks(request, row);
    std::vector<plane::FieldValue> repaired;
    const std::vector<plane::FieldValue>* fields = &row.fields;
    if (route.apply_repair) {
      // What the primary scored is the row after its repairs.
      repaired = row.fields;
      route.apply_repair(repaired);
      fields = &repaired;
    }
    const SeenRow seen{request,    row,      *fields,  options_.fields, types_,
                       route.task, baseline, of_epoch, by_primary,      rows_};
    for (const Named& each : detectors_) each.detector->row(seen, out.findings);
    if (seen.served() && of_epoch) join_row(seen, index, route, trials);
  }
  if (!trials.empty()) try_alternatives();
  settle(settled, request.event_time, out);
}

/// Numbers of the route's trials, in the order of its alternatives.
std::vector<std::uint32_t> Watch::trials_of(const Route& route) {
  std::vector<std::uint32_t> trials;
  for (const Alternative& alternative : route.alternatives) {
    std::optional<TrialIntervals> intervals;
    if (alternative.quantile && route.interval)
      intervals = TrialIntervals{*route.interval, *alternative.quantile};
    trials.push_back(trials_.number(alternative.trial, alternative.candidate, intervals));
  }
  return trials;
}

/// Of the fields before transforms: a repair of a clock is proven by the rows before it.
void Watch::read_clocks(const plane::RequestRecord& request, const plane::RowRecord& row) {
  for (std::size_t i = 0; i < row.fields.size() && i < types_.size(); ++i) {
    if (types_[i] != expr::Type::kTimestamp) continue;
    if (const auto time = time_of(row.fields[i], layouts_[i]))
      clocks_.add(request.account, options_.fields[i], *time, request.event_time);
  }
}

/// A trial compares two answers to one row: where standby or canary answered, there is none of the
/// primary, and nothing to compare.
void Watch::join_row(const SeenRow& seen, std::size_t index, const Route& route,
                     std::span<const std::uint32_t> trials) {
  const plane::RequestRecord& request = seen.request;
  const std::string id = request.request_id + "#" + std::to_string(index);
  const auto margins =
      seen.by_primary ? margins_of(route.task, seen.row.prediction) : std::vector<float>{};
  const auto standby = margins_of(route.task, seen.row.standby_prediction);
  ServedRow joined{id,      request.event_time, epoch_,         margins,
                   standby, request.source,     request.account};
  for (std::size_t i = 0; seen.by_primary && i < trials.size(); ++i) {
    auto other = route.alternatives[i].margins(seen.row.fields);
    if (!other.empty()) joined.alternatives.emplace_back(trials[i], std::move(other));
  }
  join_.add_row(joined);
}

/// Before the first tick nobody knows what time it is here: a request that somebody tried in the
/// present, before years that are past were replayed, belongs to no window of theirs.
void Watch::forget_what_is_ahead(Micros event_time) {
  join_.cap_waiting(event_time + plane::kFarthestAhead);
  if (last_row_ == INT64_MIN || last_row_ <= event_time + plane::kFarthestAhead) return;
  begin_anew(event_time);
  rows_.ahead += std::exchange(rows_.taken, 0) + std::exchange(rows_.partial, 0);
}

void Watch::try_alternatives() {
  const auto joined = join_.take_joined();
  if (joined.empty()) return;
  const double median = baseline() == nullptr ? 0 : baseline()->label_median;
  for (const TrialRow& row : joined) {
    // Answered by another slot.
    if (std::isnan(row.margins[0])) continue;
    trials_.add(join_.task(), row, row.event_time / options_.monitor.quality.chunk_duration,
                median);
  }
}

const Baseline* Watch::baseline() const {
  const auto route = routes_.find(route_version_);
  return route == routes_.end() ? nullptr : route->second.baseline.get();
}

const stats::Conformal* Watch::interval() const {
  const auto route = routes_.find(route_version_);
  return route == routes_.end() || !route->second.interval ? nullptr : &*route->second.interval;
}

IntervalRefit Watch::refit_interval(Micros from, std::span<const double> offsets) const {
  const stats::Conformal* served = interval();
  if (served == nullptr) return {};
  return watch::refit_interval(task(), join_.collect(from, INT64_MAX, epoch_), *served, offsets);
}

double Watch::loss_scale() const { return baseline() == nullptr ? 1 : baseline()->label_scale; }

std::int64_t Watch::rows_of_chunk() const {
  // What the last chunk had says best how many rows the next will have, where labels are slow to
  // come.
  const auto at = latest_.find("quality/ratio");
  return at == latest_.end() ? options_.monitor.quality.chunk_rows : at->second.rows;
}

void Watch::observe_tick(Micros event_time, Output& out) {
  // A journal that is read again brings ticks that were decided on before.
  if (event_time <= watermark_ || !plane::is_event_time(event_time)) return;
  if (watermark_ == INT64_MIN) forget_what_is_ahead(event_time);
  watermark_ = event_time;
  const auto route = routes_.find(route_version_);
  const bool is_routed = route != routes_.end();
  const SeenTick tick{event_time,
                      is_routed ? route->second.baseline.get() : nullptr,
                      is_routed && route->second.interval ? &*route->second.interval : nullptr,
                      is_routed,
                      is_routed ? std::string_view(route->second.unwatched) : std::string_view(),
                      join_,
                      alerts_,
                      latest_,
                      accounts_.several(),
                      several_label(),
                      rows_};
  // Each sees what those before it found.
  for (const Named& each : detectors_) {
    const std::size_t settled = out.findings.size();
    each.detector->tick(tick, out.findings);
    settle(settled, event_time, out);
  }
  // After the detectors, which may still need the oldest rows in this tick.
  join_.prune(event_time - options_.monitor.label_retention);
  accounts_.prune(event_time - options_.monitor.label_retention);
}

void Watch::settle(std::size_t from, Micros at, Output& out) {
  // First, because what is pushed here is to be settled below with the others.
  for (std::size_t i = from, n = out.findings.size(); i < n; ++i) {
    const std::string metric = silence_->report(out.findings[i].key);
    if (alerts_.find(silent_key(metric)) != nullptr)
      out.findings.push_back(heard_again(metric, at));
  }
  for (std::size_t i = from; i < out.findings.size(); ++i) {
    Finding& finding = out.findings[i];
    finding.epoch = epoch_;
    latest_.insert_or_assign(finding.key, finding);
  }
  // All of them are known before the first alert is: a diagnosis looks at its neighbours.
  for (std::size_t i = from; i < out.findings.size(); ++i) {
    for (Alert& move : alerts_.update(out.findings[i], at, rows_seen_))
      out.moves.push_back(std::move(move));
  }
}

Watch::Change Watch::change() const {
  Change change;
  const auto part = [&](std::string name, const auto& write) {
    StateWriter out;
    write(out);
    change.parts.emplace_back(std::move(name), out.take());
  };
  part("head", [&](StateWriter& out) {
    out.put(kFormat);
    out.put(epoch_);
    out.put(route_version_);
    out.put(epoch_key_);
    out.put(watermark_);
    out.put(last_row_);
    out.put(rows_seen_);
    for (const std::int64_t count :
         {rows_.taken, rows_.partial, rows_.late, rows_.ahead, rows_.unwatched, rows_.other_epoch})
      out.put(count);
    join_.save_head(out);
  });
  for (const Named& each : detectors_)
    part(std::string(each.kind->name()), [&](StateWriter& out) { each.detector->save(out); });
  part("clocks", [&](StateWriter& out) { clocks_.save(out); });
  part("trials", [&](StateWriter& out) { trials_.save(out); });
  part("accounts", [&](StateWriter& out) { accounts_.save(out); });
  part("alerts", [&](StateWriter& out) { alerts_.save(out); });
  part("latest", [&](StateWriter& out) {
    out.put(std::uint64_t{latest_.size()});
    for (const auto& [key, finding] : latest_) save_finding(out, finding);
  });
  if (auto piece = join_.changes()) change.piece = {next_piece_, *std::move(piece)};
  change.spent = join_.spent();
  return change;
}

void Watch::stored(const Change& change) {
  if (change.piece) {
    join_.kept(change.piece->first);
    next_piece_ = change.piece->first + 1;
  }
  join_.dropped(change.spent);
}

std::string Watch::save() const {
  StateWriter out;
  for (const auto& [name, bytes] : change().parts) out.put(bytes);
  join_.save_whole(out);
  return out.take();
}

bool Watch::load(const std::map<std::string, std::string>& parts,
                 const std::map<std::uint64_t, std::string>& pieces) {
  bool whole = true;
  const auto part = [&](const std::string& name, const auto& read) {
    const auto at = parts.find(name);
    if (at == parts.end()) {
      whole = false;
      return;
    }
    StateReader in(at->second);
    read(in);
    whole = whole && in.done();
  };
  part("head", [&](StateReader& in) {
    (void)in.text();
    epoch_ = in.u64();
    route_version_ = in.u64();
    epoch_key_ = in.text();
    watermark_ = in.i64();
    last_row_ = in.i64();
    rows_seen_ = in.i64();
    for (std::int64_t* count : {&rows_.taken, &rows_.partial, &rows_.late, &rows_.ahead,
                                &rows_.unwatched, &rows_.other_epoch})
      *count = in.i64();
    join_.load_head(in);
  });
  for (const Named& each : detectors_) {
    const std::string name(each.kind->name());
    // One that a program added since the state was saved begins anew.
    if (!parts.contains(name) && !watch::detectors().is_built_in(*each.kind)) continue;
    part(name, [&](StateReader& in) { each.detector->load(in); });
  }
  part("clocks", [&](StateReader& in) { clocks_.load(in); });
  part("trials", [&](StateReader& in) { trials_.load(in); });
  part("accounts", [&](StateReader& in) { accounts_.load(in); });
  part("alerts", [&](StateReader& in) { alerts_.load(in); });
  part("latest", [&](StateReader& in) {
    latest_.clear();
    for (std::uint64_t n = in.count(); n > 0; --n) {
      Finding finding = load_finding(in);
      std::string key = finding.key;
      latest_.emplace(std::move(key), std::move(finding));
    }
  });
  for (const auto& [number, bytes] : pieces) {
    whole = whole && join_.load_piece(number, bytes);
    next_piece_ = number + 1;
  }
  return whole && join_.loaded();
}

Result<void> Watch::restore(const std::map<std::string, std::string>& parts,
                            const std::map<std::uint64_t, std::string>& pieces) {
  // The version is looked at before anything is read: the bytes of another one mean something else.
  const auto head = parts.find("head");
  if (head != parts.end() && StateReader(head->second).text() != kFormat) {
    return Error{ErrorKind::kConflict, "watch-state-version",
                 "another version of heddle saved the state of the watch",
                 fmt::format("this one reads `{}`", kFormat)};
  }
  if (!load(parts, pieces)) {
    return Error{ErrorKind::kCorrupt, "watch-state", "the saved state of the watch is not whole",
                 "restore `.heddle/state.db` from a backup"};
  }
  return {};
}

}  // namespace heddle::watch
