#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "plane/journal.hpp"
#include "plane/route.hpp"
#include "recover/act.hpp"
#include "watch/watch.hpp"

namespace heddle::recover {

/// One typed proposal of the ladder. `op_id` is a function of the incident, the step and the
/// attempt: proposing it again, also after a crash, asks for the same act.
///
/// Types and their attributes: `incident.open` {cause, column, source, account};
/// `incident.escalate` {step, next}; `incident.lapse` {op_id}: what was proposed is not to be done
/// any more; `label.accept` {source, from}: a person says that labels which look turned over are
/// right; `source.quarantine` {source, account, rule, readmit_after}; `source.release` {source,
/// account}; `slot.swap` {primary_log_loss, standby_log_loss} or {back: true}; `transform.propose`
/// {field, lag_hours, expression, id}; `transform.withdraw` {field, id}; `retrain.start` {from,
/// rows, started_at}; `release.promote` {bundle, slot, metrics}; `release.rollback` {bundle};
/// `release.recalibrate` {intercept_delta}; `recalibration.withdraw` {intercept_delta};
/// `postmortem.write` {page, addition_file, addition_path, addition, proof}; `incident.close`
/// {recovered_at}. What changes the answers of all has `only_account` too: the one whose rows alone
/// are the reason, where several use the service; policy then asks a person, whatever its rules.
/// What labels are the reason of has `only_label_account`, the same of who labels, and
/// `labels_disputed`: accounts contradict each other.
struct Action {
  std::string op_id;
  std::string type;
  std::string incident;
  std::string target;  ///< `service/NAME`, `source/NAME`, `incident/ID`
  doc::Value attributes{};
  std::vector<Digest> evidence{};  ///< findings behind it
  std::string reason;              ///< one sentence for people
  Micros event_time = 0;
};

/// What became of an action.
struct Outcome {
  enum class Status {
    kApplied,  ///< done, now or by an earlier call of the same op_id
    kDenied,   ///< policy, budget or a person said no
    kWaiting,  ///< for an approval
    kRunning,  ///< work goes on; ask again
    kFailed,   ///< it was tried and could not be done
    /// Not done, and there is nothing to ask again: somebody else did it, or what it was about is
    /// not there any more. The step ends.
    kOvertaken,
  };
  Status status = Status::kApplied;
  doc::Value result{};  ///< `retrain.start`: {bundle, gates_passed, failed_gates, metrics};
                        ///< `release.promote`: {before}; `slot.swap`: {before, made};
                        ///< `transform.propose`, `release.recalibrate`: {made}
  std::vector<std::string> rules{};  ///< policy rules that decided
  std::uint64_t entry = 0;           ///< ledger entry
  std::string note{};                ///< why it was denied, failed or overtaken
};

[[nodiscard]] std::string_view status_name(Outcome::Status status) noexcept;

/// What the ladder can reach of the world. Implemented by the control plane (policy::act, training,
/// bundling, git), by a script in tests. Every call may be repeated with the same op_id and must
/// then change nothing.
class Effects {
 public:
  virtual ~Effects() = default;
  /// An error is a fault of ours or of the machine: the ladder stays where it is and asks again at
  /// the next tick.
  [[nodiscard]] virtual Result<Outcome> perform(const Action& action) = 0;
  /// The journal's records with event times in [from, to), ticks included, in their order, until
  /// `sink` says that it wants no more. An error where that is more than one decision may read.
  [[nodiscard]] virtual Result<void> recorded(
      Micros from, Micros to, const std::function<bool(const plane::Record&)>& sink) = 0;
  /// What holds back the rows of this account of this source now, its own quarantine before one of
  /// everybody's; empty: nothing does.
  [[nodiscard]] virtual std::optional<plane::QuarantinedSource> quarantine_of(
      std::string_view account, std::string_view source) = 0;
  /// Whether what serves still has this act in it: a release by hand may have replaced it.
  [[nodiscard]] virtual bool in_force(const Act& act) = 0;
  /// Every route version there was, as the watch knows it.
  [[nodiscard]] virtual std::vector<watch::Route> routes() = 0;
};

}  // namespace heddle::recover
