#pragma once

#include <cstdint>
#include <map>
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
#include "recover/action.hpp"
#include "recover/postmortem.hpp"
#include "watch/watch.hpp"

namespace heddle::recover {

/// What a retrain gave.
struct Candidate {
  std::string bundle;  ///< digest; empty: none passed
  bool gates_passed = true;
  std::vector<std::string> failed_gates{};
  doc::Value metrics{};
  /// What it was not taught: labelled rows of classes that the model does not have, by class.
  std::map<std::string, std::int64_t> left_out{};
};

/// "it was not taught 12 labelled rows of classes that the model does not have: `lost` (12)"; at
/// most five of them are named.
[[nodiscard]] std::string left_out_text(const std::map<std::string, std::int64_t>& left_out);

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
  std::optional<Candidate> candidate{};  ///< of a retrain that ended
  std::string before{};              ///< of a release and a swap: digest of what was served before
  std::string made{};                ///< of what changes the primary: digest of what serves now
  std::vector<std::string> rules{};  ///< policy rules that decided
  std::uint64_t entry = 0;           ///< ledger entry
  std::string note{};                ///< why it was denied, failed or overtaken
};

/// Whether an outcome is an answer: nothing of it waits or runs any more.
[[nodiscard]] constexpr bool settled(Outcome::Status status) noexcept {
  return status != Outcome::Status::kWaiting && status != Outcome::Status::kRunning;
}
[[nodiscard]] std::string_view status_name(Outcome::Status status) noexcept;

/// What the ladder can reach of the world. Implemented by the control plane (policy::act, training,
/// bundling, git), by a script in tests. Every call may be repeated with the same op_id and must
/// then change nothing.
class Effects {
 public:
  virtual ~Effects() = default;
  /// An error is a fault of ours or of the machine: the ladder stays where it is and tries again
  /// later (`Incident::failing`).
  [[nodiscard]] virtual Result<Outcome> perform(const Action& action) = 0;
  /// The postmortem of an incident (`postmortem_of`), which is asked for under the `op_id` of what
  /// writes it and with the incident as it is at the first call. nullopt: it is being made, ask
  /// again at a later tick. Where it cannot be measured, its page says why.
  [[nodiscard]] virtual std::optional<Postmortem> postmortem(const PostmortemInput& input,
                                                             const std::string& op_id,
                                                             Micros now) = 0;
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
