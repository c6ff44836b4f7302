#include <fmt/format.h>

#include "plane/route.hpp"
#include "recover/contract_alert.hpp"

namespace heddle::recover {
namespace {

constexpr double kMostRounded = 0.9;  ///< of the rows whose value was expected to be another
constexpr std::int64_t kRoundedRows = 10;

/// The values of a field are rounded, or cut off.
class PrecisionLoss final : public RowFault {
 public:
  std::string_view name() const noexcept override { return "precision loss"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    if (alert.first.subject != watch::Subject::kContract) return std::nullopt;
    const doc::Value* const rounding = alert.last.detail.find("rounding");
    if (rounding == nullptr || rounding->int_or("rows") < kRoundedRows ||
        rounding->double_or("agreement") < kMostRounded)
      return std::nullopt;
    Diagnosis out = of_contract(alert);
    out.column = rounding->string_or("column");
    out.rule = rounding->string_or("rule");
    out.reason =
        fmt::format("`{}` of source {} is what its dependency says, in steps of {:g}", out.column,
                    plane::source_text(out.account, out.source), rounding->double_or("step"));
    return out;
  }

  std::string next(const Incident&) const override {
    return "ask the owner of the source since when it rounds; where that is meant, give the "
           "dependency a tolerance";
  }
};

}  // namespace

const Cause& precision_loss() {
  static const PrecisionLoss row;
  return row;
}

}  // namespace heddle::recover
