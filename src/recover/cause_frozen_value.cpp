#include <fmt/format.h>

#include "plane/route.hpp"
#include "recover/contract_alert.hpp"
#include "recover/incident.hpp"

namespace heddle::recover {
namespace {

constexpr double kFrozenRefused = 0.95;  ///< of the refused rows, that have one value
constexpr double kFrozenWindow = 0.98;   ///< of the rows of a window that are in one bin
constexpr double kUsualBin = 0.5;        ///< of the reference in that bin: it is no constant

/// A field has one value, again and again: a sensor that stands, a default that fills in. Nothing
/// is learned from such rows.
class FrozenValue final : public RowFault {
 public:
  std::string_view name() const noexcept override { return "frozen value"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    if (alert.first.subject == watch::Subject::kColumn) return of_column(alert);
    if (alert.first.subject != watch::Subject::kContract) return std::nullopt;
    const auto sign = common_sign(alert, "same", kFrozenRefused);
    if (!sign) return std::nullopt;
    Diagnosis out = of_contract(alert);
    out.column = sign->column;
    out.reason = fmt::format(
        "`{}` has one value in {:.0f} % of the rows that source {} has refused, where others were "
        "usual",
        out.column, 100 * sign->share, plane::source_text(out.account, out.source));
    return out;
  }

  std::string_view while_waiting() const noexcept override {
    return "nothing is learned from these rows";
  }

  std::string next(const Incident& incident) const override {
    return fmt::format("find out why `{}` stands still", incident.diagnosis.column);
  }

 protected:
  /// That the labels fit no more follows from it, and is nothing to learn.
  bool takes_sign(const Incident& incident, const watch::Alert& alert) const override {
    return alert.first.subject == watch::Subject::kQuality ||
           (alert.first.subject == watch::Subject::kColumn &&
            alert.first.column == incident.diagnosis.column);
  }

 private:
  static std::optional<Diagnosis> of_column(const watch::Alert& alert) {
    const doc::Value& detail = alert.last.detail;
    if (detail.double_or("commonest") < kFrozenWindow ||
        detail.double_or("commonest_before", 1) > kUsualBin)
      return std::nullopt;
    Diagnosis out;
    out.change_from = alert.first.from;
    out.column = alert.first.column;
    out.reason = fmt::format(
        "{:.1f} % of the rows have one value in `{}`, where {:.1f} % of the reference have it",
        100 * detail.double_or("commonest"), out.column,
        100 * detail.double_or("commonest_before"));
    return out;
  }
};

}  // namespace

const Cause& frozen_value() {
  static const FrozenValue row;
  return row;
}

}  // namespace heddle::recover
