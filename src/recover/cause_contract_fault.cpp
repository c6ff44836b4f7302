#include <fmt/format.h>

#include "plane/route.hpp"
#include "recover/contract_alert.hpp"
#include "recover/incident.hpp"

namespace heddle::recover {
namespace {

/// Rows break the contract: they are refused already, until it is quiet; quarantine when most of
/// one source breaks, also when it comes to that later.
class ContractFault final : public ContractCause {
 public:
  std::string_view name() const noexcept override { return "contract fault"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    if (alert.first.subject != watch::Subject::kContract) return std::nullopt;
    Diagnosis out = of_contract(alert);
    out.reason =
        fmt::format("{:.1f} % of the rows of source {} break the contract, most of them rule `{}`",
                    100 * alert.last.value, plane::source_text(out.account, out.source), out.rule);
    return out;
  }

  Step first_step(const Incident& incident) const override {
    return incident.refused_share >= kWholeSource ? Step::kQuarantine : Step::kAwaitQuiet;
  }

  std::string next(const Incident&) const override {
    return "`heddle quarantine show` shows the refused rows; correct them upstream";
  }
};

}  // namespace

const Cause& contract_fault() {
  static const ContractFault row;
  return row;
}

}  // namespace heddle::recover
