#include <fmt/format.h>

#include "recover/quality_cause.hpp"

namespace heddle::recover {
namespace {

/// The traffic is another: nothing, unless labelled quality falls; then as concept shift.
class CovariateShift final : public QualityCause {
 public:
  std::string_view name() const noexcept override { return "covariate shift"; }

  std::optional<Diagnosis> match(const watch::Alert& alert,
                                 const watch::Watch& watch) const override {
    Diagnosis out;
    out.change_from = alert.first.from;
    if (alert.first.subject == watch::Subject::kColumn) {
      out.column = alert.first.column;
      out.reason = fmt::format(
          "`{}` is {:.3f} away from its reference, above {:.3f}; no lag and no unit explains it",
          alert.first.key, alert.last.value, alert.last.threshold);
      return out;
    }
    if (alert.first.subject != watch::Subject::kQuality ||
        !watch.alerts().standing(watch::Subject::kColumn))
      return std::nullopt;
    out.reason = "labelled quality fell while a column moved";
    return out;
  }

  std::optional<Step> after_sign(const watch::Alert& alert) const override {
    // The model does not hold on the new traffic after all: now there is something to learn.
    if (alert.first.subject == watch::Subject::kQuality) return Step::kCollect;
    return std::nullopt;
  }

  std::string next(const Incident&) const override {
    return "watch labelled quality; the model still holds on the new traffic";
  }
};

}  // namespace

const Cause& covariate_shift() {
  static const CovariateShift row;
  return row;
}

}  // namespace heddle::recover
