#include <algorithm>

#include <fmt/format.h>

#include "expr/names.hpp"
#include "recover/quality_cause.hpp"

namespace heddle::recover {
namespace {

constexpr double kLagResidual = 0.05;  ///< Kolmogorov-Smirnov's D that a lag may leave

/// The clock of a field is wrong: standby if better, propose a contract transform; approved:
/// verify; refused: retrain.
class TimeShift final : public QualityCause {
 public:
  std::string_view name() const noexcept override { return "time shift"; }

  std::optional<Diagnosis> match(const watch::Alert& alert,
                                 const watch::Watch& watch) const override {
    if (alert.first.subject != watch::Subject::kColumn) return std::nullopt;
    const doc::Value& detail = alert.last.detail;
    const auto lag = detail.int_or("lag_hours");
    // A lag that leaves much of the difference does not explain it.
    if (lag == 0 || detail.double_or("residual_d", 1) >= kLagResidual) return std::nullopt;
    const bool others_quiet =
        std::none_of(watch.latest().begin(), watch.latest().end(), [&](const auto& each) {
          return each.second.subject == watch::Subject::kColumn && each.first != alert.first.key &&
                 each.second.alert;
        });
    // A clock moves one field. Where others moved with it, the traffic is another.
    if (!others_quiet) return std::nullopt;
    Diagnosis out;
    out.change_from = alert.first.from;
    out.column = alert.first.column;
    out.lag_hours = static_cast<int>(lag);
    out.reason = fmt::format(
        "a shift of {:+d} h explains the hours of `{}` (D {:.3f} left), other columns are quiet",
        lag, out.column, detail.double_or("residual_d"));
    return out;
  }

  void note(Incident& incident, const watch::Watch& watch) const override {
    incident.clock = watch.clock(incident.diagnosis.column);
  }

  Step first_step(const Incident&) const override { return Step::kProposeRepair; }

  /// A clock that is wrong shows in each row against the time of the event: a rule sees it without
  /// a whole day of hours.
  std::vector<Amendment> amendments(const Incident& incident, const spec::Monitor& monitor,
                                    const spec::Contract& contract) const override {
    const std::string& column = incident.diagnosis.column;
    const bool is_time =
        std::any_of(contract.fields.begin(), contract.fields.end(), [&](const spec::Field& field) {
          return field.name == column && field.type == expr::Type::kTimestamp;
        });
    spec::MonitorRule rule;
    rule.id = "clock-of-" + column;
    const bool known =
        std::any_of(monitor.rules.begin(), monitor.rules.end(),
                    [&](const spec::MonitorRule& other) { return other.id == rule.id; });
    // Without a timestamp there is nothing to hold against the event; a rule of an earlier incident
    // is there already.
    if (!is_time || known) return {};
    rule.expression.text =
        fmt::format("{0} - event_time > duration(\"1h\") || event_time - {0} > duration(\"1h\")",
                    expr::written(column));
    rule.threshold = 0.01;
    rule.window_rows = 500;
    Amendment out{monitor, false, "rules[]", "", ""};
    out.yaml = fmt::format("- id: {}\n  expression: '{}'\n  threshold: {}\n  window_rows: {}\n",
                           rule.id, rule.expression.text, rule.threshold, rule.window_rows);
    out.why =
        "a clock that is wrong shows in every row against the time of the event: no whole day of "
        "hours is needed";
    out.monitor.rules.push_back(std::move(rule));
    return {out};
  }

  std::string next(const Incident& incident) const override {
    return incident.repair_refused
               ? "the transform was refused: correct the clock upstream"
               : "correct the clock upstream, then take the transform out again";
  }

 protected:
  bool takes_again(const Incident& incident, const Diagnosis& diagnosis, bool) const override {
    return diagnosis.column == incident.diagnosis.column;
  }
};

}  // namespace

const Cause& time_shift() {
  static const TimeShift row;
  return row;
}

}  // namespace heddle::recover
