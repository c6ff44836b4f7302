#include "control/service_control.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "base/failpoint.hpp"
#include "base/file.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "base/signature.hpp"
#include "bundle/bundle.hpp"
#include "contract/contract.hpp"
#include "control/applied.hpp"
#include "control/outbox.hpp"
#include "control/recipes.hpp"
#include "control/recorded.hpp"
#include "control/service_rows.hpp"
#include "control/stored_rows.hpp"
#include "control/work_files.hpp"
#include "doc/json.hpp"
#include "flow/variant.hpp"
#include "plane/route_file.hpp"
#include "plane/segment.hpp"
#include "recover/stored.hpp"
#include "score/calibration.hpp"
#include "score/plan.hpp"
#include "watch/baseline_format.hpp"

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

/// A value of a typed row as the journal holds values.
plane::FieldValue to_field_value(const expr::Datum& datum) {
  plane::FieldValue value;
  value.kind = datum.kind;
  switch (datum.kind) {
    case expr::Datum::Kind::kString: value.s = std::string(datum.str()); break;
    case expr::Datum::Kind::kDouble: value.d = datum.d; break;
    case expr::Datum::Kind::kBool: value.i = datum.b ? 1 : 0; break;
    case expr::Datum::Kind::kNull:
    case expr::Datum::Kind::kError: break;
    default: value.i = datum.i;
  }
  return value;
}

plane::FailOver fail_over_of(const spec::FailOverRule& rule) {
  return {static_cast<std::uint32_t>(rule.requests), rule.failed_share, rule.refused_share,
          static_cast<std::uint32_t>(rule.most)};
}

std::int64_t retrain_rows(const spec::ServiceBounds& bounds) {
  return bounds.retrain_max_rows > 0 ? bounds.retrain_max_rows : recover::kRetrainRows;
}

}  // namespace

ServiceControl::ServiceControl(const ServiceParts& parts, const spec::Service& service)
    : parts_(parts),
      service_(service),
      releases_(service.identity.name),
      comparing_(*parts.home, parts.runner, parts.executable, service.identity.name) {}

Result<std::unique_ptr<ServiceControl>> ServiceControl::open(const ServiceParts& parts,
                                                             const spec::Service& service) {
  std::unique_ptr<ServiceControl> control(new ServiceControl(parts, service));
  const auto& project = *parts.project;
  const auto& model = project.models.at(service.model);
  const auto& contract = project.contracts.at(project.feature_sets.at(model.features).contract);
  const auto& monitor = project.monitors.at(service.monitor);
  std::vector<std::string> fields;
  for (const auto& field : contract.fields) {
    if (!field.label_time) fields.push_back(field.name);
  }
  HEDDLE_ASSIGN_OR_RETURN(auto watch,
                          watch::Watch::open({monitor, contract, fields, {random_bytes(16)}}));
  control->watch_ = std::make_unique<watch::Watch>(std::move(watch));
  recover::Ladder::Options options;
  options.service = service.identity.name;
  options.monitor = monitor;
  options.contract = contract;
  options.fields = fields;
  options.readmit_after = service.readmit_after;
  for (const auto& [name, evaluation] : project.evaluations) {
    if (evaluation.model == service.model) options.evaluation_file = evaluation.identity.file;
  }
  control->bounds_ = spec::bounds_of(project, service.identity.name);
  options.retrain_rows = retrain_rows(control->bounds_);
  control->ladder_ = std::make_unique<recover::Ladder>(std::move(options));
  HEDDLE_TRY(control->restore());
  return control;
}

Result<void> ServiceControl::restore() {
  const std::string& name = service_.identity.name;
  plane::JournalPosition position;
  std::vector<std::pair<std::uint64_t, Digest>> versions;
  HEDDLE_TRY(parts_.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto releases, txn.get("releases", name));
    if (releases) {
      HEDDLE_ASSIGN_OR_RETURN(const auto value, doc::parse_json(*releases));
      HEDDLE_ASSIGN_OR_RETURN(releases_, release::Releases::from_value(value));
    }
    HEDDLE_TRY(each_row(txn, kRoutes, name + "/", route_row_schema(),
                        [&](auto, auto, const RouteRow& route) {
                          if (!route.primary.empty())
                            versions.emplace_back(route.version, route.primary);
                        }));
    HEDDLE_ASSIGN_OR_RETURN(const auto snapshot, txn.get(kControl, snapshot_key(name)));
    if (snapshot) HEDDLE_TRY(restore_snapshot(txn, *snapshot, position));
    HEDDLE_TRY(restore_by_hand(txn));
    HEDDLE_TRY(each_row(txn, kVariants, name + "/", repaired_schema(),
                        [&](std::string_view key, auto, const Repaired& made) {
                          variants_[std::string(key.substr(name.size() + 1))] = made;
                        }));
    HEDDLE_TRY(each_row(
        txn, kRetrains, name + "/", retrain_row_schema(),
        [&](auto, auto, RetrainRow row) { retrains_.push_back({std::move(row), {}, false}); }));
    return {};
  }));
  std::sort(versions.begin(), versions.end());
  for (const auto& [version, primary] : versions) {
    HEDDLE_TRY(know_route(primary, version));
  }
  const std::string spool = parts_.home->spool(service_.identity.name);
  HEDDLE_TRY(make_dirs(spool));
  if (position.segment > 0 && !path_exists(plane::segment_path(spool, position.segment))) {
    // To wait for that number would be to hear nothing until the data plane has written so many.
    journal_lost_ = fmt::format("segment {} is gone", position.segment);
    position = {};
  }
  HEDDLE_ASSIGN_OR_RETURN(reader_, plane::JournalReader::open(spool, position));
  saved_segment_ = position.segment;
  if (releases_.version() > 0) {
    HEDDLE_TRY(try_alternatives());
    failpoint("control-restored");
    HEDDLE_TRY(publish());
  }
  return {};
}

Result<void> ServiceControl::restore_snapshot(store::Txn& txn, std::string_view snapshot,
                                              plane::JournalPosition& position) {
  const std::string& name = service_.identity.name;
  HEDDLE_ASSIGN_OR_RETURN(auto saved, parse_snapshot(snapshot));
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
  HEDDLE_ASSIGN_OR_RETURN(const auto cohorts, txn.get(kControl, cohorts_key(name)));
  if (!cohorts) return {};  // the canary is judged from now on
  rows_.known(kControl, cohorts_key(name), *cohorts);
  HEDDLE_TRY(cohorts_.restore(*cohorts));
  look_ = std::move(saved.look);
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
  HEDDLE_TRY(txn.scan(kWatchRows, prefix, [&](std::string_view key, std::string_view bytes) {
    pieces.emplace(std::strtoull(std::string(key.substr(prefix.size())).c_str(), nullptr, 10),
                   bytes);
    return true;
  }));
  if (parts.empty())
    return {};  // migrated from a version whose watch state is not read: the watch begins anew
  return watch_->restore(parts, pieces);
}

Result<void> ServiceControl::know_route(const Digest& primary, std::uint64_t version) {
  auto route = route_of(primary, version);
  if (!route.ok() &&
      (route.error().kind == ErrorKind::kCorrupt || route.error().kind == ErrorKind::kNotFound)) {
    // The data plane refuses such a bundle and answers from the standby; to end here would end that
    // too. The watch raises an alert instead: nothing is watched.
    log::error("service `{}`: route {} is not watched, its bundle cannot be read: {}",
               service_.identity.name, version, route.error().str());
    watch::Route bare;
    bare.primary = primary;
    bare.version = version;
    bare.unwatched = route.error().message;
    bare.task = watch_->task();
    route = std::move(bare);
  }
  HEDDLE_TRY(route);
  watch_->register_route(*route);
  routes_.push_back(*std::move(route));
  return {};
}

Result<watch::Route> ServiceControl::route_of(const Digest& primary, std::uint64_t version) {
  if (const auto cached = route_cache_.find(primary); cached != route_cache_.end()) {
    auto route = cached->second;
    route.version = version;
    return route;
  }
  watch::Route route;
  route.primary = primary;
  HEDDLE_ASSIGN_OR_RETURN(const auto bundle, bundle::open(*parts_.objects, primary));
  HEDDLE_ASSIGN_OR_RETURN(const auto profile, bundle.layer(bundle::kBaseline));
  HEDDLE_ASSIGN_OR_RETURN(auto baseline, watch::baseline_schema().parse_text(profile));
  route.baseline = std::make_shared<const watch::Baseline>(std::move(baseline));
  route.task = bundle.config().task;
  HEDDLE_ASSIGN_OR_RETURN(const auto calibration_value, bundle.json(bundle::kCalibration));
  HEDDLE_ASSIGN_OR_RETURN(const auto calibration,
                          score::calibration_schema().parse(calibration_value));
  route.interval = calibration.interval;
  HEDDLE_ASSIGN_OR_RETURN(const auto contract_value, bundle.json(bundle::kContract));
  HEDDLE_ASSIGN_OR_RETURN(auto contract, contract::Contract::from_value(contract_value));
  for (const auto& id : contract.transform_ids())
    route.repair += (route.repair.empty() ? "" : ",") + id;
  if (!route.repair.empty()) {
    auto shared = std::make_shared<const contract::Contract>(std::move(contract));
    auto check = std::make_shared<contract::RowCheck>();
    auto raw = std::make_shared<std::vector<expr::Datum>>();
    route.apply_repair = [shared, check, raw](std::vector<plane::FieldValue>& fields) {
      raw->clear();
      for (const auto& field : fields) raw->push_back(field.datum());
      shared->check(*raw, *check);
      if (check->refused) return;
      std::vector<plane::FieldValue> repaired;
      for (const auto& datum : check->row) repaired.push_back(to_field_value(datum));
      fields = std::move(repaired);
    };
  }
  route_cache_[primary] = route;
  route.version = version;
  return route;
}

Result<bool> ServiceControl::pump() {
  const auto until = std::chrono::steady_clock::now() + kPumpSlice;
  watch::Output output;
  for (;;) {
    std::optional<plane::Record> record = std::move(held_);
    held_.reset();
    if (!record) {
      HEDDLE_ASSIGN_OR_RETURN(record, reader_->next());
    }
    if (!record) break;
    const auto* tick = std::get_if<plane::TickRecord>(&*record);
    // One that the data plane would refuse today: to decide at the end of time is to decide never
    // again.
    if (tick != nullptr && !plane::is_event_time(tick->event_time)) tick = nullptr;
    if (tick != nullptr) {
      HEDDLE_ASSIGN_OR_RETURN(const bool ended, retrains_ended(tick->event_time));
      if (!ended) {
        held_ = std::move(record);
        return false;
      }
    }
    if (const auto* act = std::get_if<plane::ActRecord>(&*record)) HEDDLE_TRY(follow_clock(*act));
    output.findings.clear();
    output.moves.clear();
    const double sample = watch_->sample();
    watch_->observe(*record, output);
    if (watch_->sample() != sample) {
      log::warn("`{}`: of the rows that come now one in {:.0f} is kept for its label",
                service_.identity.name, 1 / watch_->sample());
    }
    if (const auto& run = releases_.canary(); run.running()) {
      cohorts_.follow(run.started, run.stepped, watch_->task());
      if (const auto* request = std::get_if<plane::RequestRecord>(&*record))
        cohorts_.observe(*request);
      if (const auto* label = std::get_if<plane::LabelRecord>(&*record)) cohorts_.observe(*label);
    }
    for (auto& finding : output.findings) new_findings_.push_back(std::move(finding));
    for (auto& move : output.moves) moves_.push_back(std::move(move));
    if (auto* applied = std::get_if<plane::AppliedRecord>(&*record)) {
      applied_ = std::max(applied_, applied->route_version);
      sandboxes_ = std::move(applied->sandboxes);
    }
    if (const auto* act = std::get_if<plane::ActRecord>(&*record);
        act != nullptr && !hear_tls_files(*act))
      acts_.push_back(*act);
    HEDDLE_TRY(take_up(*record));
    if (tick != nullptr) HEDDLE_TRY(decide(tick->event_time));
    if (std::chrono::steady_clock::now() > until) return true;
  }
  if (applied_ >= releases_.version()) watermark_ = std::max(watermark_, last_tick_);
  // A journal of which nothing was ever read cannot be missed: the first place is saved before the
  // first tick. What waits for a tick, or was not taken from here yet, is in no snapshot.
  const bool waits = !moves_.empty() || !acts_.empty() || !tls_files_.empty();
  if (saved_segment_ == 0 && reader_->position().segment > 0 && !waits) HEDDLE_TRY(save_snapshot());
  return false;
}

bool ServiceControl::hear_tls_files(const plane::ActRecord& act) {
  if (act.act == plane::kCertificateAct) {
    certificate_ = act.target;
    return true;
  }
  if (act.act != plane::kClientCaAct) return false;
  tls_files_.push_back({act.id, certificate_, act.target});
  return true;
}

Result<void> ServiceControl::decide(Micros event_time) {
  // A tick sent twice (its answer was lost) decides nothing; what came since the last one waits for
  // the next.
  if (event_time <= ladder_->last_tick()) return {};
  const auto performed = ladder_->on_tick(event_time, moves_, acts_, *watch_, *this);
  last_tick_ = std::max(last_tick_, event_time);
  take_by_hand();
  HEDDLE_TRY(try_alternatives());
  HEDDLE_TRY(decide_canary(event_time));
  bool settled = !moves_.empty() || !acts_.empty();
  for (const auto& [action, outcome] : performed) {
    using Status = recover::Outcome::Status;
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
  const bool full = watch_->changed() >= kMostUnsaved ||
                    reader_->position().segment >= saved_segment_ + kMostUnsavedSegments;
  if (settled || decided_ || full || day != snapshot_day_) {
    snapshot_day_ = day;
    decided_ = false;
    failpoint("control-decided");
    HEDDLE_TRY(save_snapshot());
    trim_traffic();  // only now is nothing before the reader's place needed after a crash
  }
  return {};
}

Result<void> ServiceControl::save_snapshot() {
  const auto position = reader_->position();
  const std::string& name = service_.identity.name;
  const auto finished = ladder_->finished();
  const auto change = watch_->change();
  std::uint64_t count = finding_count_;
  const auto saved = parts_.state->write([&](store::Txn& txn) -> Result<void> {
    count = finding_count_;
    for (const auto& finding : new_findings_) {
      HEDDLE_TRY(txn.put("findings", fmt::format("{}/{:010}", name, count++),
                         doc::to_json(finding.to_value())));
    }
    HEDDLE_TRY(save_incidents(txn, finished));
    HEDDLE_TRY(drop_by_hand(txn));
    // The ladder that is saved here has their result.
    for (const auto& retrain : retrains_) {
      if (retrain.taken) HEDDLE_TRY(txn.erase(kRetrains, name + "/" + retrain.row.name));
    }
    const Snapshot snapshot{position.segment, position.offset, applied_,        last_tick_,
                            snapshot_day_,    clock_jump_,     count,           look_,
                            next_look_,       told_at_,        ladder_->state()};
    HEDDLE_TRY(rows_.put(txn, kControl, snapshot_key(name),
                         doc::to_json(snapshot_schema().print(snapshot))));
    failpoint("control-snapshot");
    HEDDLE_TRY(rows_.put(txn, kControl, cohorts_key(name), cohorts_.save()));
    return save_watch(txn, change);
  });
  rows_.ended(saved.ok());
  HEDDLE_TRY(saved);
  saved_segment_ = position.segment;
  ladder_->let_go(finished);
  std::erase_if(retrains_, [](const auto& retrain) { return retrain.taken; });
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

Result<bool> ServiceControl::retrains_ended(Micros event_time) {
  for (auto& retrain : retrains_) {
    if (retrain.row.due > event_time) {
      HEDDLE_TRY(retrain_ended(retrain));  // starts it again when a crash ended it
      continue;
    }
    HEDDLE_ASSIGN_OR_RETURN(const bool ended, retrain_ended(retrain));
    if (!ended) return false;
  }
  return true;
}

Result<bool> ServiceControl::retrain_ended(Retrain& retrain) {
  if (path_exists(retrain.row.dir + "/result.json")) return true;
  if (!retrain.handle) {
    HEDDLE_TRY(make_dirs(retrain.row.dir));
    if (!path_exists(retrain.row.dir + "/request.json"))
      HEDDLE_TRY(write_file_atomic(retrain.row.dir + "/request.json", retrain.row.request));
    jobs::Job job;
    job.name = retrain.row.name;
    job.argv = {parts_.executable, "--project", parts_.home->root(),
                "worker",          "retrain",   retrain.row.dir};
    job.output_path = retrain.row.dir + "/log";
    HEDDLE_ASSIGN_OR_RETURN(retrain.handle, parts_.runner->start(job));
    failpoint("control-retrain-started");
    return false;
  }
  HEDDLE_ASSIGN_OR_RETURN(const bool finished, parts_.runner->finished(*retrain.handle));
  if (!finished) return false;
  HEDDLE_ASSIGN_OR_RETURN(const auto outcome, parts_.runner->wait(*retrain.handle));
  if (path_exists(retrain.row.dir + "/result.json")) return true;
  // It ended without a result: that is its result, with the reason for people.
  RetrainResult failed;
  failed.failed = fmt::format("the retrain ended with exit code {}; its log is `{}/log`",
                              outcome.exit_code, retrain.row.dir);
  HEDDLE_TRY(write_file_atomic(retrain.row.dir + "/result.json", to_json(failed)));
  return true;
}

Result<void> ServiceControl::publish() {
  HEDDLE_TRY(make_dirs(parts_.home->routes()));
  std::string decision;
  HEDDLE_TRY(parts_.state->read([&](store::Txn& txn) -> Result<void> {
    const auto key = fmt::format("{}/{:010}", service_.identity.name, releases_.version());
    HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get(kRoutes, key));
    if (!row) return {};
    auto route = route_row_schema().parse_text(*row);
    if (!route.ok()) return in_row(kRoutes, key, std::move(route.error()));
    decision = route->decision;
    return {};
  }));
  plane::RouteFile file{releases_.route(decision)};
  if (const auto& run = releases_.canary(); run.running())
    file.draw_secret = plane::draw_secret(*parts_.control_key, file.table.service, run.started);
  HEDDLE_TRY(plane::write_route_file(parts_.home->route(service_.identity.name), file,
                                     *parts_.control_key));
  published_ = releases_.version();
  return {};
}

Result<void> ServiceControl::store_releases(store::Txn& txn, const release::Releases& next,
                                            std::string_view action, Micros event_time,
                                            const std::string& decision) {
  const std::string& name = service_.identity.name;
  HEDDLE_TRY(txn.put("releases", name, doc::to_json(next.to_value())));
  const bool has_canary = next.canary().running();
  const RouteRow row{next.version(),
                     std::string(action),
                     next.primary(),
                     next.standby(),
                     has_canary ? next.canary().canary.bundle : Digest(),
                     next.canary().canary.weight,
                     next.shadow(),
                     event_time,
                     decision};
  return txn.put(kRoutes, fmt::format("{}/{:010}", name, next.version()),
                 doc::to_json(route_row_schema().print(row)));
}

Result<bool> ServiceControl::was_released(const Digest& bundle) const {
  bool found = false;
  HEDDLE_TRY(parts_.state->read([&](store::Txn& txn) {
    return each_row(txn, kRoutes, service_.identity.name + "/", route_row_schema(),
                    [&](auto, auto, const RouteRow& route) {
                      for (const auto& slot : {route.primary, route.standby, route.canary})
                        found = found || slot == bundle;
                    });
  }));
  return found;
}

Result<policy::Decision> ServiceControl::act(const policy::Proposal& proposal, const Write& apply,
                                             const std::function<Result<void>()>& possible,
                                             const Beside& beside) {
  const auto with_question = [&](store::Txn& txn, const policy::Decision& made) -> Result<void> {
    if (made.effect == policy::Effect::kRequireApproval && !made.applied) {
      auto question = doc::Value::object(
          {{"kind", "approval"},
           {"approval", made.approval},
           {"service", service_.identity.name},
           {"action", proposal.action},
           {"event_time", format_time(proposal.event_time)},
           {"text", proposal.reason},
           {"next", fmt::format("heddle approve {} --person NAME --key FILE", made.approval)}});
      if (!proposal.incident.empty()) question.set("incident", proposal.incident);
      HEDDLE_TRY(parts_.outbox->put(txn, "approval/" + made.approval, question));
    }
    return beside ? beside(txn, made) : Result<void>();
  };
  auto decision = parts_.policy->act(proposal, apply, possible, with_question);
  parts_.outbox->wake();
  return decision;
}

Result<policy::Decision> ServiceControl::change_releases(
    const policy::Proposal& given, const std::function<Result<void>(release::Releases&)>& change,
    const Write& also, const Beside& beside) {
  policy::Proposal proposal = given;
  proposal.binds = binds_of(proposal);
  const auto changed = [&](release::Releases& into) -> Result<void> {
    into = releases_;
    into.allow_fail_over(bounds_.fail_over_allowed, fail_over_of(bounds_.fail_over));
    HEDDLE_TRY(change(into));
    return keep_comparable(into, releases_.primary(), tasks());
  };
  release::Releases next = releases_;
  const auto apply = [&](store::Txn& txn) -> Result<void> {
    HEDDLE_TRY(changed(next));
    next.forget_others();
    HEDDLE_ASSIGN_OR_RETURN(const auto entries, txn.log_size());
    HEDDLE_TRY(store_releases(txn, next, proposal.action, proposal.event_time,
                              fmt::format("ledger/{}", entries - 1)));
    if (also) HEDDLE_TRY(also(txn));
    if (proposal.action == "release.promote" && next.primary() != releases_.primary())
      HEDDLE_TRY(accept_search(txn, *parts_.objects, next.primary()));
    // Whatever else waits and is not true any more ends with this decision, in its transaction.
    return parts_.policy->void_stale(
        txn, [&](const policy::Approval& approval) { return made_untrue(approval, next); });
  };
  const auto possible = [&]() -> Result<void> {
    release::Releases tried = releases_;
    return changed(tried);
  };
  HEDDLE_ASSIGN_OR_RETURN(const auto decision, act(proposal, apply, possible, beside));
  if (!decision.applied || decision.repeated) return decision;
  decided_ = true;
  // The watch must know the route before the first record that was answered by it.
  if (!next.primary().empty()) HEDDLE_TRY(know_route(next.primary(), next.version()));
  releases_ = std::move(next);
  failpoint("control-route-committed");
  HEDDLE_TRY(publish());
  failpoint("control-route-published");
  return decision;
}

Result<void> ServiceControl::take_policies(const spec::Project& project, std::uint64_t decision) {
  bounds_ = spec::bounds_of(project, service_.identity.name);
  ladder_->bound_retrain(retrain_rows(bounds_));
  release::Releases next = releases_;
  next.allow_fail_over(bounds_.fail_over_allowed, fail_over_of(bounds_.fail_over));
  if (releases_.version() == 0 || next.version() == releases_.version()) return {};
  const Micros now = last_tick_ == INT64_MIN ? 0 : last_tick_;
  HEDDLE_TRY(parts_.state->write([&](store::Txn& txn) {
    return store_releases(txn, next, kApplyAction, now, fmt::format("ledger/{}", decision));
  }));
  if (!next.primary().empty()) HEDDLE_TRY(know_route(next.primary(), next.version()));
  releases_ = std::move(next);
  return publish();
}

Result<void> ServiceControl::recorded(Micros from, Micros to,
                                      const std::function<bool(const plane::Record&)>& sink) {
  return read_recorded(parts_.home->spool(service_.identity.name), from, to, reader_->position(),
                       sink);
}

doc::Value ServiceControl::watch_value() const {
  const bool watched = routes_.empty() || routes_.back().baseline != nullptr;
  auto metrics = watch_->silence().to_value();
  auto silent = doc::Value::array();
  std::string line;
  for (auto& metric : metrics.as_array()) {
    const std::string key = metric.string_or("metric");
    const bool is_silent = watch_->alerts().find(watch::silent_key(key)) != nullptr;
    metric.set("silent", is_silent);
    if (!is_silent) continue;
    line += (line.empty() ? "silent: `" : ", `") + key + "`";
    silent.push(key);
  }
  const bool labelled = parts_.project->monitors.at(service_.monitor).labelled_quality;
  if (!watched) line = "none: " + routes_.back().unwatched;
  if (watched && line.empty())
    line = labelled ? "columns and labelled quality" : "columns; no quality section";
  if (const auto lost = watch_->unrecorded().line(); !lost.empty())
    line += "; not recorded: " + lost;
  const auto& rows = watch_->row_counts();
  const auto& labels = watch_->labels();
  auto given_up = doc::Value::object();
  for (const auto& [account, count] : watch_->labels_given_up()) given_up.set(account, count);
  return doc::Value::object({{"rows", watch_->rows_seen()},
                             {"in_windows", rows.taken},
                             {"partial", rows.partial},
                             {"late", rows.late},
                             {"ahead", rows.ahead},
                             {"unwatched", rows.unwatched},
                             {"other_release", rows.other_epoch},
                             {"labels_joined", labels.joined},
                             {"labels_waiting", watch_->labels_waiting()},
                             {"labels_forgotten", labels.forgotten},
                             {"labels_malformed", labels.malformed},
                             {"labels_unknown_class", labels.unknown_class},
                             {"labels_unsampled", labels.unsampled},
                             {"labels_contested", labels.contested},
                             {"labels_given_up", std::move(given_up)},
                             {"sample", watch_->sample()},
                             {"unrecorded", watch_->unrecorded().to_value()},
                             {"line", std::move(line)},
                             {"watched", watched},
                             {"why", watched ? "" : routes_.back().unwatched},
                             {"labelled_quality", labelled},
                             {"silent", std::move(silent)},
                             {"metrics", std::move(metrics)}});
}

Result<doc::Value> ServiceControl::series() const {
  auto findings = doc::Value::array();
  HEDDLE_TRY(parts_.state->read([&](store::Txn& txn) -> Result<void> {
    Result<void> parsed;
    HEDDLE_TRY(txn.scan("findings", service_.identity.name + "/",
                        [&](std::string_view, std::string_view bytes) {
                          auto value = doc::parse_json(bytes);
                          if (!value.ok()) {
                            parsed = value.error();
                            return false;
                          }
                          findings.push(*std::move(value));
                          return true;
                        }));
    return parsed;
  }));
  for (const auto& finding : new_findings_) findings.push(finding.to_value());
  return doc::Value::object(
      {{"service", service_.identity.name}, {"findings", std::move(findings)}});
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
    if (releases_.acknowledged(id)) return {};
    if (releases_.stopped()) return stopped_again(id);
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
  proposal.op_id = fmt::format("{}/{}/{}", service_.identity.name, proposal.action, id);
  Digest left;
  if (proposal.action == "slot.fail-over") {
    HEDDLE_ASSIGN_OR_RETURN(left, Digest::parse(act->target));
  }
  const Digest canary = canary_of(applied_);
  const auto decision = change_releases(proposal, [&](release::Releases& next) -> Result<void> {
    if (proposal.action == "slot.fail-over") next.acknowledge_fail_over(id, left);
    if (proposal.action == "canary.abort") next.acknowledge_canary_abort(id, canary);
    if (proposal.action == "service.stop") {
      next.acknowledge(id);
      next.stop();
    }
    return {};
  });
  if (!decision.ok()) return decision.error();
  if (!decision->applied) {
    log::error("policy does not cover what the data plane did: {} (rule `{}`)", proposal.reason,
               decision->rules.empty() ? "default-deny" : decision->rules.front());
  }
  return {};
}

/// Stops of the data plane that are in the journal and were not taken up yet.
Result<doc::Value> ServiceControl::unread_stops() const {
  HEDDLE_ASSIGN_OR_RETURN(
      const auto reader,
      plane::JournalReader::open(parts_.home->spool(service_.identity.name), reader_->position()));
  auto stops = doc::Value::array();
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(const auto record, reader->next());
    if (!record) return stops;
    if (const auto* stop = std::get_if<plane::StopRecord>(&*record))
      stops.push(doc::Value::object({{"id", stop->id}, {"by", stop->by}}));
  }
}

/// A stop of what is stopped is in the ledger already. It stands on the data plane until a route
/// table names it, which the next one does: one that lets the service go on, for example.
Result<void> ServiceControl::stopped_again(const std::string& id) {
  auto next = releases_;
  next.acknowledge_with_next(id);
  HEDDLE_TRY(parts_.state->write([&](store::Txn& txn) {
    return txn.put("releases", service_.identity.name, doc::to_json(next.to_value()));
  }));
  releases_ = std::move(next);
  return {};
}

Digest ServiceControl::canary_of(std::uint64_t version) const {
  const auto& run = releases_.canary();
  if (run.running() && run.started <= version) return run.canary.bundle;
  return {};
}

void ServiceControl::end_work() {
  for (const auto& retrain : retrains_) {
    if (!retrain.handle) continue;
    parts_.runner->stop(*retrain.handle);
    (void)parts_.runner->wait(*retrain.handle);
  }
}

void ServiceControl::archived(std::uint64_t segment) {
  archived_ = segment;
  trim_traffic();
}

void ServiceControl::trim_traffic() {
  // A crash reads on from the snapshot, and the access log takes whole segments.
  const std::uint64_t needed =
      std::min(saved_segment_, archived_ == UINT64_MAX ? UINT64_MAX : archived_ + 1);
  if (needed <= consumed_) return;
  const auto said = plane::consumed(parts_.home->spool(service_.identity.name), needed);
  if (!said.ok()) return log::warn("{}", said.error().str());
  consumed_ = needed;
}

Result<doc::Value> ServiceControl::set_stopped(bool stopped, const policy::Actor& actor) {
  if (stopped && releases_.stopped()) {
    // Decided and not published: the disk was full in between.
    if (published_ != releases_.version()) HEDDLE_TRY(publish());
    HEDDLE_ASSIGN_OR_RETURN(const auto entry, parts_.policy->stop_entry(service_.identity.name));
    return doc::Value::object({{"applied", true}, {"entry", entry.value_or(0)}});
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
    HEDDLE_ASSIGN_OR_RETURN(auto stops, unread_stops());
    if (stops.size() > 0) proposal.attributes.set("stops", std::move(stops));
    return asked_by_hand(std::move(proposal), {}, "", false);
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto decision, carry_out(proposal));
  return doc::Value::object({{"applied", true}, {"entry", decision.entry}});
}

}  // namespace heddle::control
