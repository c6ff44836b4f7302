#include <fmt/format.h>

#include "plane/route.hpp"
#include "recover/contract_alert.hpp"
#include "recover/incident.hpp"

namespace heddle::recover {
namespace {

/// Of the refused rows: what fewer show is not what happened to them.
constexpr double kMostRows = 0.8;

/// A field has values that the contract does not list.
class NewCategory final : public RowFault {
 public:
  std::string_view name() const noexcept override { return "new category"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    if (alert.first.subject != watch::Subject::kContract) return std::nullopt;
    const auto sign = common_sign(alert, "unlisted", kMostRows);
    if (!sign) return std::nullopt;
    Diagnosis out = of_contract(alert);
    out.column = sign->column;
    out.reason = fmt::format(
        "{:.1f} % of the rows of source {} have a value in `{}` that the contract does not list",
        100 * alert.last.value * sign->share, plane::source_text(out.account, out.source),
        out.column);
    return out;
  }

  std::string next(const Incident& incident) const override {
    return fmt::format(
        "`heddle quarantine show` shows the values of `{}`: list those that are right "
        "in the contract, and correct the others upstream",
        incident.diagnosis.column);
  }
};

}  // namespace

const Cause& new_category() {
  static const NewCategory row;
  return row;
}

}  // namespace heddle::recover
