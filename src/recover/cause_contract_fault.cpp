#include <fmt/format.h>

#include "plane/route.hpp"
#include "recover/contract_alert.hpp"

namespace heddle::recover {
namespace {

/// Rows break the contract in no way that another cause names, or in several.
class ContractFault final : public RowFault {
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
};

}  // namespace

const Cause& contract_fault() {
  static const ContractFault row;
  return row;
}

}  // namespace heddle::recover
