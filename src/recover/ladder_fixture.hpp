#pragma once

// A world that plays the control plane, and a scene of days in it.

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "recover/ladder.hpp"
#include "recover/stored.hpp"
#include "watch/stream_fixture.hpp"

namespace heddle::recover::fixture {

using watch::Alert;
using watch::Watch;
using watch::fixture::Stream;
using Status = Outcome::Status;

/// The state as it is stored and read back by a restart.
inline LadderState read_back(const LadderState& state) {
  auto out =
      ladder_state_schema().parse_text(doc::to_json(ladder_state_schema().print(state))).value();
  for (const Incident& incident : state.incidents)
    out.incidents.push_back(
        incident_schema().parse_text(doc::to_json(incident_schema().print(incident))).value());
  return out;
}

/// A world that plays the control plane: applies what it is told to, remembers what was done under
/// which op_id.
class World : public Effects, public Recording {
 public:
  explicit World(unsigned seed)
      : stream(seed), baseline(std::make_shared<watch::Baseline>(stream.baseline())) {
    known.push_back({1, sha256("primary"), "", baseline});
  }

  Result<Outcome> perform(const Action& action) override {
    const std::string type(action.type());
    asked.push_back(type);
    op_ids[type].insert(action.op_id);
    if (failing.contains(type)) return Error{ErrorKind::kIo, "disk", "the disk is full", ""};
    if (const auto it = done.find(action.op_id); it != done.end()) return it->second;
    Outcome out;
    out.entry = done.size() + 1;
    const auto later = [](Status status) {
      Outcome outcome;
      outcome.status = status;
      return outcome;
    };
    const bool asks = type == AcceptLabels::kType && !labels_are_right && !denied.contains(type);
    if (asks || unanswered.contains(type)) return later(Status::kWaiting);
    const auto* retrain = std::get_if<StartRetrain>(&action.what);
    const bool is_release = std::holds_alternative<PromoteCandidate>(action.what);
    if (denied.contains(type)) {
      out.status = Status::kDenied;
    } else if (failed.contains(type)) {
      out.status = Status::kFailed;
      out.note = failed.at(type);
    } else if (overtaken.contains(type)) {
      out.status = Status::kOvertaken;
      out.note = "somebody else did it";
    } else if (is_release || std::holds_alternative<ProposeTransform>(action.what)) {
      const auto first = waiting_since.try_emplace(action.op_id, action.event_time).first->second;
      if (action.event_time < first + approval_after) return later(Status::kWaiting);
    } else if (retrain != nullptr) {
      if (action.event_time < retrain->started_at + 2 * kHour) return later(Status::kRunning);
      out.candidate = Candidate{failed_gates.empty() ? sha256("retrained").str() : std::string(),
                                failed_gates.empty(), failed_gates};
      out.candidate->left_out = left_out;
    }
    if (is_release) out.before = known.back().primary.str();
    if (out.status == Status::kApplied) apply(action);
    done.emplace(action.op_id, out);
    applied.push_back(action.op_id + (out.status == Status::kApplied
                                          ? ""
                                          : fmt::format(" {}", status_name(out.status))));
    last[type] = action;
    if (const auto* written = std::get_if<WritePostmortem>(&action.what))
      pages.push_back(written->page);
    return out;
  }
  std::optional<Postmortem> postmortem(const PostmortemInput& input, const std::string& op_id,
                                       Micros now) override {
    const auto first = written_since.try_emplace(op_id, now).first->second;
    if (now < first + page_after) return std::nullopt;
    return postmortem_of(input, *this);
  }
  Result<void> records(Micros from, Micros to,
                       const std::function<bool(const plane::Record&)>& sink) override {
    for (const auto& record : journal) {
      const auto* request = std::get_if<plane::RequestRecord>(&record);
      const auto* label = std::get_if<plane::LabelRecord>(&record);
      const auto* tick = std::get_if<plane::TickRecord>(&record);
      const Micros at = request != nullptr ? request->event_time
                        : label != nullptr ? label->event_time
                                           : tick->event_time;
      if (at >= from && at < to && !sink(record)) return {};
    }
    return {};
  }
  std::vector<watch::Route> routes() override { return known; }
  std::optional<plane::QuarantinedSource> quarantine_of(std::string_view account,
                                                        std::string_view source) override {
    std::optional<plane::QuarantinedSource> found;
    for (const auto& each : shut) {
      if (each.holds(account, source)) found = each;
    }
    return found;
  }
  bool in_force(const Act& act) override { return !gone.contains(act.id); }

  void apply(const Action& action) {
    watch::Route route = known.back();
    ++route.version;
    const bool is_new = std::visit(
        overloaded{[&](const QuarantineSource& a) {
                     shut.push_back({a.source, a.rule, 5, a.account});
                     return false;
                   },
                   [&](const ReleaseSource& a) {
                     std::erase_if(shut,
                                   [&](const auto& each) { return each.is(a.account, a.source); });
                     return false;
                   },
                   [&](const SwapToStandby&) { return change_slots(route); },
                   [&](const SwapBack&) { return change_slots(route); },
                   [&](const WithdrawTransform&) {
                     route.repair.clear();
                     route.apply_repair = {};
                     return true;
                   },
                   [&](const WithdrawRecalibration& a) {
                     route.primary = sha256("primary");
                     intercept += a.offsets[0];
                     return true;
                   },
                   [&](const RollBack& a) {
                     route.primary = *Digest::parse(a.bundle);
                     return true;
                   },
                   [&](const ProposeTransform& a) {
                     route.repair = a.expression;
                     const Micros shift = a.lag_hours * kHour;
                     route.apply_repair = [shift](std::vector<plane::FieldValue>& fields) {
                       if (fields[0].kind == expr::Datum::Kind::kTimestamp) fields[0].i -= shift;
                     };
                     return true;
                   },
                   [&](const PromoteCandidate&) {
                     route.primary = sha256("retrained");
                     return true;
                   },
                   [&](const Recalibrate& a) {
                     route.primary = sha256("recalibrated" + action.op_id);
                     intercept += a.offsets[0];
                     return true;
                   },
                   [](const auto&) { return false; }},
        action.what);
    if (is_new) known.push_back(route);
  }
  static bool change_slots(watch::Route& route) {
    route.primary = route.primary == sha256("primary") ? sha256("standby") : sha256("primary");
    return true;
  }
  /// The last action of a type, as `T`.
  template <class T>
  const T& last_of() const {
    return std::get<T>(last.at(std::string(T::kType)).what);
  }
  /// What policies and the ledger would see of the last action of a type.
  doc::Value attributes(const std::string& type) const { return attributes_of(last.at(type).what); }

  /// Plays one day; the tick of each day's end reaches the ladder, those within it too.
  void day(int day, Stream::Fault fault, Watch& watch, Ladder& ladder,
           std::vector<plane::ActRecord> acts = {}) {
    std::vector<plane::Record> records;
    stream.day(day, fault, records);
    if (others) watch::fixture::beside(*others, "other", day, others_fault, records);
    if (labelled_by) label(records);
    std::erase_if(records, [&](const plane::Record& record) {
      const auto* request = std::get_if<plane::RequestRecord>(&record);
      return request != nullptr && request->account == silent.first &&
             request->source == silent.second;
    });
    for (auto& record : records) {
      if (auto* request = std::get_if<plane::RequestRecord>(&record)) {
        request->route_version = known.back().version;
        auto& row = request->rows[0];
        if (broken.contains({request->account, request->source}) &&
            watch::fixture::is_of(broken_share, request->request_id)) {
          row.fields[0] = {};
          row.outcome = plane::RowOutcome::kRefused;
          row.rules = {"at.required"};
        }
        plane::RowRecord received = row;
        if (known.back().apply_repair) known.back().apply_repair(received.fields);
        const float primary = margin_of(received.fields) + static_cast<float>(intercept);
        if (known.back().primary == sha256("retrained")) {
          row.prediction = {sigmoid(retrained_margin(received.fields))};
        } else if (known.back().primary == sha256("standby")) {
          row.prediction = row.standby_prediction;
          row.standby_prediction = {sigmoid(primary)};
        } else {
          row.prediction = {sigmoid(primary)};
        }
      }
      journal.push_back(record);
      watch::Output out;
      watch.observe(record, out);
      moves.insert(moves.end(), out.moves.begin(), out.moves.end());
      if (const auto* tick = std::get_if<plane::TickRecord>(&record);
          tick != nullptr && tick->event_time > ladder.last_tick()) {
        (void)ladder.on_tick(tick->event_time, moves, acts, watch, *this);
        try_alternatives(ladder);
        for (const watch::Route& route : routes()) watch.register_route(route);
        moves.clear();
        acts.clear();
      }
    }
  }
  /// Each label as the accounts that send it say it.
  void label(std::vector<plane::Record>& records) const {
    std::vector<plane::Record> said;
    for (plane::Record& record : records) {
      const auto* one = std::get_if<plane::LabelRecord>(&record);
      if (one == nullptr) {
        said.push_back(std::move(record));
        continue;
      }
      for (plane::LabelRecord& each : labelled_by(*one)) said.emplace_back(std::move(each));
    }
    records = std::move(said);
  }
  using Fields = std::vector<plane::FieldValue>;
  static float sigmoid(float margin) {
    return static_cast<float>(stats::sigmoid(static_cast<double>(margin)));
  }
  static int hour_of(const Fields& fields) { return static_cast<int>(fields[0].i % kDay / kHour); }
  static float margin_of(const Fields& fields) {
    return static_cast<float>(-2.6 + 0.16 * (hour_of(fields) - 6) +
                              static_cast<double>(fields[2].i) / 2000);
  }
  /// Learned while the mornings were the other way round.
  static float retrained_margin(const Fields& fields) {
    return hour_of(fields) >= 6 && hour_of(fields) <= 11 ? -margin_of(fields) : margin_of(fields);
  }
  /// As the control plane does it: the newest route, with what else could answer.
  void try_alternatives(const Ladder& ladder) {
    watch::Route& route = known.back();
    route.alternatives.clear();
    for (const Act& act : ladder.acts()) {
      const auto* recalibration = act.as<RecalibrationInForce>();
      const double without =
          recalibration != nullptr ? intercept - recalibration->offsets[0] : intercept;
      const auto repair = act.is<TransformInForce>() ? nullptr : route.apply_repair;
      route.alternatives.push_back({act.id, false, [repair, without](const Fields& received) {
                                      Fields fields = received;
                                      if (repair) repair(fields);
                                      return std::vector<float>{margin_of(fields) +
                                                                static_cast<float>(without)};
                                    }});
    }
    for (const auto& [trial, bundle] : ladder.candidates()) {
      if (worker_scores) continue;
      route.alternatives.push_back({trial, true, [](const Fields& fields) {
                                      return std::vector<float>{retrained_margin(fields)};
                                    }});
    }
  }

  Stream stream;
  std::unique_ptr<Stream> others;  ///< of another account
  Stream::Fault others_fault{};
  /// Account and source whose rows have no time.
  std::set<std::pair<std::string, std::string>> broken;
  double broken_share = 1;                     ///< of their rows
  std::pair<std::string, std::string> silent;  ///< account and source that send nothing
  /// What is sent of a label, by whom; empty: it is, by an account that is not known.
  std::function<std::vector<plane::LabelRecord>(const plane::LabelRecord&)> labelled_by;
  std::shared_ptr<const watch::Baseline> baseline;
  bool worker_scores = false;  ///< a retrained model, which is then not tried beside the traffic
  std::vector<watch::Route> known;
  std::vector<plane::Record> journal;
  std::vector<Alert> moves;
  std::map<std::string, Outcome> done;
  std::map<std::string, Micros> waiting_since;
  std::map<std::string, Micros> written_since;  ///< pages, by op_id
  std::map<std::string, Action> last;
  std::vector<std::string> applied;
  std::vector<std::string> asked;
  std::vector<std::string> pages;                       ///< of postmortems
  std::map<std::string, std::set<std::string>> op_ids;  ///< by type, whatever came of it
  std::set<std::string> denied;
  std::set<std::string> unanswered;
  std::set<std::string> overtaken;
  std::map<std::string, std::string> failed;     ///< by type: why
  std::vector<std::string> failed_gates;         ///< of a retrain
  std::map<std::string, std::int64_t> left_out;  ///< of a retrain
  std::set<std::string> failing;                 ///< the machine's fault
  std::vector<plane::QuarantinedSource> shut;
  std::set<std::string> gone;  ///< acts that a release by hand replaced
  Micros approval_after = 2 * kDay;
  Micros page_after = 0;          ///< event time that a page takes
  bool labels_are_right = false;  ///< what the person answers who is asked; false: not yet
  double intercept = 0;
};

inline Ladder::Options options() {
  const Watch::Options w = Stream::options();
  Ladder::Options out;
  out.service = "trips";
  out.monitor = w.monitor;
  out.monitor.identity.file = "monitors/trips.yaml";
  out.contract = w.contract;
  out.fields = w.fields;
  out.evaluation_file = "evaluations/trips.yaml";
  out.retrain_rows = 9000;
  return out;
}

struct Scene {
  explicit Scene(unsigned seed)
      : world(seed), watch(*Watch::open(Stream::options())), ladder(options()) {
    watch.register_route(world.known[0]);
  }
  void play(int from, int to, const Stream::Fault& fault) {
    for (int day = from; day < to; ++day) world.day(day, fault, watch, ladder);
  }
  [[nodiscard]] bool did(const std::string& op) const {
    return std::any_of(world.applied.begin(), world.applied.end(),
                       [&](const std::string& a) { return a.find(op) != a.npos; });
  }
  World world;
  Watch watch;
  Ladder ladder;
};

}  // namespace heddle::recover::fixture
