#include <cmath>

#include <fmt/format.h>

#include "stats/unit_ratio.hpp"
#include "watch/watch.hpp"

namespace heddle::watch {

namespace {

constexpr double kLagResidual = 0.05;      ///< Kolmogorov-Smirnov's D that a lag may leave
constexpr double kRatioAgreement = 0.8;    ///< share of broken rows that show the same factor
constexpr std::int64_t kRatioRows = 10;

Diagnosis contract_cause(const Alert& alert) {
  Diagnosis out;
  out.cause = Cause::kContractFault;
  out.source = alert.last.source;
  out.change_from = alert.first.from;
  if (const doc::Value* rules = alert.last.detail.find("rules"); rules != nullptr && rules->is_object()) {
    std::int64_t most = 0;
    for (const auto& [rule, count] : rules->as_object()) {
      if (count.is_int() && count.as_int() > most) {
        most = count.as_int();
        out.rule = rule;
      }
    }
  }
  const doc::Value* ratio = alert.last.detail.find("ratio");
  if (ratio != nullptr && ratio->int_or("rows") >= kRatioRows && ratio->double_or("agreement") >= kRatioAgreement) {
    if (const auto unit = stats::name_ratio(ratio->double_or("ratio"))) {
      out.cause = Cause::kUnitChange;
      out.rule = ratio->string_or("rule");
      out.column = ratio->string_or("column");
      out.ratio = unit->ratio;
      out.ratio_name = unit->name;
      out.reason = fmt::format("`{}` of source `{}` is {:.6g} times what its dependency says: {}", out.column, out.source,
                               unit->ratio, unit->name);
      return out;
    }
  }
  out.reason = fmt::format("{:.1f} % of the rows of source `{}` break the contract, most of them rule `{}`",
                           100 * alert.last.value, out.source, out.rule);
  return out;
}

}  // namespace

Diagnosis Watch::diagnose(const Alert& alert) const {
  Diagnosis out;
  out.change_from = alert.first.from;
  switch (alert.first.subject) {
    case Subject::kContract: return contract_cause(alert);
    case Subject::kPrior:
      out.cause = Cause::kPriorShift;
      out.intercept = alert.last.detail.double_or("intercept");
      out.reason = fmt::format("the refitted intercept stays at {:+.2f} logits while the order of the scores holds",
                               out.intercept);
      return out;
    case Subject::kColumn: {
      bool others_quiet = true;
      for (const auto& [key, finding] : latest_) {
        if (finding.subject == Subject::kColumn && key != alert.first.key && finding.alert) others_quiet = false;
      }
      const doc::Value& detail = alert.last.detail;
      const auto lag = detail.int_or("lag_hours");
      if (lag != 0 && detail.double_or("residual_d", 1) < kLagResidual && others_quiet) {
        out.cause = Cause::kTimeShift;
        out.column = alert.first.column;
        out.lag_hours = static_cast<int>(lag);
        out.reason = fmt::format("a shift of {:+d} h explains the hours of `{}` (D {:.3f} left), other columns are quiet", lag,
                                 out.column, detail.double_or("residual_d"));
        return out;
      }
      out.cause = Cause::kCovariateShift;
      out.column = alert.first.column;
      out.reason = fmt::format("`{}` is {:.3f} away from its reference, above {:.3f}; no lag and no unit explains it",
                               alert.first.key, alert.last.value, alert.last.threshold);
      return out;
    }
    case Subject::kQuality:
      if (alerts_.standing(Subject::kColumn)) {
        out.cause = Cause::kCovariateShift;
        out.reason = "labelled quality fell while a column moved";
        return out;
      }
      out.cause = Cause::kConceptShift;
      out.reason = fmt::format("log loss with a refitted intercept is {:.2f} of the label entropy, above {:.2f}, while every "
                               "column is quiet", alert.last.value, alert.last.threshold);
      return out;
    case Subject::kMonitor:
      out.cause = Cause::kMonitorSilent;
      out.reason = alert.last.detail.string_or("why");
      return out;
    case Subject::kRule:
    case Subject::kPrediction:
      out.reason = fmt::format("`{}` is {:.3f}, above {:.3f}", alert.first.key, alert.last.value, alert.last.threshold);
      return out;
  }
  return out;
}

}  // namespace heddle::watch
