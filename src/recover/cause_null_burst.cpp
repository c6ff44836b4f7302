#include <fmt/format.h>

#include "plane/route.hpp"
#include "recover/contract_alert.hpp"

namespace heddle::recover {
namespace {

/// Of the refused rows: what fewer show is not what happened to them.
constexpr double kMostRows = 0.8;

/// A field is empty in some of the rows.
class NullBurst final : public RowFault {
 public:
  std::string_view name() const noexcept override { return "null burst"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    if (alert.first.subject != watch::Subject::kContract) return std::nullopt;
    const auto sign = common_sign(alert, "absent", kMostRows);
    if (!sign) return std::nullopt;
    Diagnosis out = of_contract(alert);
    out.column = sign->column;
    out.reason = fmt::format("`{}` is absent from {:.1f} % of the rows of source {}", out.column,
                             100 * alert.last.value * sign->share,
                             plane::source_text(out.account, out.source));
    return out;
  }
};

}  // namespace

const Cause& null_burst() {
  static const NullBurst row;
  return row;
}

}  // namespace heddle::recover
