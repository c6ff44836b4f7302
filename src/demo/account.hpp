#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "doc/value.hpp"
#include "replay/quality.hpp"

namespace heddle::demo {

/// One incident as the control plane tells it, beside what was true.
struct IncidentAccount {
  std::string id;
  std::string true_cause;  ///< the fault's, `prior shift`, `outlived repair`, `none`
  std::string diagnosed_cause;
  std::string response;
  std::string reason;  ///< the diagnosis in one sentence
  std::string fault;   ///< as `FaultWindow` names it, or empty
  bool is_false = false;
  std::int64_t rows_to_alert = 0;  ///< rows of all traffic since the true change
  std::int64_t rows_to_confirm = 0;
  std::int64_t rows_to_response = 0;  ///< -1: no response yet
  Micros changed_at = 0;              ///< event times; 0: not (yet)
  Micros raised_at = 0;
  Micros confirmed_at = 0;
  Micros responded_at = 0;
  Micros recovered_at = 0;
  std::vector<std::pair<Micros, std::string>> timeline;
};

struct SwapAccount {
  Micros event_time = 0;
  std::string action;
  std::string from;
  std::string to;
  std::int64_t failed_requests = 0;
};

struct ApprovalAccount {
  std::string id;
  std::string action;
  std::string target;
  std::string reason;
  std::string requester;
  std::string person;
  std::string state;
  Micros asked_at = 0;  ///< event time; 0: before traffic
  Micros answered_at = 0;
  bool verified = false;  ///< `ssh-keygen -Y verify` said so
};

struct Series {
  std::string name;
  double threshold = 0;
  std::vector<std::pair<Micros, double>> points;
};

/// Faults that reports count as one.
struct FaultWindow {
  std::string name;  ///< their group, or the fault's own name
  std::string title;
  Micros from = 0;  ///< event times within the replay
  Micros to = 0;
  std::string cause{};                 ///< that a diagnosis should name; without one, their name
  bool is_refused = false;             ///< rows that show the cause are refused one by one
  std::vector<std::string> members{};  ///< names of the definitions
};

struct QuarantineAccount {
  replay::RefusalScore score;
  std::string named;  ///< what the diagnosis called it, the ratio included; empty: not named
};

/// All that the demo saw and measured; report.json and report.html are made from it alone.
struct Account {
  std::map<std::string, std::string> versions;
  std::vector<std::pair<std::string, double>> phases;
  std::int64_t training_rows = 0;
  std::int64_t trials = 0;
  std::int64_t requests = 0, rows = 0, answered = 0, failed = 0, retried = 0, labels = 0;
  std::vector<QuarantineAccount> quarantine;
  std::vector<replay::PeriodQuality> months;
  std::vector<replay::PeriodQuality> days;
  replay::PeriodQuality end;
  std::vector<IncidentAccount> incidents;
  std::vector<SwapAccount> swaps;
  std::vector<ApprovalAccount> approvals;
  std::vector<Series> metrics;
  std::vector<FaultWindow> faults;
  std::int64_t decisions = 0;
  std::string decisions_digest;  ///< over action, target, verdict and event time, in order: two
                                 ///< lockstep runs agree
  std::int64_t ledger_entries = 0;
  std::string audit;              ///< `ok`, or what is wrong
  std::string independent_audit;  ///< the Python verifier's word; empty: it was not there
  std::int64_t control_peak_bytes = 0;
  std::int64_t data_peak_bytes = 0;
  double latency_p50_us = 0;
  double latency_p99_us = 0;
  std::int64_t notifications = 0;
  std::int64_t notifications_forged = 0;
  Micros from = 0;  ///< of the replay
  Micros to = 0;
};

[[nodiscard]] std::int64_t false_incidents(const Account& account);
/// `heddle.demo/1` (docs/formats/demo-report.md).
[[nodiscard]] doc::Value to_report(const Account& account);
/// One HTML page that needs nothing else: styles and SVG plots are inside.
[[nodiscard]] std::string to_page(const Account& account);

}  // namespace heddle::demo
