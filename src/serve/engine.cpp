#include "serve/engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "base/ids.hpp"
#include "base/log.hpp"
#include "serve/pending.hpp"

namespace heddle::serve {
namespace {

constexpr std::size_t kMostExplained = 32;
constexpr std::size_t kMostContributions = 1 << 18;
/// Of the probabilities of an answer as JSON, about.
constexpr std::size_t kMostAnswerBytes = 8 << 20;
constexpr std::size_t kBytesOfProbability = 16;  ///< digits and what stands around them
constexpr std::string_view kDefaultSource = "default";
// Which clock an act `clock-jump` is about.
constexpr std::string_view kReplay = "replay";
constexpr std::string_view kWallClock = "wall";

std::string_view header_of(std::span<const net::Header> headers, std::string_view name) noexcept {
  for (const net::Header& header : headers) {
    if (net::same_token(header.name, name)) return header.value;
  }
  return {};
}

/// Whether who answers has the outputs that are asked for, and the answer is of a bounded size:
/// many classes make much of a few rows.
Result<void> check_answer(const Rows& rows, const score::Plan& plan) {
  HEDDLE_TRY(rows.outputs.check(plan.task(), plan.conformal().has_value()));
  if (plan.task().kind != stats::TaskKind::kClasses) return {};
  std::size_t bytes = 0;
  // Names are in every row of the answer.
  for (const std::string& name : plan.task().classes) bytes += name.size() + kBytesOfProbability;
  // Before anything is scored: an answer that cannot be sent must not be in the journal as given.
  if (rows.count * bytes <= kMostAnswerBytes) return {};
  return Error{ErrorKind::kTooLarge, "answer-too-large",
               fmt::format("the probabilities of {} rows of {} classes are more than an answer "
                           "holds",
                           rows.count, plan.task().classes.size()),
               fmt::format("send at most {} rows at once", kMostAnswerBytes / bytes)};
}

/// The same text for equal values.
std::string_view text_of(const expr::Datum& value, std::string& buffer) {
  using Kind = expr::Datum::Kind;
  switch (value.kind) {
    case Kind::kString: return value.str();
    case Kind::kDouble: buffer = fmt::format("{}", value.d); return buffer;
    case Kind::kBool: return value.b ? "true" : "false";
    case Kind::kInt:
    case Kind::kTimestamp: buffer = fmt::format("{}", value.i); return buffer;
    default: return {};
  }
}

}  // namespace

Engine::Engine(Options options, const plane::Standing& standing)
    : options_(options),
      name_(options_.service->identity.name),
      acts_(UnacknowledgedActs::from(standing.acts)),
      applied_version_(standing.route_version),
      rates_(options_.accounts, options_.service->limits.requests_per_second),
      queue_(options_.service->limits.queue_ms * 1'000'000),
      event_clock_(options_.lockstep, standing.last_tick) {
  // Draws begin anywhere: after a restart the same sequence would fall on the same share of
  // requests.
  const std::string begin = random_bytes(sizeof drawn_);
  std::memcpy(&drawn_, begin.data(), sizeof drawn_);
  for (const plane::Record& record : standing.acts) {
    // A jump that stood when the process ended still stands: only a person, or the clocks
    // themselves, end it.
    const auto* act = std::get_if<plane::ActRecord>(&record);
    if (act != nullptr && act->act == "clock-jump")
      event_clock_.stands({act->event_time, standing.last_tick, act->target == kReplay});
  }
}

void Engine::commit() {
  const auto committed = options_.journal->commit();
  // Said when it begins and when it is over, not once a request.
  if (committed.ok() != !commit_failed_) {
    commit_failed_ = !committed.ok();
    if (commit_failed_) log::error("{}", committed.error().str());
  }
}

void Engine::each_second() {
  options_.journal->sync_soon();
  const auto tick = event_clock_.wall_tick(options_.clock->wall(), options_.clock->mono_ns());
  // With the next answers' records: a tick says that everything before it was written.
  if (tick) options_.journal->append(plane::TickRecord{*tick});
  tell_of_clock();
}

/// A jump stands until it is over by itself, or until a route table says that a person settled it.
void Engine::tell_of_clock() {
  const auto& jump = event_clock_.jump();
  // Told once, when it begins.
  if (jump && acts_.clock_jump().empty()) {
    const auto reason =
        jump->of_replay
            ? fmt::format("a replay's tick went from {} to {}: what lies between is left out",
                          format_time(jump->from), format_time(jump->to))
            : fmt::format(
                  "the wall clock says {}, by the steady clock it is {}: event time goes on by the "
                  "steady one",
                  format_time(jump->to), format_time(jump->from));
    log::error("service `{}`: {}", name_, reason);
    act("clock-jump", jump->of_replay ? kReplay : kWallClock, reason, jump->from);
  } else if (!jump && event_clock_.follows_wall() && !acts_.clock_jump().empty()) {
    const std::string id = acts_.clock_jump();
    clock_set(id, event_clock_.last_tick(), "the wall clock and event time agree");
  }
}

void Engine::clock_set(const std::string& jump, Micros event_time, std::string_view reason) {
  const plane::ActRecord record{"clock-set", name_, event_time, std::string(reason), jump, {}};
  options_.journal->append(record);
  commit();
  acts_.add(record);
  log::warn("service `{}`: event time is {} from now on: {}", name_, format_time(event_time),
            reason);
}

void Engine::apply(std::shared_ptr<const Serving> next) {
  const plane::RouteTable& route = next->route;
  // A table from before a restore of the control plane's state, or one that was copied back: what
  // was decided since must not be undone by a file.
  // The same version again is taken: it may be a bundle that can be loaded now.
  if (route.version < applied_version_) {
    log::warn("service `{}`: route table {} is older than {}, which was in force: refused", name_,
              route.version, applied_version_);
    return;
  }
  // Published before the control plane heard of the stop: it must not let the service go on.
  if (!acts_.allows(route)) {
    log::warn(
        "service `{}`: route table {} does not acknowledge the stop of this data plane: ignored",
        name_, route.version);
    return;
  }
  const std::string clock_jump = acts_.clock_jump();
  acts_.settle(route);
  // Before the first row of the new table: records hold values in the order of these names.
  if (next->fields.size() > 0) options_.journal->set_fields(next->fields.names());
  std::vector<std::uint32_t> counts(next->quarantined.size(), 0);
  for (std::size_t i = 0; i < counts.size() && serving_ != nullptr; ++i) {
    // A table that keeps the quarantine keeps the count.
    const plane::QuarantinedSource& kept = next->quarantined[i].source;
    for (std::size_t before = 0; before < clean_rows_.size(); ++before) {
      const plane::QuarantinedSource& old = serving_->quarantined[before].source;
      if (old.is(kept.account, kept.source) && old.rule == kept.rule)
        counts[i] = clean_rows_[before];
    }
  }
  clean_rows_ = std::move(counts);
  // What was seen of one bundle says nothing of another.
  const auto changed = [&](SlotId slot) {
    return serving_ == nullptr || serving_->slot(slot).digest != next->slot(slot).digest;
  };
  const bool other_window =
      serving_ == nullptr || serving_->route.fail_over.requests != route.fail_over.requests;
  if (other_window || changed(SlotId::kPrimary) || changed(SlotId::kStandby)) {
    primary_failures_ = Failures(route.fail_over.requests);
    witnesses_.clear();
  }
  if (other_window || changed(SlotId::kCanary)) {
    canary_failures_ = Failures(route.fail_over.requests);
    canary_witnesses_.clear();
  }
  // From here on requests meet the new table. Those that a runtime has hold the one that they began
  // with.
  serving_ = std::move(next);
  applied_version_ = route.version;
  // A primary that cannot be loaded here answers nobody: that is what fail-over is for, before the
  // first request fails.
  if (serving_->slot(SlotId::kPrimary).plan == nullptr && !serving_->primary_error.empty() &&
      !failed_over()) {
    (void)try_fail_over(serving_->primary_error, event_clock_.now(options_.clock->wall()));
  }
  options_.journal->append(
      // The control plane waits for this record: "swapped" means that it was applied, not that it
      // was decided.
      plane::AppliedRecord{route.version, acts_.ids(), sandboxes_of(serving_->slots)});
  commit();
  // The table settled it: a person said that the clock is right, so event time follows it again.
  if (clock_jump != acts_.clock_jump()) {
    const Micros wall = options_.clock->wall();
    const auto set = event_clock_.set(wall, options_.clock->mono_ns());
    clock_set(clock_jump, set.value_or(event_clock_.now(wall)), "a person said that it is right");
  }
  metrics_.applied();
  std::string others;
  for (const SlotId slot : {SlotId::kStandby, SlotId::kCanary, SlotId::kShadow}) {
    const std::string& digest = serving_->slot(slot).digest;
    if (!digest.empty()) others += fmt::format(", {} {}", name_of(slot), digest.substr(0, 19));
  }
  log::info("service `{}`: route table {} in force ({}), primary {}{}", name_, route.version,
            route.decision, serving_->slot(SlotId::kPrimary).digest.substr(0, 19), others);
}

Error Engine::not_ready() const {
  if (stopped()) {
    return {ErrorKind::kUnavailable, "service-stopped",
            fmt::format("service `{}` is stopped: its declared safe state", name_),
            "a person clears it: `heddle resume`"};
  }
  return {ErrorKind::kUnavailable, "service-not-ready",
          fmt::format("service `{}` has no released bundle in force", name_),
          "see `heddle status`"};
}

Engine::Slot Engine::routed() const {
  if (serving_ == nullptr) return {};
  const Loaded& primary = serving_->slot(SlotId::kPrimary);
  const Loaded& standby = serving_->slot(SlotId::kStandby);
  // Only as long as the primary is the one that was left: a table with another primary ends the
  // fail-over by itself.
  if (standby.plan != nullptr && !acts_.left().empty() && acts_.left() == primary.digest)
    return {SlotId::kStandby, &standby};
  // A primary that cannot be loaded is no answer, and the standby answers only by an act.
  if (primary.plan == nullptr) return {};
  return {SlotId::kPrimary, &primary};
}

Result<Engine::Slot> Engine::slot_of(std::string_view version) const {
  if (stopped() || serving_ == nullptr) return not_ready();
  Slot slot = routed();
  if (!version.empty()) {
    slot.loaded = nullptr;
    for (std::size_t i = 0; i < kSlots && slot.loaded == nullptr; ++i) {
      const auto id = static_cast<SlotId>(i);
      const Loaded& loaded = serving_->slots[i];
      // The shadow answers nobody.
      if (id != SlotId::kShadow && loaded.plan != nullptr &&
          (version == name_of(id) || version == loaded.digest))
        slot = {id, &loaded};
    }
    if (slot.loaded == nullptr) {
      return Error{ErrorKind::kNotFound, "version-unknown",
                   fmt::format("service `{}` has no version `{}`", name_, shown(version)),
                   "use `primary`, `standby`, `canary` or the digest of one of them"};
    }
  }
  if (slot.loaded == nullptr) return not_ready();
  return slot;
}

/// An act of the data plane's own: in the journal before it takes effect.
void Engine::act(std::string_view what, std::string_view target, std::string_view reason,
                 Micros event_time, std::string_view account) {
  const plane::ActRecord record{std::string(what),   std::string(target),    event_time,
                                std::string(reason), uuid7(*options_.clock), std::string(account)};
  options_.journal->append(record);
  commit();
  acts_.add(record);
}

/// The switch to the standby that policy authorised beforehand, and the switch back when the
/// standby fails too, as often as it said.
bool Engine::try_fail_over(std::string_view reason, Micros event_time) {
  const Slot from = routed();
  // Back to the primary, when it was the standby that failed.
  const SlotId to = failed_over() ? SlotId::kPrimary : SlotId::kStandby;
  if (!serving_->route.fail_over_allowed || acts_.fail_overs() >= serving_->route.fail_over.most ||
      serving_->slot(to).plan == nullptr)
    return false;
  act("fail-over", serving_->slot(failed_over() ? SlotId::kStandby : SlotId::kPrimary).digest,
      reason, event_time);
  primary_failures_.clear();
  witnesses_.clear();
  log::error("service `{}` failed over from {} to {}: {}", name_,
             from.loaded == nullptr ? "nothing" : name_of(from.id), name_of(to), reason);
  return true;
}

void Engine::abort_canary(std::string_view reason, Micros event_time) {
  act("canary-abort", name_, reason, event_time);
  canary_failures_.clear();
  canary_witnesses_.clear();
  log::error("service `{}` took the canary out of the traffic: {}", name_, reason);
}

void Engine::readmit(std::size_t quarantine, Micros event_time) {
  const plane::QuarantinedSource& source = serving_->quarantined[quarantine].source;
  act("source-readmit", source.source,
      fmt::format("{} rows in a row were clean under rule `{}`", clean_rows_[quarantine],
                  source.rule),
      event_time, source.account);
  clean_rows_[quarantine] = 0;
}

/// What a request of this account is of, when it names `named` (empty: none); nothing: it may not
/// say so. No `Result`: this is asked for each request, and an error is as large as it is rare.
std::optional<std::string_view> Engine::source_of(const Principal& who, std::string_view named) {
  const auto& bound = who.sources;
  // An account without sources of its own may name any that the Service declares.
  if (bound.empty()) return named.empty() ? kDefaultSource : named;
  // One that is bound to a single source need not repeat it in each request.
  if (named.empty() && bound.size() == 1) return std::string_view(bound.front());
  if (!named.empty() && std::find(bound.begin(), bound.end(), named) != bound.end()) return named;
  return std::nullopt;
}

/// Why `source_of` has nothing.
Error Engine::no_source(const Principal& who, std::string_view named) {
  const auto& bound = who.sources;
  return Error{named.empty() ? ErrorKind::kInvalid : ErrorKind::kDenied,
               named.empty() ? "source-missing" : "source-denied",
               named.empty() ? fmt::format("`{}` has several sources and names none", who.account)
                             : fmt::format("`{}` may not send as `{}`", who.account, named),
               fmt::format("its sources are `{}` (`sources` of the service account in people.yaml)",
                           fmt::join(bound, "`, `"))};
}

Result<Engine::RequestContext> Engine::admit(const InferRequest& request) {
  // First, for it costs least: who is past the limit gets no parsing, no slot and no clock.
  if (!rates_.take(request.who.index, request.begun_ns)) {
    return Error{ErrorKind::kBusy, "client-rate",
                 fmt::format("`{}` is past {} requests a second", request.who.account,
                             options_.service->limits.requests_per_second),
                 "slow down; the limit is `limits.requests_per_second` of the Service"};
  }
  RequestContext context;
  HEDDLE_ASSIGN_OR_RETURN(context.slot, slot_of(request.version));
  const Rows& rows = request.rows;
  // Event time decides windows, budgets and deadlines: who may set it could move all of them.
  if (rows.event_time.has_value() && !request.who.may(Permission::kReplay)) {
    return Error{ErrorKind::kDenied, "event-time-denied",
                 fmt::format("`{}` may not set `event_time`", request.who.account),
                 "only a replay does; leave it out"};
  }
  const auto& declared = options_.service->sources;
  if (!rows.source.empty() &&
      std::find(declared.begin(), declared.end(), rows.source) == declared.end()) {
    return Error{ErrorKind::kInvalid, "source-unknown",
                 fmt::format("service `{}` declares no source `{}`", name_, shown(rows.source)),
                 "declare it in the Service, or leave it out"};
  }
  const auto source = source_of(request.who, rows.source);
  if (!source.has_value()) return no_source(request.who, rows.source);
  context.source = *source;
  context.account = request.who.account;
  // Read once: everything about this request is of the same moment.
  context.arrival = options_.clock->wall();
  HEDDLE_ASSIGN_OR_RETURN(context.event_time,
                          event_clock_.of_request(rows.event_time, context.arrival));
  context.id = rows.request_id;
  if (context.id.empty()) {
    // Returned to the client, which needs it to label the row later.
    made_id_ = uuid7(*options_.clock);
    context.id = made_id_;
  }
  // Who names a version gets it, and is no part of the comparison.
  if (request.version.empty()) choose_canary(request, context);
  return context;
}

std::string_view Engine::sticky_key(const InferRequest& request, const RequestContext& context) {
  std::string_view key;
  switch (serving_->sticky.by) {
    case StickyKey::By::kSource: key = context.source; break;
    case StickyKey::By::kHeader: key = header_of(request.headers, serving_->sticky.header); break;
    case StickyKey::By::kField:
      key = text_of(request.rows.values[serving_->sticky.field], key_);
      break;
    case StickyKey::By::kRequest: break;
  }
  if (!key.empty()) return key;
  // Not by the request's id, which its client gives: one that was seen to hit would hit again.
  ++drawn_;
  key_.assign(reinterpret_cast<const char*>(&drawn_), sizeof drawn_);
  return key_;
}

void Engine::choose_canary(const InferRequest& request, RequestContext& context) {
  const plane::Canary& canary = serving_->route.canary;
  const Loaded& loaded = serving_->slot(SlotId::kCanary);
  // Never a share of the traffic to what is not ready; and while the standby answers there is
  // nothing to compare with.
  if (loaded.plan == nullptr || acts_.canary_aborted() || context.slot.id != SlotId::kPrimary)
    return;
  if (!canary.header.empty() && header_of(request.headers, canary.header) == canary.header_value) {
    context.slot = {SlotId::kCanary, &loaded};
    return;  // chosen, not drawn: no part of the comparison
  }
  // With a secret: who knows the key of a draw must not be able to choose one that hits.
  context.cohort = draw(canary.weight, serving_->draw_secret, sticky_key(request, context));
  if (context.cohort == plane::Cohort::kCanary) context.slot = {SlotId::kCanary, &loaded};
}

/// The row in the slots beside the one that answered. What a runtime says comes later.
void Engine::score_others(SlotId answering, plane::RowView& row) {
  for (const auto& [slot, into] : {std::pair{SlotId::kStandby, &row.standby_prediction},
                                   std::pair{SlotId::kShadow, &row.shadow_prediction}}) {
    const Loaded& other = serving_->slot(slot);
    // A bundle that answers by its standby is not compared with itself.
    if (other.plan == nullptr || slot == answering || other.plan->endpoint() != nullptr) continue;
    other.plan->score_beside(serving_->shared_by(answering, slot), row.fields, result_, shadow_,
                             scratch_);
    *into = keep(shadow_.prediction);
  }
}

void Engine::score(const Rows& rows, RequestContext& context) {
  const std::size_t width = serving_->fields.size();
  begin_rows(*serving_, *context.slot.loaded->plan, rows.count);
  const bool is_repairing = !context.slot.loaded->plan->contract().repairs().empty();
  QuarantineProgress progress = quarantine_of(context);
  std::uint32_t served = 0;
  std::uint32_t refused = 0;
  std::uint32_t failed = 0;
  std::uint32_t strayed = 0;
  for (std::size_t i = 0; i < rows.count; ++i) {
    plane::RowView row;
    row.fields = rows.row(i, width);
    const score::Plan& plan = *context.slot.loaded->plan;
    plan.score_row(row.fields, result_, scratch_);
    const auto& known = plan.contract().rules();
    const auto stray = rows.stray_of(i);
    // Scored all the same: its check counts the clean rows that end the quarantine.
    if (holds_back(progress, context.slot.id, result_.check, !stray.empty())) {
      row.outcome = plane::RowOutcome::kQuarantined;
      rules_.push_back(kSourceQuarantined);
    } else if (result_.check.refused || !stray.empty()) {
      row.outcome = plane::RowOutcome::kRefused;
      ++refused;
      strayed += stray.empty() ? 0 : 1;
    } else if (result_.prediction.empty()) {
      row.outcome = plane::RowOutcome::kFailed;
      rules_.push_back(kNoAnswer);
      ++failed;
    } else {
      row.outcome = plane::RowOutcome::kServed;
      row.prediction = keep(result_.prediction);
      ++served;
      score_others(context.slot.id, row);
    }
    // Rules of every outcome are recorded: why a row was refused is asked for later, not now.
    for (const Rows::Stray& each : stray) rules_.push_back(each.rule);
    for (const std::uint16_t rule : result_.check.broken) rules_.push_back(known[rule].id);
    if (is_repairing) note_repairs(plan, result_.check.repaired);
    rule_ends_.push_back(rules_.size());
    rows_.push_back(row);
  }
  end_rules();
  settle(progress, context.event_time);
  // A runtime's answer comes after this one left: it is only compared, never waited for.
  for (const SlotId slot : {SlotId::kStandby, SlotId::kShadow}) {
    const Loaded& beside = serving_->slot(slot);
    if (slot != context.slot.id && beside.plan != nullptr && beside.plan->endpoint() != nullptr)
      compare(ask_beside(serving_, slot, rows_), rows_);
  }
  metrics_.rows(served, refused, failed, rows.count - served - refused - failed);
  after(context, failed,
        refused - strayed);  // no bundle would take a field that the contract does not have
}

Engine::QuarantineProgress Engine::quarantine_of(const RequestContext& context) const {
  for (std::size_t i = 0; i < serving_->quarantined.size(); ++i) {
    const plane::QuarantinedSource& item = serving_->quarantined[i].source;
    // Let in by its own rows: until a route table says so too, this act stands for it.
    if (!item.holds(context.account, context.source) || acts_.readmitted(item)) continue;
    return {static_cast<int>(i), clean_rows_[i], false};
  }
  return {};
}

/// Whether a row is not answered because its source is under quarantine; counts it there.
bool Engine::holds_back(QuarantineProgress& progress, SlotId slot, const contract::RowCheck& check,
                        bool stray) const {
  // Over within this request: the rows behind the last clean one are answered.
  if (progress.quarantine < 0 || progress.over) return false;
  const Quarantine& item = serving_->quarantined[static_cast<std::size_t>(progress.quarantine)];
  const int rule = item.rules[static_cast<std::size_t>(slot)];
  const auto state = stray           ? contract::RuleState::kBroken
                     : rule >= 0     ? check.state(static_cast<std::size_t>(rule))
                     : check.refused ? contract::RuleState::kBroken
                                     : contract::RuleState::kClean;
  // A state of neither is a rule that does not apply to the row: it says nothing of the source.
  if (state == contract::RuleState::kClean) ++progress.clean;
  if (state == contract::RuleState::kBroken) progress.clean = 0;
  progress.over = item.source.readmit_after > 0 && progress.clean >= item.source.readmit_after;
  return true;
}

/// The request is taken: its rows count, and may end the quarantine.
void Engine::settle(const QuarantineProgress& progress, Micros event_time) {
  if (progress.quarantine < 0) return;
  const auto at = static_cast<std::size_t>(progress.quarantine);
  clean_rows_[at] = progress.clean;
  if (progress.over) readmit(at, event_time);
}

/// Room for the rows of one request and what they borrow: their spans stay where they are.
void Engine::begin_rows(const Serving& serving, const score::Plan& answering, std::size_t count) {
  rows_.clear();
  rules_.clear();
  rule_ends_.clear();
  repairs_.clear();
  repair_ends_.clear();
  row_repairs_.clear();
  std::size_t numbers = answering.task().outputs();
  for (const SlotId slot : {SlotId::kStandby, SlotId::kShadow}) {
    const auto& plan = serving.slot(slot).plan;
    numbers += plan == nullptr ? 0 : plan->task().outputs();
  }
  // Grown before the first span into it is given out, and never shrunk.
  if (predictions_.size() < count * numbers) predictions_.resize(count * numbers);
  predictions_kept_ = 0;
}

/// A copy that lives as long as `rows_`; `begin_rows` made room for it.
std::span<const float> Engine::keep(std::span<const float> prediction) noexcept {
  float* const at = predictions_.data() + predictions_kept_;
  std::ranges::copy(prediction, at);
  predictions_kept_ += prediction.size();
  return {at, prediction.size()};
}

/// Gives each of `rows_` its rules, and what was repaired, once both lists have their places.
void Engine::end_rules() {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    rows_[i].rules = std::span(rules_).subspan(begin, rule_ends_[i] - begin);
    begin = rule_ends_[i];
  }
  begin = 0;
  for (const std::size_t end : repair_ends_) {
    row_repairs_.push_back(std::span(repairs_).subspan(begin, end - begin));
    begin = end;
  }
}

/// Counts what the contract changed of the next row, and keeps it for the answer.
void Engine::note_repairs(const score::Plan& plan, std::span<const std::uint16_t> made) {
  const auto& known = plan.contract().repairs();
  for (const std::uint16_t repair : made) {
    metrics_.repaired(known[repair].id);
    repairs_.push_back(known[repair].id);
  }
  repair_ends_.push_back(repairs_.size());
}

/// Whether the slot that answered may go on.
void Engine::after(const RequestContext& context, std::uint32_t failed, std::uint32_t refused) {
  const plane::FailOver& rule = serving_->route.fail_over;
  const auto count = static_cast<std::uint32_t>(rows_.size());
  const std::string& answered = context.slot.loaded->digest;
  if (context.slot.id == SlotId::kCanary) {
    if (answered != serving_->slot(SlotId::kCanary).digest)
      return;  // another one is there meanwhile
    const std::int64_t mono_ns = options_.clock->mono_ns();
    canary_failures_.add(failed > 0, count, refused);
    canary_witnesses_.add(context.account, mono_ns, {failed > 0, count, refused});
    // What it answers by a header since then is counted, and ends nothing twice.
    if (acts_.canary_aborted()) return;
    const std::string reason = canary_failures_.reason(rule);
    // One account with rows that fail must not end the canary for all.
    if (!reason.empty() && canary_witnesses_.agree(rule, mono_ns))
      abort_canary(reason, context.event_time);
    return;
  }
  const Slot now = routed();
  if (now.loaded == nullptr || context.slot.id != now.id || answered != now.loaded->digest)
    return;  // asked for by name, or swapped meanwhile
  primary_failures_.add(failed > 0, count, refused);
  // Failures are counted all the same: a table that allows it later finds a window that is full.
  if (!serving_->route.fail_over_allowed) return;
  const std::int64_t mono_ns = options_.clock->mono_ns();
  witnesses_.add(context.account, mono_ns, {failed > 0, count, refused});
  const std::string reason = primary_failures_.reason(rule);
  if (!reason.empty() && witnesses_.agree(rule, mono_ns))
    (void)try_fail_over(reason, context.event_time);
}

Result<std::optional<Answer>> Engine::infer(const InferRequest& request) {
  HEDDLE_ASSIGN_OR_RETURN(RequestContext context, admit(request));
  const score::Plan& plan = *context.slot.loaded->plan;
  HEDDLE_TRY(check_answer(request.rows, plan));
  contributions_.clear();
  // Before anything is recorded: an explanation that is refused refuses the request.
  if (request.rows.outputs[Output::kContributions].wanted) HEDDLE_TRY(explain(request.rows, plan));
  // A runtime's answer comes later; the loop goes on meanwhile.
  if (plan.endpoint() != nullptr) return infer_async(request, context);
  const std::int64_t begin = options_.clock->mono_ns();
  score(request.rows, context);
  const std::int64_t end = options_.clock->mono_ns();
  const auto micros = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>((end - request.begun_ns) / 1000, 0, UINT32_MAX));
  options_.journal->append(plane::RequestView{
      context.id, context.source, context.event_time, context.arrival, name_of(context.slot.id),
      serving_->route.version, rows_, context.cohort, micros, context.account});
  metrics_.scored(context.slot.id, rows_.size(), begin - request.begun_ns, end - begin,
                  context.arrival);
  // What was not served is not explained.
  const std::size_t width = contributions_.size() / rows_.size();  // 0: nobody asked
  for (std::size_t i = 0; width > 0 && i < rows_.size(); ++i) {
    if (rows_[i].outcome != plane::RowOutcome::kServed)
      std::fill_n(contributions_.begin() + static_cast<std::ptrdiff_t>(i * width), width, kNaN);
  }
  return std::optional(
      Answer{.by = {name_, context.id, context.slot.loaded->digest, name_of(context.slot.id),
                    serving_->route.version},
             .task = &plan.task(),
             .conformal = plan.conformal().has_value() ? &*plan.conformal() : nullptr,
             .rows = rows_,
             .repairs = row_repairs_,
             .contributions = contributions_,
             .contribution_names = plan.contribution_names()});
}

/// Many times the cost of scoring, and only on request.
Result<void> Engine::explain(const Rows& rows, const score::Plan& plan) {
  if (rows.count > kMostExplained) {
    return Error{ErrorKind::kTooLarge, "explain-too-many",
                 fmt::format("explanations requested for {} rows; the limit is {} per request",
                             rows.count, kMostExplained),
                 "an explanation costs many times an answer: send them in several requests"};
  }
  const std::size_t width = plan.task().outputs() * plan.contribution_names().size();
  if (rows.count * width > kMostContributions) {
    return Error{
        ErrorKind::kTooLarge, "explain-too-many",
        fmt::format("explanations requested for {} rows of {} contributions; the limit is {} "
                    "contributions per request",
                    rows.count, width, kMostContributions),
        "send fewer rows at once"};
  }
  contributions_.resize(rows.count * width);
  for (std::size_t i = 0; i < rows.count; ++i) {
    HEDDLE_TRY(plan.explain_row(rows.row(i, serving_->fields.size()),
                                std::span(contributions_).subspan(i * width, width), scratch_));
  }
  return {};
}

namespace {

Result<void> has_room(plane::Room room, std::string_view what) {
  switch (room) {
    case plane::Room::kYes: return {};
    case plane::Room::kShareUsed:
      return Error{ErrorKind::kBusy, "journal-share",
                   fmt::format("{} that were not read yet hold their share of the journal", what),
                   "send them again after `Retry-After`, more slowly"};
    case plane::Room::kFull:
      return Error{ErrorKind::kUnavailable, "journal-full",
                   "nothing can be recorded: the disk or the journal is full",
                   "send them again after `Retry-After`; see `heddle status`"};
  }
  return {};
}

}  // namespace

Result<Engine::RefusedLabels> Engine::add_labels(std::span<const LabelIn> labels,
                                                 std::string_view account) {
  HEDDLE_TRY(has_room(options_.journal->room(plane::RecordKind::kLabels, account),
                      fmt::format("labels of `{}`", account)));
  const score::Plan* plan = serving_ == nullptr ? nullptr : serving_->any_plan();
  if (plan == nullptr) return not_ready();  // nobody knows what a label of it is
  const Micros now = options_.clock->wall();
  RefusedLabels refused;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const LabelIn& label = labels[i];
    const auto time = event_clock_.of_label(label.event_time, now);
    const auto valid = check_label(label, plan->task());
    const bool is_good = valid.ok() && time.ok();
    if (!is_good) refused.emplace_back(i, valid.ok() ? time.error() : valid.error());
    if (is_good || (time.ok() && is_of_a_new_class(label, valid.error()))) {
      options_.journal->append(
          plane::LabelRecord{std::string(label.row_id), *label.label, *time, std::string(account)});
    }
  }
  // Accepted means recorded: who is told so does not send them again.
  commit();
  if (options_.journal->room(plane::RecordKind::kLabels, account) == plane::Room::kFull)
    HEDDLE_TRY(has_room(plane::Room::kFull, {}));
  metrics_.labels(labels.size() - refused.size(), refused.size());
  return refused;
}

Result<void> Engine::tick(Micros event_time) {
  const Micros before = event_clock_.last_tick();
  HEDDLE_TRY(has_room(options_.journal->room(plane::RecordKind::kOthers, {}), "ticks"));
  HEDDLE_TRY(event_clock_.tick(event_time, options_.clock->wall()));
  if (event_time == before) return {};
  options_.journal->append(plane::TickRecord{event_time});
  tell_of_clock();
  return {};
}

std::string Engine::stop(std::string_view by) {
  // It stands until a route table names it, whatever that table says: another one adds nothing.
  if (acts_.stopped()) return acts_.standing_stop();
  const plane::StopRecord stop{name_, std::string(by), uuid7(*options_.clock)};
  options_.journal->append(stop);
  commit();
  acts_.add(stop);
  log::warn("service `{}` was stopped by `{}`", name_, by);
  return stop.id;
}

}  // namespace heddle::serve
