#include <algorithm>

#include <fmt/format.h>

#include "plane/route.hpp"
#include "recover/contract_alert.hpp"
#include "recover/incident.hpp"
#include "stats/unit_ratio.hpp"

namespace heddle::recover {
namespace {

constexpr double kRatioAgreement = 0.8;  ///< share of broken rows that show the same factor
constexpr std::int64_t kRatioRows = 10;

/// The values of a field came in another unit: quarantine the source of that account until the data
/// plane finds it clean, then let it in; refused: as a contract fault.
class UnitChange final : public ContractCause {
 public:
  std::string_view name() const noexcept override { return "unit change"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    if (alert.first.subject != watch::Subject::kContract) return std::nullopt;
    if (auto out = of_scale(alert)) return out;
    const doc::Value* ratio = alert.last.detail.find("ratio");
    if (ratio == nullptr || ratio->int_or("rows") < kRatioRows ||
        ratio->double_or("agreement") < kRatioAgreement)
      return std::nullopt;
    // Only factors between known units: any other is a fault of the rows, not of their unit.
    const auto unit = stats::name_ratio(ratio->double_or("ratio"));
    if (!unit) return std::nullopt;
    Diagnosis out = of_contract(alert);
    out.rule = ratio->string_or("rule");
    out.column = ratio->string_or("column");
    out.ratio = unit->ratio;
    out.ratio_name = unit->name;
    out.reason =
        fmt::format("`{}` of source {} is {:.6g} times what its dependency says: {}", out.column,
                    plane::source_text(out.account, out.source), unit->ratio, unit->name);
    return out;
  }

  Step first_step(const Incident&) const override { return Step::kQuarantine; }

  std::string next(const Incident& incident) const override {
    return "ask the owner of source " +
           plane::source_text(incident.diagnosis.account, incident.diagnosis.source) +
           " which release changed the unit; "
           "`heddle quarantine show` shows the rows that were kept out";
  }

 protected:
  bool takes_sign(const Incident& incident, const watch::Alert& alert) const override {
    return alert.first.subject == watch::Subject::kColumn &&
           incident.diagnosis.column == alert.first.column;
  }

 private:
  /// Another scale: a factor with an offset, or a constant that was added.
  static std::optional<Diagnosis> of_scale(const watch::Alert& alert) {
    const doc::Value* const affine = alert.last.detail.find("affine");
    if (affine == nullptr || affine->int_or("rows") < kRatioRows ||
        affine->double_or("agreement") < kRatioAgreement)
      return std::nullopt;
    Diagnosis out = of_contract(alert);
    out.rule = affine->string_or("rule");
    out.column = affine->string_or("column");
    out.ratio = affine->double_or("slope", 1);
    out.ratio_name = affine->string_or("name");
    out.reason = fmt::format("`{}` of source {} is not what its dependency says: {}", out.column,
                             plane::source_text(out.account, out.source), out.ratio_name);
    return out;
  }
};

}  // namespace

const Cause& unit_change() {
  static const UnitChange row;
  return row;
}

}  // namespace heddle::recover
