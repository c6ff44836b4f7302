#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/registry.hpp"
#include "recover/diagnosis.hpp"
#include "recover/effects.hpp"
#include "recover/step.hpp"
#include "spec/contract.hpp"
#include "spec/monitor.hpp"
#include "watch/watch.hpp"

namespace heddle::recover {

struct Incident;

/// One thing that an incident could teach: a change of the monitor, or a case for the evaluation of
/// later releases.
struct Amendment {
  spec::Monitor monitor;  ///< with the change; as it was for an evaluation case
  bool evaluation = false;
  std::string path;
  std::string yaml;
  std::string why;
};

/// A monitor that is averaged over two chunks fewer, five at least, notices sooner; nullopt: it
/// has no more than that.
[[nodiscard]] std::optional<Amendment> fewer_chunks(const spec::Monitor& monitor, std::string why);

/// What a step of a cause's own can do. Of one incident and one tick.
class Response {
 public:
  virtual ~Response() = default;
  [[nodiscard]] virtual Micros now() const noexcept = 0;
  [[nodiscard]] virtual const watch::Watch& watch() const noexcept = 0;
  /// Proposes and notes the outcome. The op_id follows from the incident and the type; `attempt`
  /// keeps several of one type apart.
  virtual Outcome propose(What what, std::string reason, std::string_view attempt = {}) = 0;
  /// Tells people that the step waits, as often as they were not heard for so long; false while the
  /// deadline has not passed.
  virtual bool escalate(std::string next, Micros deadline) = 0;
  /// What was done, in a few words; the first time is the time of the response.
  virtual void respond(std::string_view what) = 0;
  /// Whether what was alerted about has been quiet for two windows.
  [[nodiscard]] virtual bool is_quiet() const = 0;
};

/// Why an alert stands, and what is done about it: which alerts it explains, which steps the
/// response has, and what its postmortem adds. A constant object without state: what an incident
/// needs to go on is in the incident. One class, one file, one row in `causes()`.
class Cause {
 public:
  virtual ~Cause() = default;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;

  // ---- match
  /// Why this confirmed alert stands, if this is the cause. Causes are asked in the order of the
  /// table. nullopt: it is another, or no alert shows this one.
  [[nodiscard]] virtual std::optional<Diagnosis> match(const watch::Alert& alert,
                                                       const watch::Watch& watch) const;
  /// Whether an alert is one more sign of the open `incident`, which is of this cause. `related`:
  /// it comes so soon after that it may have the same cause. By default another alert of the same
  /// cause is, while it is related.
  [[nodiscard]] virtual bool takes(const Incident& incident, const watch::Alert& alert,
                                   const Diagnosis& diagnosis, bool related) const;
  /// The same asked of the cause of the new alert, before the incident's own; nullopt: it has no
  /// opinion.
  [[nodiscard]] virtual std::optional<bool> joins(const Incident& incident,
                                                  const Diagnosis& diagnosis) const;
  /// It was not known: an alert that another cause explains decides what it is.
  [[nodiscard]] virtual bool is_open_question() const noexcept { return false; }
  /// The rows that show it are refused by the contract, one by one.
  [[nodiscard]] virtual bool refuses_rows() const noexcept { return false; }

  // ---- respond
  /// What an incident keeps of the moment at which it was diagnosed.
  virtual void note(Incident& incident, const watch::Watch& watch) const;
  /// Where the response begins: a shared step, or `kRespond` for steps of its own.
  [[nodiscard]] virtual Step first_step(const Incident& incident) const;
  /// Step `respond`: what is to be done at this tick, and the step that follows, `kRespond` while
  /// it goes on.
  [[nodiscard]] virtual Step respond(Incident& incident, Response& response) const;
  /// Where an incident goes that only waited, when `alert` joined it; nullopt: it waits on.
  [[nodiscard]] virtual std::optional<Step> after_sign(const watch::Alert& alert) const;
  /// What is done where there is nothing but to wait, in a few words.
  [[nodiscard]] virtual std::string_view while_waiting() const noexcept { return "none"; }
  /// What people are told at once where there is nothing but to wait; empty: nothing.
  [[nodiscard]] virtual std::string tells(const Diagnosis& diagnosis) const;

  // ---- postmortem
  /// Most useful first; empty when there is nothing to add.
  [[nodiscard]] virtual std::vector<Amendment> amendments(const Incident& incident,
                                                          const spec::Monitor& monitor,
                                                          const spec::Contract& contract) const;
  /// What a person does next.
  [[nodiscard]] virtual std::string next(const Incident& incident) const = 0;
};

/// The table of causes, in the order in which they are asked.
[[nodiscard]] Registry<Cause>& causes();

/// Why a confirmed alert stands, from it and the latest findings beside it: of the first cause that
/// matches, `unknown` if none does.
[[nodiscard]] Diagnosis diagnose(const watch::Watch& watch, const watch::Alert& alert);

/// Of the same account and source.
[[nodiscard]] bool same_sender(const Diagnosis& a, const Diagnosis& b);

// The rows of the table.
[[nodiscard]] const Cause& unit_change();
[[nodiscard]] const Cause& precision_loss();
[[nodiscard]] const Cause& missing_field();
[[nodiscard]] const Cause& null_burst();
[[nodiscard]] const Cause& format_change();
[[nodiscard]] const Cause& new_category();
[[nodiscard]] const Cause& frozen_value();
[[nodiscard]] const Cause& contract_fault();
[[nodiscard]] const Cause& label_fault();
[[nodiscard]] const Cause& prior_shift();
[[nodiscard]] const Cause& time_shift();
[[nodiscard]] const Cause& covariate_shift();
[[nodiscard]] const Cause& concept_shift();
[[nodiscard]] const Cause& clock_jump();
[[nodiscard]] const Cause& monitor_silent();
[[nodiscard]] const Cause& unrecorded_traffic();
[[nodiscard]] const Cause& no_answers();
[[nodiscard]] const Cause& costly_quarantine();
[[nodiscard]] const Cause& label_conflict();
[[nodiscard]] const Cause& new_class();
[[nodiscard]] const Cause& coverage_loss();
[[nodiscard]] const Cause& fail_over();
[[nodiscard]] const Cause& outlived_repair();
[[nodiscard]] const Cause& unknown_cause();

}  // namespace heddle::recover
