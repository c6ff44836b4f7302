#include <fmt/format.h>

#include "plane/route.hpp"
#include "recover/contract_alert.hpp"

namespace heddle::recover {
namespace {

/// Of the refused rows: what fewer show is not what happened to them.
constexpr double kMostRows = 0.8;

/// The values of a field come in another type or in another form.
class FormatChange final : public RowFault {
 public:
  std::string_view name() const noexcept override { return "format change"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    if (alert.first.subject != watch::Subject::kContract) return std::nullopt;
    const auto sign = common_sign(alert, "unreadable", kMostRows);
    if (!sign) return std::nullopt;
    Diagnosis out = of_contract(alert);
    out.column = sign->column;
    out.reason = fmt::format(
        "`{}` cannot be read in {:.1f} % of the rows of source {}: another type, or another form",
        out.column, 100 * alert.last.value * sign->share,
        plane::source_text(out.account, out.source));
    return out;
  }

  std::string next(const Incident&) const override {
    return "`heddle quarantine show` shows the values; where they are right, a repair of the "
           "contract reads them (docs/cleaning.md)";
  }
};

}  // namespace

const Cause& format_change() {
  static const FormatChange row;
  return row;
}

}  // namespace heddle::recover
