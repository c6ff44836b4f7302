// Slots whose rows a runtime scores: requests are set aside, and answered when it did or when it
// can wait no longer.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/log.hpp"
#include "serve/pending.hpp"

namespace heddle::serve {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kComplainNs = 1'000'000'000;
/// What a runtime answered to the row that was sent as this one.
std::span<const float> of_row(std::span<const float> answers, int sent, const score::Plan& plan) {
  const std::size_t outputs = plan.task().outputs();
  return answers.subspan(static_cast<std::size_t>(sent) * outputs, outputs);
}

constexpr std::int64_t kPatientNs =
    1'000'000'000;  ///< a client that waited so long has learnt something of the runtime

/// How far two predictions are apart: the difference of probabilities or values, of classes the
/// total variation distance; of two that cannot be compared all of it.
double difference_of(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return 1;
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k)
    sum += std::abs(static_cast<double>(a[k]) - static_cast<double>(b[k]));
  return a.size() > 1 ? sum / 2 : sum;
}

}  // namespace

Engine::~Engine() = default;

/// Strings are views into the request's body, which is gone when the answer comes.
void Engine::keep_values(const Rows& rows, Pending& p) const {
  const std::size_t count = rows.count * serving_->fields.size();
  p.values.reserve(count);
  for (const expr::Datum& value : std::span(rows.values).first(count)) {
    p.values.push_back(value.kind == expr::Datum::Kind::kString
                           ? expr::Datum::string(p.texts.emplace_back(value.str()))
                           : value);
  }
}

/// What is known of a row before its runtime answers; the row is added to those that are `sent`
/// unless it is held back or refused.
Engine::PendingRow Engine::prepare_row(const Rows& rows, std::size_t index,
                                       std::span<const expr::Datum> values,
                                       const RequestContext& context, QuarantineProgress& progress,
                                       runtime::Rows& sent) {
  const score::Plan& plan = *context.slot.loaded->plan;
  PendingRow row;
  for (const Rows::Stray& each : rows.stray_of(index)) row.stray.push_back(each.rule);
  // What the quarantine holds back is checked, for the day it ends, and not sent.
  if (progress.quarantine >= 0 || !row.stray.empty()) plan.contract().check(values, result_.check);
  if (holds_back(progress, context.slot.id, result_.check, !row.stray.empty())) {
    row.outcome = plane::RowOutcome::kQuarantined;
  } else if (!row.stray.empty()) {
    row.outcome = plane::RowOutcome::kRefused;
  } else {
    const std::size_t before = sent.count();
    plan.prepare(values, result_, scratch_, sent);
    if (sent.count() > before)
      row.sent = static_cast<int>(before);
    else
      row.outcome = plane::RowOutcome::kRefused;
  }
  row.broken = result_.check.broken;
  row.repaired = result_.check.repaired;
  return row;
}

Result<std::optional<Answer>> Engine::infer_async(const InferRequest& request,
                                                  RequestContext& context) {
  if (request.reply == nullptr) {
    return Error{ErrorKind::kUnavailable, "runtime-protocol",
                 "this protocol does not wait for a runtime", "ask over HTTP"};
  }
  const score::Plan& plan = *context.slot.loaded->plan;
  auto pending = std::make_unique<Pending>();
  Pending& p = *pending;
  p.serving = serving_;
  p.id = context.id;
  p.source = context.source;
  p.account = context.account;
  p.begun_ns = request.begun_ns;
  p.context = context;
  p.context.id = p.id;
  p.context.source = p.source;
  p.context.account = p.account;
  keep_values(request.rows, p);
  QuarantineProgress progress = quarantine_of(context);
  runtime::Rows sent;
  const std::size_t width = serving_->fields.size();
  for (std::size_t i = 0; i < request.rows.count; ++i)
    p.rows.push_back(prepare_row(request.rows, i, std::span(p.values).subspan(i * width, width),
                                 context, progress, sent));
  p.sent = sent.count();
  p.sent_ns = options_.clock->mono_ns();
  // Nothing is asked of the runtime: the answer is there at once.
  if (p.sent == 0) {
    settle(progress, context.event_time);
    answered_now_ = std::move(pending);  // the answer borrows from it
    return std::optional(finish(p, std::vector<float>()));
  }

  std::int64_t deadline = p.sent_ns + plan.endpoint()->runtime().timeout_ms * kMs;
  // A client that gives up earlier frees its place in the runtime's queue earlier.
  if (request.deadline_ns < deadline) {
    deadline = request.deadline_ns;
    p.client_deadline = true;
  }
  const std::uint64_t id = next_id_++;
  const auto submitted = plan.endpoint()->submit(
      std::move(sent), deadline,
      [this, id, post = options_.post](Result<std::vector<float>> answers) {
        post([this, id, answers = std::move(answers)] { answered(id, answers); });
      });
  if (!submitted.ok()) {
    metrics_.shed();
    return submitted.error();
  }
  settle(progress, context.event_time);
  std::vector<plane::RowView> views(p.rows.size());
  for (std::size_t i = 0; i < views.size(); ++i) {
    views[i].outcome = p.rows[i].outcome;
    views[i].fields = std::span(p.values).subspan(i * width, width);
  }
  for (const auto& [slot, key] :
       {std::pair{SlotId::kStandby, &p.standby}, std::pair{SlotId::kShadow, &p.shadow}}) {
    const Loaded& beside = serving_->slot(slot);
    if (slot != context.slot.id && beside.plan != nullptr && beside.plan->endpoint() != nullptr)
      *key = ask_beside(serving_, slot, views);
  }
  p.done = request.reply->defer();
  pending_.emplace(id, std::move(pending));
  return std::optional<Answer>();
}

/// Sends the served rows to another slot's runtime; 0 when it takes none: nobody waits for it. One
/// that is slower than what answers is sent as much as it can take at once: a queue of such rows
/// would be in the way of requests after a swap.
std::uint64_t Engine::ask_beside(const std::shared_ptr<const Serving>& serving, SlotId slot,
                                 std::span<const plane::RowView> rows) {
  const score::Plan& plan = *serving->slot(slot).plan;
  if (plan.endpoint()->condition().waiting_rows > 0) return 0;
  auto beside = std::make_unique<Beside>();
  beside->serving = serving;
  beside->slot = slot;
  runtime::Rows sent;
  for (const plane::RowView& row : rows) {
    const std::size_t before = sent.count();
    if (row.outcome == plane::RowOutcome::kServed)
      plan.prepare(row.fields, shadow_, scratch_, sent);
    beside->sent.push_back(sent.count() > before ? static_cast<int>(before) : kNotSent);
  }
  if (sent.count() == 0) return 0;
  const std::uint64_t id = next_id_++;
  const std::int64_t deadline =
      options_.clock->mono_ns() + plan.endpoint()->runtime().timeout_ms * kMs;
  const auto submitted = plan.endpoint()->submit(
      std::move(sent), deadline,
      [this, id, post = options_.post](Result<std::vector<float>> answers) {
        post([this, id, answers = std::move(answers)] { answered_beside(id, answers); });
      });
  if (!submitted.ok()) {
    metrics_.beside(slot, 0, 1, 0);
    return 0;
  }
  beside_.emplace(id, std::move(beside));
  return id;
}

void Engine::answered_beside(std::uint64_t id, const Result<std::vector<float>>& answers) {
  const auto found = beside_.find(id);
  if (found == beside_.end()) return;
  Beside& beside = *found->second;
  const score::Plan& plan = *beside.serving->slot(beside.slot).plan;
  beside.predictions.assign(beside.sent.size(), {});
  for (std::size_t i = 0; i < beside.sent.size(); ++i) {
    if (beside.sent[i] == kNotSent || !answers.ok()) continue;
    plan.finish(of_row(*answers, beside.sent[i], plan), shadow_);
    beside.predictions[i] = shadow_.prediction;
  }
  beside.there = true;
  if (beside.compared) compare(id, {});
}

/// The request was answered by `rows`: compared with what the other slot says now, or when it does.
void Engine::compare(std::uint64_t id, std::span<const plane::RowView> rows) {
  const auto found = beside_.find(id);
  if (found == beside_.end()) return;
  Beside& beside = *found->second;
  if (!beside.compared) {
    for (const plane::RowView& row : rows)
      beside.answered.emplace_back(row.prediction.begin(), row.prediction.end());
    beside.compared = true;
  }
  if (!beside.there) return;
  std::uint64_t count = 0;
  std::uint64_t failed = 0;
  double difference = 0;
  for (std::size_t i = 0; i < beside.sent.size(); ++i) {
    if (beside.sent[i] == kNotSent) continue;
    if (beside.predictions[i].empty()) {
      ++failed;
    } else if (!beside.answered[i].empty()) {
      ++count;
      difference += difference_of(beside.predictions[i], beside.answered[i]);
    }
  }
  metrics_.beside(beside.slot, count, failed, difference);
  beside_.erase(found);
}

void Engine::answered(std::uint64_t id, const Result<std::vector<float>>& answers) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return;
  // Out of the table first: what follows may serve other requests.
  const std::unique_ptr<Pending> pending = std::move(found->second);
  pending_.erase(found);
  if (!answers.ok() && answers.error().kind == ErrorKind::kTimeout && pending->client_deadline) {
    metrics_.shed();
    const std::int64_t waited = options_.clock->mono_ns() - pending->sent_ns;
    const std::int64_t may_take =
        pending->context.slot.loaded->plan->endpoint()->runtime().timeout_ms * kMs;
    if (waited >= std::min(kPatientNs, may_take / 2)) {
      (void)finish(*pending, answers);  // journaled and counted as any failure of the runtime
    } else {
      // The client's own impatience says nothing of the runtime.
      beside_.erase(pending->standby);
      beside_.erase(pending->shadow);
    }
    pending->done(Error{ErrorKind::kTimeout, "deadline",
                        "the client's timeout passed before the runtime answered",
                        "give it more time, or send fewer at once"});
    return;
  }
  const Answer answer = finish(*pending, answers);
  pending->done(answer);
}

/// The predictions of another slot's runtime, where they have come by now.
const std::vector<std::vector<float>>* Engine::predictions_of(std::uint64_t id) const {
  const auto found = beside_.find(id);
  return found != beside_.end() && found->second->there ? &found->second->predictions : nullptr;
}

/// The row in the other slots, those with a runtime as far as it has answered. What comes later is
/// compared, and is not in the journal.
void Engine::finish_others(const Pending& p, std::size_t index, plane::RowView& row) {
  for (const auto& [slot, into, id] :
       {std::tuple{SlotId::kStandby, &row.standby_prediction, p.standby},
        std::tuple{SlotId::kShadow, &row.shadow_prediction, p.shadow}}) {
    const Loaded& other = p.serving->slot(slot);
    if (other.plan == nullptr || slot == p.context.slot.id) continue;
    if (other.plan->endpoint() == nullptr) {
      other.plan->score_row(row.fields, shadow_, scratch_);
      *into = keep(shadow_.prediction);
    } else if (const auto* given = predictions_of(id); given != nullptr) {
      *into = keep((*given)[index]);
    }
  }
}

/// A row that was sent: served, or failed where its runtime gave no answer.
void Engine::finish_row(const Pending& p, std::size_t index,
                        const Result<std::vector<float>>& answers, plane::RowView& row) {
  const score::Plan& plan = *p.context.slot.loaded->plan;
  std::span<const float> answer;
  if (answers.ok()) answer = of_row(*answers, p.rows[index].sent, plan);
  plan.finish(answer, result_);
  if (result_.prediction.empty()) {
    row.outcome = plane::RowOutcome::kFailed;
    rules_.push_back(kNoAnswer);
    return;
  }
  row.prediction = keep(result_.prediction);
  finish_others(p, index, row);
}

/// Into the journal, which has the names of the fields once a segment: under other ones the row
/// would be another, and a gap is recorded in its place.
void Engine::record(const Pending& p, std::uint32_t micros) {
  if (p.serving->fields.names() == serving_->fields.names()) {
    options_.journal->append(plane::RequestView{
        p.id, p.source, p.context.event_time, p.context.arrival, name_of(p.context.slot.id),
        p.serving->route.version, rows_, p.context.cohort, micros, p.account});
  } else {
    options_.journal->append(plane::GapRecord{
        1, "a swap to a contract with other fields while a runtime had the request", 0, p.account});
  }
}

/// What `score` and the end of `infer` are to a model of ours.
Answer Engine::finish(Pending& p, const Result<std::vector<float>>& answers) {
  const Slot& slot = p.context.slot;
  const std::size_t width = p.serving->fields.size();
  const score::Plan& plan = *slot.loaded->plan;
  const auto& known = plan.contract().rules();
  const std::int64_t now = options_.clock->mono_ns();
  // Once a second: a runtime that is down fails each request.
  if (!answers.ok() && now - complained_ns_ > kComplainNs) {
    complained_ns_ = now;
    log::warn("service `{}`: the {} gave no answer: {}", name_, name_of(slot.id),
              answers.error().message);
  }
  begin_rows(*p.serving, plan, p.rows.size());
  std::uint32_t served = 0, refused = 0, failed = 0, strayed = 0;
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    const PendingRow& kept = p.rows[i];
    plane::RowView row;
    row.fields = std::span(p.values).subspan(i * width, width);
    row.outcome = kept.outcome;
    if (row.outcome == plane::RowOutcome::kServed) {
      finish_row(p, i, answers, row);
      ++(row.outcome == plane::RowOutcome::kServed ? served : failed);
    } else if (row.outcome == plane::RowOutcome::kQuarantined) {
      rules_.push_back(kSourceQuarantined);
    } else {
      ++refused;
      strayed += kept.stray.empty() ? 0 : 1;
    }
    for (const std::string& rule : kept.stray) rules_.push_back(rule);
    for (const std::uint16_t rule : kept.broken) rules_.push_back(known[rule].id);
    if (!plan.contract().repairs().empty()) note_repairs(plan, kept.repaired);
    rule_ends_.push_back(rules_.size());
    rows_.push_back(row);
  }
  end_rules();
  compare(p.standby, rows_);
  compare(p.shadow, rows_);
  metrics_.rows(served, refused, failed, p.rows.size() - served - refused - failed);
  after(p.context, failed, refused - strayed);
  const std::int64_t end = options_.clock->mono_ns();
  const auto micros = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>((end - p.begun_ns) / 1000, 0, UINT32_MAX));
  record(p, micros);
  metrics_.scored(slot.id, rows_.size(), p.sent_ns - p.begun_ns, end - p.sent_ns,
                  p.context.arrival);
  return Answer{
      .by = {name_, p.id, slot.loaded->digest, name_of(slot.id), p.serving->route.version},
      .task = &plan.task(),
      .conformal = plan.conformal().has_value() ? &*plan.conformal() : nullptr,
      .rows = rows_,
      .repairs = row_repairs_};
}

}  // namespace heddle::serve
