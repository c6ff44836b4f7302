#include "control/service_control.hpp"

#include <algorithm>
#include <chrono>

#include "base/failpoint.hpp"
#include "base/file.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "base/signature.hpp"
#include "bundle/bundle.hpp"
#include "control/applied.hpp"
#include "control/outbox.hpp"
#include "control/recipes.hpp"
#include "control/stored_rows.hpp"
#include "control/watched_route.hpp"
#include "doc/json.hpp"
#include "flow/variant.hpp"
#include "plane/route_file.hpp"
#include "plane/segment.hpp"
#include "recover/stored.hpp"
#include "score/plan.hpp"
#include "store/stored_number.hpp"
#include "watch/finding_format.hpp"

namespace heddle::control {
namespace {

constexpr auto kPumpSlice = std::chrono::milliseconds(20);
constexpr std::size_t kMostUnsaved = 20'000;  ///< rows and labels: 2 MB
/// Segments of the journal that are read again after a crash: their room is nobody's until then.
constexpr std::uint64_t kMostUnsavedSegments = 4;

// Collections of the state, each with keys `<service>/...`.
constexpr std::string_view kControl = "control";
constexpr std::string_view kWatchParts = "watch";
constexpr std::string_view kWatchRows = "watch-rows";  ///< pieces of the label join, written once

std::string snapshot_key(const std::string& service) { return service + "/snapshot"; }
std::string cohorts_key(const std::string& service) { return service + "/cohorts"; }
std::string piece_key(const std::string& service, std::uint64_t number) {
  return fmt::format("{}/{:020}", service, number);
}

/// Of another version nothing is wrong: the Heddle that wrote it goes on with it.
Result<Snapshot> parse_snapshot(std::string_view bytes) {
  const auto& schema = snapshot_schema();
  const auto value = doc::parse_json(bytes);
  const auto* format = value.ok() ? value->find("format") : nullptr;
  if (format != nullptr && format->is_string() && format->as_string() != schema.format) {
    return Error{ErrorKind::kConflict, "control-state-version",
                 fmt::format("the state of the control plane is `{}`", format->as_string()),
                 fmt::format("this heddle reads `{}`: run the one that wrote it", schema.format)};
  }
  return schema.parse_text(bytes);
}

std::int64_t retrain_rows(const spec::ServiceBounds& bounds) {
  return bounds.retrain_max_rows > 0 ? bounds.retrain_max_rows : recover::kRetrainRows;
}

}  // namespace

ServiceControl::ServiceControl(const ServiceParts& parts, const spec::Service& service)
    : parts_(parts),
      service_(service),
      published_(*parts.home, *parts.state, *parts.control_key, service.identity.name),
      comparing_(work_parts(parts, service.identity.name)),
      works_(work_parts(parts, service.identity.name)) {}

Result<std::unique_ptr<ServiceControl>> ServiceControl::open(const ServiceParts& parts,
                                                             const spec::Service& service) {
  std::unique_ptr<ServiceControl> control(new ServiceControl(parts, service));
  const auto& project = *parts.project;
  auto options = ladder_options(project, service);
  HEDDLE_ASSIGN_OR_RETURN(
      auto watch,
      watch::Watch::open({options.monitor, options.contract, options.fields, {random_bytes(16)}}));
  control->watch_ = std::make_unique<watch::Watch>(std::move(watch));
  control->watched_.emplace(*parts.objects, *control->watch_, service.identity.name);
  control->bounds_ = spec::bounds_of(project, service.identity.name);
  control->ladder_ = std::make_unique<recover::Ladder>(std::move(options));
  control->decide_on(*control->ladder_);
  HEDDLE_TRY(control->restore());
  return control;
}

void ServiceControl::decide_on(const recover::Ladder& ladder) {
  const ServiceDecisions::On on{published_, *watched_, works_, journal_, bounds_};
  decisions_.emplace(parts_, service_.identity.name, on);
  effects_.emplace(parts_, service_, *decisions_, on, ladder);
}

Result<void> ServiceControl::restore() {
  const std::string& name = service_.identity.name;
  plane::JournalPosition position;
  std::vector<std::pair<std::uint64_t, Digest>> versions;
  HEDDLE_TRY(parts_.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_TRY(published_.restore(txn));
    HEDDLE_ASSIGN_OR_RETURN(versions, published_.primaries(txn));
    HEDDLE_ASSIGN_OR_RETURN(const auto snapshot, txn.get(kControl, snapshot_key(name)));
    if (snapshot) HEDDLE_TRY(restore_snapshot(txn, *snapshot, position));
    HEDDLE_TRY(restore_by_hand(txn));
    HEDDLE_TRY(effects_->restore(txn));
    HEDDLE_TRY(works_.restore(txn));
    return {};
  }));
  // Outside the transaction: a baseline is read from the object store, and rows of the journal may
  // be of any of these releases.
  for (const auto& [version, primary] : versions) {
    HEDDLE_TRY(watched_->know(primary, version));
  }
  HEDDLE_ASSIGN_OR_RETURN(
      auto journal, ServiceJournal::open(parts_.home->spool(service_.identity.name), position));
  journal_.emplace(std::move(journal));
  // The table is published again: the crash may have come between the commit and the file.
  // Without a release there is no table: the data plane answers 503 by itself.
  if (releases().version() > 0) {
    HEDDLE_TRY(try_alternatives());
    failpoint("control-restored");
    HEDDLE_TRY(published_.publish());
  }
  return {};
}

Result<void> ServiceControl::restore_snapshot(store::Txn& txn, std::string_view snapshot,
                                              plane::JournalPosition& position) {
  const std::string& name = service_.identity.name;
  HEDDLE_ASSIGN_OR_RETURN(auto saved, parse_snapshot(snapshot));
  // A row that is written again with the same bytes is not written: these are the bytes.
  rows_.known(kControl, snapshot_key(name), snapshot);
  position.segment = saved.segment;
  position.offset = saved.offset;
  applied_ = saved.applied;
  // The watermark follows from reading on: a route of the last tick may not be applied yet.
  last_tick_ = saved.tick;
  snapshot_day_ = saved.day;
  finding_count_ = saved.findings;
  clock_jump_ = std::move(saved.clock_jump);
  HEDDLE_TRY(each_row(txn, kIncidents, name + "/", recover::incident_schema(),
                      [&](auto key, auto bytes, recover::Incident incident) {
                        rows_.known(kIncidents, key, bytes);
                        saved.ladder.incidents.push_back(std::move(incident));
                      }));
  ladder_->restore(std::move(saved.ladder));
  HEDDLE_TRY(restore_watch(txn));
  // Last, since a state from before canaries ends here.
  HEDDLE_ASSIGN_OR_RETURN(const auto cohorts, txn.get(kControl, cohorts_key(name)));
  if (!cohorts) return {};  // the canary is judged from now on
  rows_.known(kControl, cohorts_key(name), *cohorts);
  HEDDLE_TRY(cohorts_.restore(*cohorts));
  look_ = std::move(saved.look);
  promotion_ = std::move(saved.promotion);
  next_look_ = saved.next_look;
  told_at_ = saved.told_at;
  return {};
}

Result<void> ServiceControl::restore_watch(store::Txn& txn) {
  const std::string prefix = service_.identity.name + "/";
  std::map<std::string, std::string> parts;
  std::map<std::uint64_t, std::string> pieces;
  HEDDLE_TRY(txn.scan(kWatchParts, prefix, [&](std::string_view key, std::string_view bytes) {
    rows_.known(kWatchParts, key, bytes);
    parts.emplace(key.substr(prefix.size()), bytes);
    return true;
  }));
  std::optional<Error> damaged;
  HEDDLE_TRY(txn.scan(kWatchRows, prefix, [&](std::string_view key, std::string_view bytes) {
    const auto piece =
        store::stored_number(key.substr(prefix.size()), fmt::format("{}/{}", kWatchRows, key));
    if (!piece.ok()) {
      damaged = piece.error();
      return false;
    }
    pieces.emplace(*piece, bytes);
    return true;
  }));
  if (damaged) return *damaged;
  if (parts.empty())
    return {};  // migrated from a version whose watch state is not read: the watch begins anew
  return watch_->restore(parts, pieces);
}

Result<bool> ServiceControl::pump() {
  // The control thread serves people and other services between two slices.
  const auto until = std::chrono::steady_clock::now() + kPumpSlice;
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(auto record, journal_->next());
    // The journal was read to its end: whoever calls comes back in a few milliseconds.
    if (!record) break;
    const auto* tick = std::get_if<plane::TickRecord>(&*record);
    // One that the data plane would refuse today: to decide at the end of time is to decide never
    // again.
    if (tick != nullptr && !plane::is_event_time(tick->event_time)) tick = nullptr;
    if (tick != nullptr) {
      HEDDLE_ASSIGN_OR_RETURN(const bool ended, works_.ended_by(tick->event_time));
      // Work that was to end by this tick still runs. The tick is decided when it has, so that a
      // replay and a slow machine decide the same.
      if (!ended) {
        journal_->hold(*std::move(record));
        return false;
      }
    }
    HEDDLE_TRY(take_record(*record));
    // After everybody has heard it: a detector closes its windows at the tick.
    if (tick != nullptr) HEDDLE_TRY(decide(tick->event_time));
    // There may be more; the caller comes back.
    if (std::chrono::steady_clock::now() > until) return true;
  }
  // A replay in lockstep goes on from here: all that was decided is what the data plane answers by.
  // Only once the data plane has applied what was decided: a replay must not send the next rows to
  // the release of before.
  if (applied_ >= releases().version()) watermark_ = std::max(watermark_, last_tick_);
  // A journal of which nothing was ever read cannot be missed: the first place is saved before the
  // first tick. What waits for a tick, or was not taken from here yet, is in no snapshot.
  const bool waits = !moves_.empty() || !acts_.empty() || !tls_files_.empty();
  if (!journal_->has_place() && journal_->position().segment > 0 && !waits)
    HEDDLE_TRY(save_snapshot());
  return false;
}

/// What a record says, to all that hear it; a tick is decided afterwards.
Result<void> ServiceControl::take_record(plane::Record& record) {
  const auto* const act = std::get_if<plane::ActRecord>(&record);
  // Before the watch sees it: a jump decides what time the following records are of.
  if (act != nullptr) HEDDLE_TRY(follow_clock(*act));
  watch::Output output;
  const double sample = watch_->sample();
  watch_->observe(record, output);
  if (watch_->sample() != sample) {
    log::warn("`{}`: of the rows that come now one in {:.0f} is kept for its label",
              service_.identity.name, 1 / watch_->sample());
  }
  observe_cohorts(record);
  for (auto& finding : output.findings) new_findings_.push_back(std::move(finding));
  for (auto& move : output.moves) moves_.push_back(std::move(move));
  if (auto* applied = std::get_if<plane::AppliedRecord>(&record)) {
    // A data plane that starts anew reports its first table again.
    applied_ = std::max(applied_, applied->route_version);
    sandboxes_ = std::move(applied->sandboxes);
  }
  if (act != nullptr && !hear_tls_files(*act)) acts_.push_back(*act);
  // Before the tick is decided: what the data plane did by itself is a fact that decisions see.
  return take_up(record);
}

void ServiceControl::observe_cohorts(const plane::Record& record) {
  const auto& run = releases().canary();
  if (!run.running()) return;
  cohorts_.follow(run.started, run.stepped, watch_->task());
  if (const auto* request = std::get_if<plane::RequestRecord>(&record)) cohorts_.observe(*request);
  if (const auto* label = std::get_if<plane::LabelRecord>(&record)) cohorts_.observe(*label);
}

bool ServiceControl::hear_tls_files(const plane::ActRecord& act) {
  if (act.act == plane::kCertificateAct) {
    // Kept until its CA follows.
    certificate_ = act.target;
    return true;
  }
  // The data plane reports the certificate first and then the CA: both are one set of files.
  if (act.act != plane::kClientCaAct) return false;
  tls_files_.push_back({act.id, certificate_, act.target});
  return true;
}

Result<void> ServiceControl::decide(Micros event_time) {
  // A tick sent twice (its answer was lost) decides nothing; what came since the last one waits for
  // the next.
  if (event_time <= ladder_->last_tick()) return {};
  // Everything that came since the last tick at once: what was decided must not hang on how records
  // fell into slices of time.
  const auto performed = ladder_->on_tick(event_time, moves_, acts_, *watch_, *effects_);
  last_tick_ = std::max(last_tick_, event_time);
  take_by_hand();
  HEDDLE_TRY(try_alternatives());
  HEDDLE_TRY(decide_canary(event_time));
  bool settled = !moves_.empty() || !acts_.empty();
  for (const auto& [action, outcome] : performed) {
    using Status = recover::Outcome::Status;
    // What is in the ledger has to be in the snapshot's state too, or it would be decided again
    // from the place before. A question that waits is nothing new.
    if (outcome.status == Status::kApplied || outcome.status == Status::kDenied ||
        outcome.status == Status::kFailed)
      settled = true;
    if (!outcome.note.empty() &&
        (outcome.status == Status::kFailed || outcome.status == Status::kRunning))
      log::warn("{} {}: {}", action.op_id, recover::status_name(outcome.status), outcome.note);
  }
  moves_.clear();
  acts_.clear();
  const Micros day = event_time / kDay;
  // A piece is one value of the state, and what came since the last one is read again after a
  // crash: neither grows with traffic.
  const bool full =
      watch_->changed() >= kMostUnsaved || journal_->unsaved_segments() >= kMostUnsavedSegments;
  // Not at every tick: a snapshot costs a transaction, and a journal that is read again to the same
  // tick decides the same.
  if (settled || decisions_->is_unsaved() || full || day != snapshot_day_) {
    snapshot_day_ = day;
    decisions_->saved();
    failpoint("control-decided");
    HEDDLE_TRY(save_snapshot());
    journal_->trim();  // only now is nothing before the reader's place needed after a crash
  }
  return {};
}

Result<void> ServiceControl::save_snapshot() {
  const auto position = journal_->position();
  const std::string& name = service_.identity.name;
  const auto finished = ladder_->finished();
  const auto change = watch_->change();
  std::uint64_t count = finding_count_;
  const auto saved = parts_.state->write([&](store::Txn& txn) -> Result<void> {
    count = finding_count_;
    // Numbered on from those that are stored. The store may run this again, so the count begins
    // anew each time.
    for (const auto& finding : new_findings_) {
      HEDDLE_TRY(txn.put(kFindings, fmt::format("{}/{:010}", name, count++),
                         doc::to_json(finding.to_value())));
    }
    HEDDLE_TRY(save_incidents(txn, finished));
    HEDDLE_TRY(drop_by_hand(txn));
    HEDDLE_TRY(works_.drop_taken(txn));  // the ladder that is saved here has what they found
    const Snapshot snapshot{position.segment, position.offset, applied_, last_tick_,
                            snapshot_day_,    clock_jump_,     count,    look_,
                            promotion_,       next_look_,      told_at_, ladder_->state()};
    HEDDLE_TRY(rows_.put(txn, kControl, snapshot_key(name),
                         doc::to_json(snapshot_schema().print(snapshot))));
    failpoint("control-snapshot");
    HEDDLE_TRY(rows_.put(txn, kControl, cohorts_key(name), cohorts_.save()));
    return save_watch(txn, change);
  });
  // What was noted as written counts only when the transaction did.
  rows_.ended(saved.ok());
  HEDDLE_TRY(saved);
  // From here on nothing fails: memory follows what is committed.
  journal_->saved();
  ladder_->let_go(finished);
  works_.forget_taken();
  std::erase_if(by_hand_, [&](const auto& act) { return act.number <= ladder_->by_hand(); });
  watch_->stored(change);
  finding_count_ = count;
  new_findings_.clear();
  return {};
}

/// Each incident is a row, written when it changed; those that are finished are written for the
/// last time, among the closed ones.
Result<void> ServiceControl::save_incidents(store::Txn& txn,
                                            const std::vector<std::string>& finished) {
  for (const auto& incident : ladder_->incidents()) {
    const auto key = service_.identity.name + "/" + incident.id;
    const auto bytes = doc::to_json(recover::incident_schema().print(incident));
    if (std::find(finished.begin(), finished.end(), incident.id) == finished.end()) {
      HEDDLE_TRY(rows_.put(txn, kIncidents, key, bytes));
    } else {
      // For the last time: the ladder lets it go, and no snapshot writes it again.
      HEDDLE_TRY(txn.put(kClosedIncidents, key, bytes));
      HEDDLE_TRY(rows_.erase(txn, kIncidents, key));
    }
  }
  return {};
}

Result<void> ServiceControl::save_watch(store::Txn& txn, const watch::Watch::Change& change) {
  const std::string& name = service_.identity.name;
  for (const auto& [part, bytes] : change.parts)
    HEDDLE_TRY(rows_.put(txn, kWatchParts, name + "/" + part, bytes));
  if (change.piece)
    HEDDLE_TRY(txn.put(kWatchRows, piece_key(name, change.piece->first), change.piece->second));
  for (const auto number : change.spent) HEDDLE_TRY(txn.erase(kWatchRows, piece_key(name, number)));
  return {};
}

Result<std::vector<recover::Incident>> ServiceControl::incidents() const {
  std::vector<recover::Incident> all;
  HEDDLE_TRY(parts_.state->read([&](store::Txn& txn) {
    return each_row(
        txn, kClosedIncidents, service_.identity.name + "/", recover::incident_schema(),
        [&](auto, auto, recover::Incident incident) { all.push_back(std::move(incident)); });
  }));
  const auto& hot = ladder_->incidents();
  all.insert(all.end(), hot.begin(), hot.end());
  // `incident-0042`: a number of five digits comes after one of four.
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::pair(a.id.size(), a.id) < std::pair(b.id.size(), b.id);
  });
  return all;
}

Result<void> ServiceControl::take_policies(const spec::Project& project, std::uint64_t decision) {
  bounds_ = spec::bounds_of(project, service_.identity.name);
  ladder_->bound_retrain(retrain_rows(bounds_));
  // On a copy: the table that serves stays as it is where nothing comes of it.
  release::Releases next = releases();
  next.allow_fail_over(bounds_.fail_over_allowed, fail_over_of(bounds_.fail_over));
  // Nothing was ever released, or the bound is as it was: a new table would say nothing new.
  if (releases().version() == 0 || next.version() == releases().version()) return {};
  const Micros now = last_tick_ == INT64_MIN ? 0 : last_tick_;
  HEDDLE_TRY(parts_.state->write([&](store::Txn& txn) {
    return published_.store(txn, next, kApplyAction, now, fmt::format("ledger/{}", decision));
  }));
  if (!next.primary().empty()) HEDDLE_TRY(watched_->know(next.primary(), next.version()));
  published_.take(std::move(next));
  return published_.publish();
}

WatchReply ServiceControl::watched() const {
  const auto* unwatched = watched_->unwatched();
  WatchReply out;
  out.watched = unwatched == nullptr;
  if (!out.watched) out.why = *unwatched;
  for (auto& told : watch_->silence().metrics()) {
    auto& metric = out.metrics.emplace_back();
    metric.metric = std::move(told.name);
    metric.waits_for = std::move(told.waits_for);
    metric.deadline = format_duration(told.deadline);
    if (told.since != INT64_MAX) metric.since = format_time(told.since);
    metric.rows = told.rows;
    metric.silent = watch_->alerts().find(watch::silent_key(metric.metric)) != nullptr;
    if (!metric.silent) continue;
    // Silence comes first in the line: a metric that cannot fire is worse than one that has.
    out.line += (out.line.empty() ? "silent: `" : ", `") + metric.metric + "`";
    out.silent.push_back(metric.metric);
  }
  out.labelled_quality = parts_.project->monitors.at(service_.monitor).labelled_quality;
  if (!out.watched) out.line = "none: " + *unwatched;
  if (out.watched && out.line.empty())
    out.line =
        out.labelled_quality ? "columns and labelled quality" : "columns; no quality section";
  if (const auto lost = watch_->unrecorded().line(); !lost.empty())
    out.line += "; not recorded: " + lost;
  const auto& rows = watch_->row_counts();
  out.rows = watch_->rows_seen();
  out.in_windows = rows.taken;
  out.partial = rows.partial;
  out.late = rows.late;
  out.ahead = rows.ahead;
  out.unwatched = rows.unwatched;
  out.other_release = rows.other_epoch;
  const auto& labels = watch_->labels();
  out.labels_joined = labels.joined;
  out.labels_waiting = watch_->labels_waiting();
  out.labels_forgotten = labels.forgotten;
  out.labels_malformed = labels.malformed;
  out.labels_unknown_class = labels.unknown_class;
  out.labels_unsampled = labels.unsampled;
  out.labels_contested = labels.contested;
  for (const auto& [account, count] : watch_->labels_given_up())
    out.labels_given_up[account] = count;
  out.sample = watch_->sample();
  for (const auto& [account, gap] : watch_->unrecorded().gaps())
    out.unrecorded[account] = {gap.requests, gap.labels, format_time(gap.since), gap.goes_on,
                               gap.why};
  return out;
}

Result<std::vector<watch::Finding>> ServiceControl::findings() const {
  std::vector<watch::Finding> out;
  HEDDLE_TRY(parts_.state->read([&](store::Txn& txn) {
    return each_row(txn, kFindings, service_.identity.name + "/", watch::finding_schema(),
                    [&](auto, auto, watch::Finding finding) { out.push_back(std::move(finding)); });
  }));
  out.insert(out.end(), new_findings_.begin(), new_findings_.end());
  return out;
}

Result<void> ServiceControl::take_up(const plane::Record& record) {
  policy::Proposal proposal;
  proposal.target = "service/" + service_.identity.name;
  proposal.actor = {policy::ActorType::kSystem, "system:data-plane"};
  proposal.event_time = last_tick_ == INT64_MIN ? 0 : last_tick_;
  std::string id;
  const auto* act = std::get_if<plane::ActRecord>(&record);
  if (const auto* stop = std::get_if<plane::StopRecord>(&record)) {
    id = stop->id;
    // The journal is read again after a crash: it is in the ledger.
    if (releases().acknowledged(id)) return {};
    if (releases().stopped()) return stopped_again(id);
    proposal.action = "service.stop";
    proposal.reason = fmt::format("stopped on the data plane by `{}`", stop->by);
  } else if (act != nullptr && act->act == "fail-over") {
    id = act->id;
    proposal.action = "slot.fail-over";
    proposal.reason = "the data plane failed over: " + act->reason;
  } else if (act != nullptr && act->act == "canary-abort") {
    id = act->id;
    proposal.action = "canary.abort";
    proposal.reason = "the data plane ended the canary: " + act->reason;
  } else {
    return {};
  }
  // By the act's own id, so that it is applied once, however often the journal is read.
  proposal.op_id = fmt::format("{}/{}/{}", service_.identity.name, proposal.action, id);
  Digest left;
  if (proposal.action == "slot.fail-over") {
    // The slot that was left is said by its bundle:
    // which of the two serves may have changed since.
    HEDDLE_ASSIGN_OR_RETURN(left, Digest::parse(act->target));
  }
  // The act is about the canary of the table that was in force there, which may be over here.
  const Digest canary = canary_of(applied_);
  const auto decision =
      decisions_->change_releases(proposal, [&](release::Releases& next) -> Result<void> {
        if (proposal.action == "slot.fail-over") next.acknowledge_fail_over(id, left);
        if (proposal.action == "canary.abort") next.acknowledge_canary_abort(id, canary);
        if (proposal.action == "service.stop") {
          next.acknowledge(id);
          next.stop();
        }
        return {};
      });
  if (!decision.ok()) return decision.error();
  // It has happened all the same: the ledger has the denial, and a person is to see the policy.
  if (!decision->applied) {
    log::error("policy does not cover what the data plane did: {} (rule `{}`)", proposal.reason,
               decision->rules.empty() ? "default-deny" : decision->rules.front());
  }
  return {};
}

/// A stop of what is stopped is in the ledger already. It stands on the data plane until a route
/// table names it, which the next one does: one that lets the service go on, for example.
Result<void> ServiceControl::stopped_again(const std::string& id) {
  auto next = releases();
  next.acknowledge_with_next(id);
  return published_.note(std::move(next));
}

Digest ServiceControl::canary_of(std::uint64_t version) const {
  const auto& run = releases().canary();
  if (run.running() && run.started <= version) return run.canary.bundle;
  return {};
}

void ServiceControl::end_work() { works_.stop(); }

Result<Asked> ServiceControl::set_stopped(bool stopped, const policy::Actor& actor) {
  if (stopped && releases().stopped()) {
    // Decided and not published: the disk was full in between.
    if (!published_.is_published()) HEDDLE_TRY(published_.publish());
    HEDDLE_ASSIGN_OR_RETURN(const auto entry, parts_.policy->stop_entry(service_.identity.name));
    return Asked{.applied = true, .entry = entry.value_or(0)};
  }
  policy::Proposal proposal;
  proposal.action = stopped ? "service.stop" : "service.resume";
  proposal.op_id = fmt::format("{}/{}/{}", service_.identity.name, proposal.action,
                               uuid7());  // asked by hand: never again
  proposal.target = "service/" + service_.identity.name;
  proposal.actor = actor;
  proposal.reason =
      stopped ? "stopped: requests are answered 503 until a person resumes" : "resumed by a person";
  proposal.event_time = last_tick_ == INT64_MIN ? 0 : last_tick_;
  if (!stopped) {
    // Whoever lets it go on lets it go on in spite of these too, and the entry says so.
    HEDDLE_ASSIGN_OR_RETURN(auto stops, journal_->unread_stops());
    if (stops.size() > 0) proposal.attributes.set("stops", std::move(stops));
    return asked_by_hand(std::move(proposal), {}, "", false);
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto decision, carry_out(proposal));
  return Asked{.applied = true, .entry = decision.entry};
}

}  // namespace heddle::control
