#include <algorithm>
#include <cmath>

#include "demo/account.hpp"

namespace heddle::demo {
namespace {

using doc::Value;

Value time_or_null(Micros time) { return time == 0 ? Value() : Value(format_time(time)); }

double rounded(double value, double scale) { return std::round(value * scale) / scale; }

Value quality(const replay::Quality& q) {
  return Value::object({{"auc", rounded(q.auc, 1e6)}, {"log_loss", rounded(q.log_loss, 1e6)}});
}

}  // namespace

std::int64_t false_incidents(const Account& account) {
  return std::count_if(account.incidents.begin(), account.incidents.end(),
                       [](const IncidentAccount& i) { return i.is_false; });
}

Value to_report(const Account& account) {
  Value versions = Value::object();
  for (const auto& [name, version] : account.versions) versions.set(name, version);
  Value phases = Value::array();
  for (const auto& [name, seconds] : account.phases) {
    phases.push(Value::object({{"name", name}, {"seconds", rounded(seconds, 1e3)}}));
  }
  Value quarantine = Value::array();
  for (const QuarantineAccount& q : account.quarantine) {
    quarantine.push(Value::object({{"fault", q.score.fault},
                                   {"precision", rounded(q.score.precision, 1e6)},
                                   {"recall", rounded(q.score.recall, 1e6)},
                                   {"named", q.named},
                                   {"rows", q.score.faulty},
                                   {"refused", q.score.faulty_refused},
                                   {"refused_in_all", q.score.refused},
                                   {"wrongly_refused", q.score.wrongly_refused}}));
  }
  Value months = Value::array();
  for (const replay::PeriodQuality& m : account.months) {
    months.push(Value::object({{"month", m.name},
                               {"rows", m.rows},
                               {"positive_share", rounded(m.positive_share, 1e4)},
                               {"heddle", quality(m.heddle)},
                               {"never", quality(m.never)},
                               {"oracle", quality(m.oracle)}}));
  }
  Value incidents = Value::array();
  for (const IncidentAccount& i : account.incidents) {
    const bool responded = i.responded_at != 0 && i.changed_at != 0;
    incidents.push(
        Value::object({{"id", i.id},
                       {"true_cause", i.true_cause},
                       {"diagnosed_cause", i.diagnosed_cause},
                       {"response", i.response},
                       {"rows_to_alert", i.rows_to_alert},
                       {"rows_to_confirm", i.rows_to_confirm},
                       {"rows_to_response", responded ? Value(i.rows_to_response) : Value()},
                       {"event_time_to_response",
                        responded ? Value((i.responded_at - i.changed_at) / kSecond) : Value()},
                       {"fault", i.fault},
                       {"false", i.is_false},
                       {"reason", i.reason},
                       {"raised_at", time_or_null(i.raised_at)},
                       {"confirmed_at", time_or_null(i.confirmed_at)},
                       {"responded_at", time_or_null(i.responded_at)},
                       {"recovered_at", time_or_null(i.recovered_at)}}));
  }
  Value swaps = Value::array();
  for (const SwapAccount& s : account.swaps) {
    swaps.push(Value::object({{"event_time", time_or_null(s.event_time)},
                              {"from", s.from},
                              {"to", s.to},
                              {"failed_requests", s.failed_requests},
                              {"action", s.action}}));
  }
  Value approvals = Value::array();
  for (const ApprovalAccount& a : account.approvals) {
    approvals.push(Value::object({{"id", a.id},
                                  {"action", a.action},
                                  {"target", a.target},
                                  {"state", a.state},
                                  {"requester", a.requester},
                                  {"person", a.person},
                                  {"asked_at", time_or_null(a.asked_at)},
                                  {"answered_at", time_or_null(a.answered_at)},
                                  {"signature_verified", a.verified}}));
  }
  const replay::PeriodQuality& end = account.end;
  return Value::object(
      {{"schema", "heddle.demo/1"},
       {"versions", std::move(versions)},
       {"phases", std::move(phases)},
       {"training", Value::object({{"rows", account.training_rows}, {"trials", account.trials}})},
       {"traffic", Value::object({{"requests", account.requests},
                                  {"rows", account.rows},
                                  {"answered", account.answered},
                                  {"failed", account.failed},
                                  {"retried", account.retried},
                                  {"labels", account.labels}})},
       {"quarantine", std::move(quarantine)},
       {"quality", std::move(months)},
       {"end", Value::object({{"from", end.name},
                              {"rows", end.rows},
                              {"heddle", quality(end.heddle)},
                              {"never", quality(end.never)},
                              {"oracle", quality(end.oracle)}})},
       {"incidents", std::move(incidents)},
       {"false_incidents", false_incidents(account)},
       {"swaps", std::move(swaps)},
       {"approvals", std::move(approvals)},
       {"notifications", Value::object({{"received", account.notifications},
                                        {"bad_signature", account.notifications_forged}})},
       {"decisions",
        Value::object({{"count", account.decisions}, {"digest", account.decisions_digest}})},
       {"ledger", Value::object({{"entries", account.ledger_entries},
                                 {"audit", account.audit},
                                 {"independent_audit", account.independent_audit}})},
       {"memory_peak_bytes", Value::object({{"control", account.control_peak_bytes},
                                            {"data", account.data_peak_bytes}})},
       {"latency_us", Value::object({{"p50", rounded(account.latency_p50_us, 10)},
                                     {"p99", rounded(account.latency_p99_us, 10)}})}});
}

}  // namespace heddle::demo
