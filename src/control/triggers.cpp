#include "control/triggers.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/log.hpp"
#include "control/stored_rows.hpp"
#include "doc/json.hpp"
#include "doc/schema.hpp"
#include "spec/load.hpp"

namespace heddle::control {
namespace {

using Core = Control::Core;
using policy::Decision;
using spec::Trigger;

constexpr std::string_view kTriggers = "triggers";
/// Files that somebody may still be writing are left alone for so long.
constexpr Micros kSettled = 5 * kSecond;

/// Why a trigger is due, and what it has looked at then; none: it is not due.
struct Due {
  std::string reason{};
  TriggerRow row{};
};

/// Names, sizes and times of the last write of the model's files; none: they cannot be looked at
/// now, or are being written.
std::optional<std::string> data_of(const Core& core, const Trigger& trigger, Micros now) {
  const auto& model = core.project.models.at(trigger.model);
  const auto parts = table::parts_of(spec::input_of(core.project, model.source));
  if (!parts.ok()) return std::nullopt;
  std::string known;
  for (const table::Part& part : *parts) {
    struct stat file{};
    // A part that went between the listing and this is a folder that is being written.
    if (::stat(part.path.c_str(), &file) != 0) return std::nullopt;
    const Micros written = file.st_mtim.tv_sec * kSecond + file.st_mtim.tv_nsec / 1000;
    // A time in the future is of another clock and never settles: it is taken as it is.
    if (written > now - kSettled && written <= now) return std::nullopt;
    known += fmt::format("{}\n{} {}\n", part.name, file.st_size, written);
  }
  return sha256(known).str();
}

/// Of the services that have the model.
template <class Take>
void each_service(const Core& core, const Trigger& trigger, Take take) {
  for (const auto& [name, control] : core.services) {
    if (control->service().model == trigger.model) take(name, *control);
  }
}

std::int64_t labels_of(const Core& core, const Trigger& trigger) {
  std::int64_t labels = 0;
  each_service(core, trigger, [&](const std::string&, const ServiceControl& control) {
    labels += control.watched().labels_joined;
  });
  return labels;
}

std::vector<std::string> incidents_of(const Core& core, const Trigger& trigger) {
  std::vector<std::string> out;
  each_service(core, trigger, [&](const std::string& name, const ServiceControl& control) {
    for (const auto& incident : control.ladder().incidents())
      out.push_back(fmt::format("{}/{}", name, incident.id));
  });
  return out;
}

/// One trigger, its row, and what it does now.
class Looking {
 public:
  Looking(Core& core, const Trigger& trigger, std::optional<TriggerRow> row)
      : core_(core),
        trigger_(trigger),
        is_new_(!row),
        row_(row.value_or(TriggerRow{})),
        now_(core.wiring.clock->wall()) {}

  Result<void> look() {
    // In the order in which a trigger goes through them: noted, running, waiting for a yes, idle.
    if (is_new_) return begin();
    if (row_.runs) return follow();
    if (!row_.approval.empty()) return answer();
    // A stop of the service is a stop of what works for it; what came meanwhile starts it after.
    HEDDLE_ASSIGN_OR_RETURN(const bool stopped, is_stopped());
    if (stopped) return {};
    HEDDLE_ASSIGN_OR_RETURN(const auto due, is_due());
    if (!due) return {};
    return start(*due);
  }

 private:
  Result<void> write(const TriggerRow& row) {
    HEDDLE_TRY(core_.state->write([&](store::Txn& txn) { return put(txn, row); }));
    row_ = row;
    return {};
  }
  [[nodiscard]] Result<void> put(store::Txn& txn, const TriggerRow& row) const {
    return txn.put(kTriggers, trigger_.name, doc::to_json(trigger_row_schema().print(row)));
  }

  /// What is there already starts nothing.
  Result<void> begin() {
    TriggerRow row;
    row.looked = now_;
    row.labels = labels_of(core_, trigger_);
    row.incidents = incidents_of(core_, trigger_);
    if (trigger_.new_data > 0) {
      // Not yet: files that are written at this moment are the first ones.
      const auto data = data_of(core_, trigger_, now_);
      if (!data) return {};
      row.data = *data;
    }
    return write(row);
  }

  [[nodiscard]] Result<bool> is_stopped() const {
    // Of everything, or of any one service that has the model.
    HEDDLE_ASSIGN_OR_RETURN(const auto stopped, core_.policy->stopped());
    bool found = std::find(stopped.begin(), stopped.end(), "*") != stopped.end();
    each_service(core_, trigger_, [&](const std::string& name, const ServiceControl&) {
      found = found || std::find(stopped.begin(), stopped.end(), name) != stopped.end();
    });
    return found;
  }

  Result<std::optional<Due>> is_due() {
    Due due{"", row_};
    if (trigger_.schedule) return is_time(due);
    if (trigger_.new_data > 0) return has_new_data(due);
    if (trigger_.labels > 0) return has_labels(due);
    return has_alert(due);
  }

  Result<std::optional<Due>> is_time(Due& due) {
    // The clock was ahead: times are heeded from now on.
    if (row_.looked > now_) {
      due.row.looked = now_;
      HEDDLE_TRY(write(due.row));
      return std::optional<Due>();
    }
    const Micros at = trigger_.schedule->next(row_.looked);
    if (at > now_) return std::optional<Due>();
    // Several that passed while nothing ran are made up for once.
    due.row.looked = now_;
    due.reason = fmt::format("its time, {}", format_time(at));
    return std::optional(due);
  }

  Result<std::optional<Due>> has_new_data(Due& due) {
    if (now_ >= row_.looked && now_ < row_.looked + trigger_.new_data) return std::optional<Due>();
    const auto data = data_of(core_, trigger_, now_);
    if (!data) return std::optional<Due>();
    due.row.looked = now_;
    if (*data == row_.data) {
      HEDDLE_TRY(write(due.row));
      return std::optional<Due>();
    }
    due.row.data = *data;
    due.reason =
        fmt::format("source `{}` has other files", core_.project.models.at(trigger_.model).source);
    return std::optional(due);
  }

  Result<std::optional<Due>> has_labels(Due& due) {
    due.row.labels = labels_of(core_, trigger_);
    // The watch began anew.
    // A smaller count would keep the trigger silent until the old one is reached again.
    if (due.row.labels < row_.labels) {
      HEDDLE_TRY(write(due.row));
      return std::optional<Due>();
    }
    const std::int64_t more = due.row.labels - row_.labels;
    if (more < trigger_.labels) return std::optional<Due>();
    due.reason = fmt::format("{} labels more met their rows", more);
    return std::optional(due);
  }

  Result<std::optional<Due>> has_alert(Due& due) {
    due.row.incidents = incidents_of(core_, trigger_);
    const std::set<std::string> known(row_.incidents.begin(), row_.incidents.end());
    const auto fresh = std::find_if(due.row.incidents.begin(), due.row.incidents.end(),
                                    [&](const std::string& id) { return !known.contains(id); });
    if (fresh == due.row.incidents.end()) {
      // Those that recovery let go.
      if (due.row.incidents != row_.incidents) HEDDLE_TRY(write(due.row));
      return std::optional<Due>();
    }
    due.reason = fmt::format("incident {}", *fresh);
    return std::optional(due);
  }

  [[nodiscard]] policy::Proposal proposal(const TriggerRow& row) const {
    policy::Proposal out;
    out.op_id = fmt::format("trigger/{}/{}", trigger_.name, row.fired);
    out.action = "run.start";
    out.target = "model/" + trigger_.model;
    out.actor = {policy::ActorType::kAgent, "agent:trigger"};
    out.attributes = doc::Value::object(
        {{"model", trigger_.model}, {"trigger", trigger_.name}, {"refit", trigger_.refit}});
    out.reason = fmt::format("trigger `{}` starts a {} of `{}`: {}", trigger_.name,
                             trigger_.refit ? "refit" : "run", trigger_.model, row.reason);
    return out;
  }

  Result<void> start(const Due& due) {
    TriggerRow row = due.row;
    ++row.fired;
    row.fired_at = now_;
    row.reason = due.reason;
    return decide(row);
  }

  /// With the row that stands for it from here on, whatever was decided.
  Result<void> decide(TriggerRow row) {
    const auto after = [&](const Decision& decision) {
      TriggerRow kept = row;
      kept.approval = decision.approval;
      if (decision.effect == policy::Effect::kDeny) {
        kept.ended_at = now_;
        kept.outcome = fmt::format("denied: {}", decision.reason);
        kept.candidate.clear();
        kept.approval.clear();
      }
      return kept;
    };
    TriggerRow started = row;
    started.runs = true;
    started.approval.clear();
    TriggerRow stored = started;
    HEDDLE_ASSIGN_OR_RETURN(
        const auto decision,
        core_.policy->act(
            proposal(row), [&](store::Txn& txn) { return put(txn, started); }, {},
            [&](store::Txn& txn, const Decision& decided) -> Result<void> {
              // What was allowed has written its row with
              // the decision; the others write theirs here.
              if (decided.effect == policy::Effect::kAllow || decided.applied) return {};
              stored = after(decided);
              return put(txn, stored);
            }));
    row_ = stored;
    log::info("{}: {}", proposal(row).reason,
              decision.applied            ? "started"
              : decision.approval.empty() ? row_.outcome
                                          : "waits for " + decision.approval);
    // A repeated one was decided before a crash: its run may not have begun.
    if (decision.applied || decision.repeated) return follow();
    return {};
  }

  /// A person was asked.
  Result<void> answer() {
    HEDDLE_ASSIGN_OR_RETURN(const auto approval, core_.policy->approval(row_.approval));
    using Status = policy::Approval::Status;
    if (approval.status == Status::kPending) return {};
    if (approval.status == Status::kApproved) return decide(row_);
    TriggerRow row = row_;
    row.outcome = fmt::format("not started: {} is {}", row.approval, status_name(approval.status));
    row.approval.clear();
    row.candidate.clear();
    row.ended_at = now_;
    return write(row);
  }

  /// What the run has come to.
  Result<void> follow() {
    std::vector<std::string> words{"--model=" + trigger_.model};
    if (trigger_.refit) words.emplace_back("--refit");
    const auto reply = core_.working.ask("run", words, false);
    // Somebody else's run goes on; this one comes after it.
    const bool is_taken = !reply.ok() && (reply.error().id == "work-in-progress" ||
                                          reply.error().id == "run-in-progress");
    if (is_taken) return {};
    if (reply.ok() && !reply->done) return {};
    TriggerRow row = row_;
    row.runs = false;
    row.ended_at = now_;
    row.candidate.clear();
    if (!reply.ok()) {
      row.outcome = fmt::format("failed: {} ({})", reply.error().message, reply.error().id);
    } else {
      const doc::Value* ran = reply->result.find("ran");
      const doc::Value* candidate = reply->result.find("candidate");
      const doc::Value* bundle = candidate == nullptr ? nullptr : candidate->find("bundle");
      // `heddle run` writes both; without them nobody knows what came of it.
      const bool is_known = ran != nullptr && ran->is_int() && bundle != nullptr &&
                            bundle->is_string() && !bundle->as_string().empty();
      if (!is_known) {
        row.outcome = "failed: `heddle run` left a result that names no candidate";
      } else if (ran->as_int() == 0) {
        row.outcome = "nothing to do: the rows and definitions are those of before";
      } else {
        row.candidate = bundle->as_string();
        row.outcome = fmt::format("candidate {}", row.candidate);
      }
    }
    return end(row, reply.ok() ? reply->exit_code.value_or(0)
                               : error_kind_info(reply.error().kind).exit_code);
  }

  Result<void> end(const TriggerRow& row, std::int32_t exit_code) {
    HEDDLE_TRY(core_.state->write([&](store::Txn& txn) -> Result<void> {
      ledger::Entry entry;
      entry.op_id = fmt::format("trigger/{}/{}/ended", trigger_.name, row.fired);
      entry.actor = "system:control-plane";
      entry.action = "run.ended";
      entry.target = "model/" + trigger_.model;
      entry.attributes = doc::Value::object(
          {{"trigger", trigger_.name}, {"exit_code", exit_code}, {"candidate", row.candidate}});
      entry.result = "recorded";
      entry.reason = fmt::format("the run of trigger `{}`: {}", trigger_.name, row.outcome);
      HEDDLE_TRY(core_.ledger->append(txn, std::move(entry)));
      HEDDLE_TRY(tell(txn, row));
      return put(txn, row);
    }));
    row_ = row;
    log::info("trigger `{}`: {}", trigger_.name, row.outcome);
    core_.outbox->wake();
    return {};
  }

  /// Whoever is told of a service hears of its model; that there was nothing to do is no news.
  Result<void> tell(store::Txn& txn, const TriggerRow& row) {
    if (row.candidate.empty() && row.outcome.starts_with("nothing")) return {};
    Result<void> put_all;
    each_service(core_, trigger_, [&](const std::string& name, const ServiceControl&) {
      if (!put_all.ok()) return;
      put_all = core_.outbox->put(
          txn, fmt::format("trigger/{}/{}/{}", name, trigger_.name, row.fired),
          doc::Value::object({{"kind", "trigger"},
                              {"service", name},
                              {"text", fmt::format("trigger `{}` ({}): {}", trigger_.name,
                                                   row.reason, row.outcome)},
                              {"next", row.candidate.empty() ? std::string("heddle status")
                                                             : "heddle release promote " + name}}));
    });
    return put_all;
  }

  Core& core_;
  const Trigger& trigger_;
  bool is_new_;
  TriggerRow row_;
  Micros now_;
};

Result<std::map<std::string, TriggerRow>> rows_of(store::State& state) {
  std::map<std::string, TriggerRow> rows;
  HEDDLE_TRY(state.read([&](store::Txn& txn) {
    return each_row(txn, kTriggers, "", trigger_row_schema(),
                    [&](std::string_view name, std::string_view, TriggerRow row) {
                      rows.emplace(name, std::move(row));
                    });
  }));
  return rows;
}

Result<void> forget(store::State& state, const std::string& name) {
  return state.write([&](store::Txn& txn) { return txn.erase(kTriggers, name); });
}

}  // namespace

Result<void> look_at_triggers(Core& core) {
  // A project that has none, and never had, costs nothing.
  if (core.project.triggers.empty() && !core.had_triggers) return {};
  HEDDLE_ASSIGN_OR_RETURN(auto rows, rows_of(*core.state));
  core.had_triggers = !core.project.triggers.empty();
  Result<void> outcome;
  for (const Trigger& trigger : core.project.triggers) {
    std::optional<TriggerRow> row;
    if (const auto found = rows.find(trigger.name); found != rows.end()) row = found->second;
    // What is left of the rows afterwards is of triggers
    // that the definitions do not have any more.
    rows.erase(trigger.name);
    auto looked = Looking(core, trigger, std::move(row)).look();
    // One trigger that fails keeps no other from its time; the first error is told.
    if (!looked.ok() && outcome.ok()) outcome = std::move(looked);
  }
  for (const auto& [name, row] : rows) HEDDLE_TRY(forget(*core.state, name));
  return outcome;
}

Result<std::vector<ShownTrigger>> shown_triggers(Core& core) {
  std::vector<ShownTrigger> out;
  if (core.project.triggers.empty()) return out;
  HEDDLE_ASSIGN_OR_RETURN(auto rows, rows_of(*core.state));
  for (const Trigger& trigger : core.project.triggers)
    out.push_back({&trigger, rows[trigger.name]});
  return out;
}

const doc::Schema<TriggerRow>& trigger_row_schema() {
  using R = TriggerRow;
  static const auto schema = [] {
    auto t = doc::Schema<R>::record("a trigger", "up to where it has looked, and what came of it");
    t.refused_as(ErrorKind::kCorrupt, "control-state",
                 "go on with the Heddle that wrote it, or bring `.heddle/state.db` back from a "
                 "backup");
    t.micros("looked", &R::looked,
             "`schedule`: wall time up to which every time was heeded; `new_data`: of the last "
             "look");
    t.text("data", &R::data, "`new_data`: digest of the names, sizes and times of the files");
    t.integer("labels", &R::labels, "`labels`: that met their rows when it was last started");
    t.texts("incidents", &R::incidents, "`alert`: those that were there");
    t.integer("fired", &R::fired, "how often it was");
    t.micros("fired_at", &R::fired_at, "wall time; 0: never");
    t.text("reason", &R::reason, "why");
    t.text("approval", &R::approval, "that its start waits for; empty: none");
    t.boolean("runs", &R::runs, "its run goes on");
    t.micros("ended_at", &R::ended_at, "wall time; 0: none ended");
    t.text("outcome", &R::outcome, "one sentence");
    t.text("candidate", &R::candidate, "that it made; empty: none");
    return t;
  }();
  return schema;
}

}  // namespace heddle::control
