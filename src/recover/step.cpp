#include "recover/step.hpp"

#include <array>
#include <cstddef>

namespace heddle::recover {
namespace {

struct Row {
  Step step;
  std::string_view name;
  std::string_view waits_for;
};

/// In the order of the enum.
constexpr std::array<Row, 21> kRows{{
    {Step::kOpen, "open", "to be recorded"},
    {Step::kQuarantine, "quarantine", "its source to be shut out"},
    {Step::kAwaitReadmit, "await-readmit", "clean rows of its source"},
    {Step::kRelease, "release", "its source to be let in again"},
    {Step::kProposeRepair, "propose-repair", "a person's yes to the repair of its input"},
    {Step::kSwapBack, "swap-back", "primary and standby to change back"},
    {Step::kVerifyInput, "verify-input", "a whole window after the repair"},
    {Step::kAskLabels, "ask-labels", "a person: the labels look wrong"},
    {Step::kCollect, "collect", "labelled rows after the change"},
    {Step::kRetrain, "retrain", "the retrained model"},
    {Step::kProve, "prove", "rows newer than those the candidate learned from"},
    {Step::kPromote, "promote", "a person's yes to the candidate"},
    {Step::kVerifyAct, "verify-act", "labelled rows after the act"},
    {Step::kWithdraw, "withdraw", "an act to be taken back"},
    {Step::kRecalibrate, "recalibrate", "the recalibration"},
    {Step::kRespond, "respond", "the response of its cause"},
    {Step::kAwaitQuiet, "await-quiet", "its metrics to be quiet"},
    {Step::kByHand, "by-hand", "a person to close it"},
    {Step::kPostmortem, "postmortem", "its page"},
    {Step::kClose, "close", "to be closed"},
    {Step::kDone, "done", ""},
}};

constexpr bool is_in_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<std::size_t>(kRows[i].step) != i) return false;
  }
  return kRows.size() == static_cast<std::size_t>(Step::kDone) + 1;
}
static_assert(is_in_order());

}  // namespace

std::string_view step_name(Step step) noexcept {
  return kRows[static_cast<std::size_t>(step)].name;
}

std::string_view waits_for(Step step) noexcept {
  return kRows[static_cast<std::size_t>(step)].waits_for;
}

}  // namespace heddle::recover
