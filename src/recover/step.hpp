#pragma once

#include <cstdint>
#include <string_view>

namespace heddle::recover {

/// Where an incident stands on the ladder. Each is left by an outcome, by a fact, or when its
/// deadline has passed: every step that waits has one, a person who is asked, and a next best step
/// (docs/adr/0024).
enum class Step : std::uint8_t {
  kOpen,           ///< to be recorded
  kQuarantine,     ///< a source is to be shut out
  kAwaitReadmit,   ///< until the data plane finds it clean
  kRelease,        ///< its readmission is to be recorded
  kProposeRepair,  ///< a contract transform waits for its approval
  kSwapBack,       ///< the input is repaired: primary and standby change back
  kVerifyInput,    ///< a whole window after the repair
  kAskLabels,      ///< labels look wrong: a person is asked, nothing is learned from them
  kCollect,        ///< labelled rows after the change, up to the policy's bound
  kRetrain,
  kProve,  ///< the candidate is scored beside what serves, on rows newer than those it learned from
  kPromote,    ///< the candidate waits for its approval
  kVerifyAct,  ///< labelled rows after the act: what is served against what would be served without
               ///< it
  kWithdraw,   ///< an act is taken back
  kRecalibrate,
  kRespond,     ///< a step of the cause's own (`Cause::respond`)
  kAwaitQuiet,  ///< nothing to do but watch whether it goes away
  kByHand,      ///< a person opened it: a person closes it
  kPostmortem,
  kClose,
  kDone,
};

[[nodiscard]] std::string_view step_name(Step step) noexcept;
/// What an incident in this step waits for, in words.
[[nodiscard]] std::string_view waits_for(Step step) noexcept;

}  // namespace heddle::recover
