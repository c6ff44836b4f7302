#include "demo/judge.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "bundle/bundle.hpp"
#include "demo/session.hpp"
#include "feature/program.hpp"
#include "recover/cause.hpp"
#include "score/plan.hpp"
#include "train/train.hpp"

namespace heddle::demo {
namespace {

constexpr std::size_t kRowsAtOnce = 50'000;
/// Labels come a day later and chunks are a day: an incident of the third day can still be about
/// the first.
constexpr Micros kAftermath = 3 * kDay;
/// An act is judged by so much of what came after it, if no other came.
constexpr Micros kJudgedFor = 14 * kDay;
constexpr std::string_view kAnswering[] = {"recalibration", "transform", "swap", "retrain"};

/// A model over a stretch of the served rows.
struct Reign {
  std::size_t from;  ///< place among the served rows, inclusive
  std::size_t to;
  const score::Plan* plan;
};

Result<void> score_rows(const JudgeInput& input, const std::vector<std::size_t>& served,
                        const Reign& reign, std::vector<float>& out) {
  std::vector<std::int64_t> rows;
  // In pieces, so that the received rows of a whole replay are not in memory at once.
  for (std::size_t begin = reign.from; begin < reign.to; begin += kRowsAtOnce) {
    const std::size_t end = std::min(begin + kRowsAtOnce, reign.to);
    rows.clear();
    for (std::size_t i = begin; i < end; ++i) rows.push_back(input.truth->rows[served[i]].recorded);
    const table::Table received = input.recording->received(rows);
    HEDDLE_ASSIGN_OR_RETURN(const score::TableResult scored, reign.plan->score_table(received));
    std::copy(scored.predictions.begin(), scored.predictions.end(),
              out.begin() + static_cast<std::ptrdiff_t>(begin));
  }
  return {};
}

/// The release's own trainer, parameters, rounds and feature definitions, fitted on these rows, all
/// of them.
Result<std::unique_ptr<const score::Plan>> refit(const bundle::Bundle& release,
                                                 const table::Table& rows,
                                                 std::span<const double> labels) {
  const bundle::Config& config = release.config();
  HEDDLE_ASSIGN_OR_RETURN(const doc::Value contract, release.json(bundle::kContract));
  HEDDLE_ASSIGN_OR_RETURN(const doc::Value definitions, release.json(bundle::kFeatures));
  HEDDLE_ASSIGN_OR_RETURN(feature::Program features, feature::Program::from_value(definitions));
  HEDDLE_ASSIGN_OR_RETURN(const feature::FitResult fitted, features.fit(rows, labels));
  train::TrainInput input;
  input.trainer = config.trainer;
  if (config.parameters) input.parameters = *config.parameters;
  input.feature_names = features.feature_names();
  input.train = {fitted.train.values.data(), labels.data(), fitted.train.rows,
                 fitted.train.columns};
  input.max_rounds = static_cast<int>(std::max<std::int64_t>(1, config.rounds));
  // All rows are trained on, so none are held out that could stop it before the release's rounds.
  input.early_stopping_rounds = 0;
  input.seed = config.seed;
  HEDDLE_ASSIGN_OR_RETURN(const train::Trained trained, train::train(input));
  return score::Plan::from_parts(contract, features.to_value(), trained.model);
}

/// What the truth says of an incident that was raised at `raised`: the fault that changed last
/// before it, if it was active in or shortly before the incident's window.
const FaultWindow* fault_at(const std::vector<FaultWindow>& faults, Micros raised) {
  const FaultWindow* found = nullptr;
  for (const FaultWindow& fault : faults) {
    if (raised < fault.from || raised >= fault.to + kAftermath) continue;
    // A lasting fault explains only what looks like it while a newer one is there too.
    if (found == nullptr || fault.from >= found->from) found = &fault;
  }
  return found;
}

/// Responses that change what is answered; a row that is refused has no answer to compare.
bool changes_answers(const std::string& response) {
  return std::any_of(std::begin(kAnswering), std::end(kAnswering), [&](std::string_view word) {
    return response.find(word) != std::string::npos;
  });
}

/// Log loss above the never updated release's, summed over the rows of whole days in [from, to).
double lost_between(std::span<const replay::PeriodQuality> days, Micros from, Micros to) {
  double lost = 0;
  for (const replay::PeriodQuality& day : days) {
    const auto start = parse_time(day.name + "T00:00:00Z");
    if (!start || *start < from || *start >= to) continue;
    lost += static_cast<double>(day.rows) * (day.heddle.log_loss - day.never.log_loss);
  }
  return lost;
}

/// The change whose end the incident is about: rows that are refused leave no repair behind.
const FaultWindow* ended_before(const std::vector<FaultWindow>& faults, Micros raised) {
  const auto at = std::find_if(faults.begin(), faults.end(), [&](const FaultWindow& fault) {
    return !fault.is_refused && raised >= fault.to && raised < fault.to + kAftermath;
  });
  return at == faults.end() ? nullptr : &*at;
}

}  // namespace

Result<std::vector<replay::ScoredRow>> judge(const JudgeInput& input) {
  const replay::Truth& truth = *input.truth;
  const std::vector<replay::RowAnswer>& answers = input.replayed->rows;
  std::vector<std::size_t> served;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].outcome == replay::Outcome::kServed) served.push_back(i);
  }
  // Requests of one block are not wholly in order of event time; models change at a row, so the
  // rows must be.
  std::stable_sort(served.begin(), served.end(), [&](std::size_t a, std::size_t b) {
    return truth.rows[a].event_time < truth.rows[b].event_time;
  });

  HEDDLE_ASSIGN_OR_RETURN(const bundle::Bundle release,
                          bundle::open(*input.objects, input.first_release));
  HEDDLE_ASSIGN_OR_RETURN(const auto first, score::Plan::load(release));
  std::vector<float> never(served.size(), std::nanf(""));
  HEDDLE_TRY(score_rows(input, served, {0, served.size(), first.get()}, never));

  // Until enough rows came after the first change, the oracle is the first release itself.
  std::vector<float> oracle = never;
  std::vector<std::unique_ptr<const score::Plan>> plans;
  std::vector<Reign> reigns;
  for (const Micros change : input.true_changes) {
    const auto begin =
        static_cast<std::size_t>(std::lower_bound(served.begin(), served.end(), change,
                                                  [&](std::size_t at, Micros time) {
                                                    return truth.rows[at].event_time < time;
                                                  }) -
                                 served.begin());
    const std::size_t end = begin + static_cast<std::size_t>(input.retrain_rows);
    // Too few rows came after this change: a refit would have none left to answer.
    if (end >= served.size()) continue;
    std::vector<std::int64_t> rows;
    std::vector<double> labels;
    for (std::size_t i = begin; i < end; ++i) {
      const replay::TruthRow& row = truth.rows[served[i]];
      if (!row.label) continue;
      rows.push_back(row.recorded);
      labels.push_back(std::get<bool>(*row.label) ? 1 : 0);
    }
    const table::Table received = input.recording->received(rows);
    HEDDLE_ASSIGN_OR_RETURN(auto plan, refit(release, received, labels));
    // The earlier oracle answers until this one has its rows.
    if (!reigns.empty()) reigns.back().to = end;
    reigns.push_back({end, served.size(), plan.get()});
    plans.push_back(std::move(plan));
  }
  for (const Reign& reign : reigns) HEDDLE_TRY(score_rows(input, served, reign, oracle));

  std::vector<replay::ScoredRow> out;
  out.reserve(served.size());
  for (std::size_t i = 0; i < served.size(); ++i) {
    const replay::TruthRow& row = truth.rows[served[i]];
    // A row that the first release's contract would have refused has no answer of the others to
    // compare with.
    if (std::isnan(never[i]) || std::isnan(oracle[i]) || !row.label) continue;
    out.push_back({row.event_time, static_cast<std::uint8_t>(std::get<bool>(*row.label) ? 1 : 0),
                   answers[served[i]].prediction, never[i], oracle[i]});
  }
  return out;
}

std::vector<FaultWindow> fault_windows(std::span<const spec::Fault> faults, Micros begin,
                                       Micros end) {
  std::vector<FaultWindow> out;
  for (const spec::Fault& fault : faults) {
    // A fault may be defined past the traffic; only its part of the traffic can be noticed.
    const Micros from = std::clamp(fault.from, begin, end);
    const Micros to = std::clamp(fault.to, begin, end);
    auto at = std::find_if(out.begin(), out.end(), [&](const FaultWindow& window) {
      return window.name == fault.reported_as();
    });
    if (at == out.end()) {
      out.push_back({.name = fault.reported_as(), .title = {}, .from = from, .to = to});
      at = std::prev(out.end());
    }
    at->from = std::min(at->from, from);
    at->to = std::max(at->to, to);
    if (at->cause.empty()) at->cause = fault.cause;
    at->members.push_back(fault.identity.name);
  }
  for (FaultWindow& window : out) {
    // The title comes first: after it, the name stands in for a cause that is not given.
    window.title = window.cause.empty() ? fmt::format("({})", window.name)
                                        : fmt::format("({}) {}", window.name, window.cause);
    const recover::Cause* const cause = recover::causes().find(window.cause);
    window.is_refused = cause != nullptr && cause->refuses_rows();
    if (window.cause.empty()) window.cause = window.name;
  }
  return out;
}

std::vector<Micros> true_changes(std::span<const FaultWindow> faults, Micros end) {
  std::vector<Micros> out;
  for (const FaultWindow& fault : faults) {
    if (fault.is_refused) continue;
    out.push_back(fault.from);
    // The end of a fault is a change too, unless the traffic ends with it.
    if (fault.to < end) out.push_back(fault.to);
  }
  std::sort(out.begin(), out.end());
  return out;
}

namespace {

/// An incident's own words and times.
IncidentAccount read_incident(const doc::Value& value) {
  IncidentAccount incident;
  incident.id = value.string_or("id");
  incident.diagnosed_cause = value.string_or("cause");
  incident.reason = value.string_or("reason");
  incident.response = value.string_or("response");
  incident.raised_at = time_of(value, "raised");
  incident.confirmed_at = time_of(value, "opened");
  incident.responded_at = time_of(value, "responded");
  incident.recovered_at = time_of(value, "closed");
  incident.changed_at = time_of(value, "change_from");
  for (const doc::Value& entry : list_of(value, "timeline"))
    incident.timeline.emplace_back(time_of(entry, "at"), entry.string_or("what"));
  return incident;
}

/// What is taken back is the repair of a fault that ended, or a recalibration: the base rate ends
/// nothing at a day we know.
void name_outlived(IncidentAccount& incident, const std::vector<FaultWindow>& faults) {
  const FaultWindow* fault = ended_before(faults, incident.raised_at);
  const bool of_a_fault = incident.reason.find("recalibration") == std::string::npos;
  incident.true_cause = of_a_fault && fault == nullptr ? "none" : "outlived repair";
  incident.is_false = of_a_fault && fault == nullptr;
  if (!of_a_fault || fault == nullptr) return;
  incident.fault = fault->name;
  incident.changed_at = fault->to;
}

/// What was true when the incident was raised.
void name_true_cause(IncidentAccount& incident, const std::vector<FaultWindow>& faults) {
  if (incident.diagnosed_cause == "outlived repair") return name_outlived(incident, faults);
  // The base rate moves by itself in the data: no fault is planted for it.
  if (incident.diagnosed_cause == "prior shift") {
    incident.true_cause = "prior shift";
    return;
  }
  const FaultWindow* fault = fault_at(faults, incident.raised_at);
  if (fault == nullptr) {
    incident.true_cause = "none";
    incident.is_false = true;
    return;
  }
  incident.true_cause = fault->cause;
  incident.fault = fault->name;
  incident.changed_at = fault->from;
}

/// Until the next response, or for as long as a response is judged.
Micros judged_until(const IncidentAccount& incident, const std::vector<doc::Value>& incidents) {
  Micros until = incident.responded_at + kJudgedFor;
  for (const doc::Value& other : incidents) {
    if (const Micros at = time_of(other, "responded"); at > incident.responded_at)
      until = std::min(until, at);
  }
  return until;
}

}  // namespace

std::vector<IncidentAccount> account_incidents(const std::vector<doc::Value>& incidents,
                                               const replay::Truth& truth,
                                               const std::vector<FaultWindow>& faults,
                                               std::span<const replay::PeriodQuality> days) {
  std::vector<IncidentAccount> out;
  for (const doc::Value& value : incidents) {
    IncidentAccount incident = read_incident(value);
    name_true_cause(incident, faults);
    if (incident.responded_at != 0 && changes_answers(incident.response)) {
      // An act after which the answers lost more than the untouched release's was wrong, even where
      // the diagnosis was right.
      const Micros until = judged_until(incident, incidents);
      incident.is_false = incident.is_false || lost_between(days, incident.responded_at, until) > 0;
    }
    const auto rows_until = [&](Micros at) {
      // -1 says that it did not happen; 0 rows would say at once.
      return at == 0 ? -1 : replay::rows_between(truth, incident.changed_at, at);
    };
    incident.rows_to_alert = rows_until(incident.raised_at);
    incident.rows_to_confirm = rows_until(incident.confirmed_at);
    incident.rows_to_response = rows_until(incident.responded_at);
    out.push_back(std::move(incident));
  }
  return out;
}

}  // namespace heddle::demo
