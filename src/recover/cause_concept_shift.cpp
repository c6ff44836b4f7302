#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "recover/incident.hpp"
#include "recover/quality_cause.hpp"

namespace heddle::recover {
namespace {

std::string_view refitted(stats::TaskKind task) {
  switch (task) {
    case stats::TaskKind::kBinary: return "log loss with a refitted intercept";
    case stats::TaskKind::kClasses: return "log loss with refitted offsets of the classes";
    case stats::TaskKind::kRegression: break;
  }
  return "absolute error with a refitted offset";
}

std::string_view constant(stats::TaskKind task) {
  return task == stats::TaskKind::kRegression ? "that of the median" : "the label entropy";
}

/// The gate that the model of then would not have passed.
std::string gate_of(const Diagnosis& d) {
  switch (d.task) {
    case stats::TaskKind::kBinary: return "- id: keeps-the-order\n  when: metrics.auc > 0.55\n";
    case stats::TaskKind::kRegression: return "- id: beats-the-mean\n  when: metrics.r2 > 0.0\n";
    case stats::TaskKind::kClasses: break;
  }
  // The F1 of one answer for all is that of one class, and of no use in the others: less than a
  // class's share of the mean.
  return fmt::format("- id: tells-the-classes-apart\n  when: metrics.macro_f1 > {:.3f}\n",
                     1 / static_cast<double>(std::max<std::int64_t>(d.classes, 2)));
}

/// What such a model did wrong.
std::string_view wrong(stats::TaskKind task) {
  switch (task) {
    case stats::TaskKind::kBinary:
      return "the model that served put rows in the wrong order; no release may, whatever its loss";
    case stats::TaskKind::kRegression:
      return "the model that served was no better than the mean; no release may be, whatever its "
             "loss";
    case stats::TaskKind::kClasses: break;
  }
  return "the model that served did not tell the classes apart; each release has to, whatever its "
         "loss";
}

/// What the rows mean is another: standby if better, collect labels, retrain, gates, prove on newer
/// rows, approval, promote, verify.
class ConceptShift final : public QualityCause {
 public:
  std::string_view name() const noexcept override { return "concept shift"; }

  std::optional<Diagnosis> match(const watch::Alert& alert,
                                 const watch::Watch& watch) const override {
    if (alert.first.subject != watch::Subject::kQuality) return std::nullopt;
    Diagnosis out;
    out.change_from = alert.first.from;
    out.reason = fmt::format("{} is {:.2f} of {}, above {:.2f}, while every column is quiet",
                             refitted(watch.task().kind), alert.last.value,
                             constant(watch.task().kind), alert.last.threshold);
    return out;
  }

  Step first_step(const Incident&) const override { return Step::kCollect; }

  std::vector<Amendment> amendments(const Incident& incident, const spec::Monitor& monitor,
                                    const spec::Contract&) const override {
    std::vector<Amendment> list;
    if (monitor.quality.chunk_duration >= 2 * kHour) {
      Amendment out{monitor, false, "quality.chunk_duration", "", ""};
      out.monitor.quality.chunk_duration = monitor.quality.chunk_duration / 2;
      out.yaml = fmt::format("{}m", out.monitor.quality.chunk_duration / kMinute);
      out.why = "half a chunk of labels already shows a ratio far above the threshold";
      list.push_back(std::move(out));
    }
    list.push_back({monitor, true, "gates[]", gate_of(incident.diagnosis),
                    std::string(wrong(incident.diagnosis.task))});
    return list;
  }

  std::string next(const Incident&) const override {
    return "find out what changed in the world; the new model knows it only from few days";
  }

 protected:
  bool takes_again(const Incident&, const Diagnosis&, bool) const override { return true; }
};

}  // namespace

const Cause& concept_shift() {
  static const ConceptShift row;
  return row;
}

}  // namespace heddle::recover
