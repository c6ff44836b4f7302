#include <fmt/format.h>

#include "recover/quality_cause.hpp"

namespace heddle::recover {
namespace {

/// What the rows mean is another: standby if better, collect labels, retrain, gates, prove on newer
/// rows, approval, promote, verify.
class ConceptShift final : public QualityCause {
 public:
  std::string_view name() const noexcept override { return "concept shift"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    if (alert.first.subject != watch::Subject::kQuality) return std::nullopt;
    Diagnosis out;
    out.change_from = alert.first.from;
    out.reason = fmt::format(
        "log loss with a refitted intercept is {:.2f} of the label entropy, above {:.2f}, while "
        "every column is quiet",
        alert.last.value, alert.last.threshold);
    return out;
  }

  Step first_step(const Incident&) const override { return Step::kCollect; }

  std::vector<Amendment> amendments(const Incident&, const spec::Monitor& monitor,
                                    const spec::Contract&) const override {
    std::vector<Amendment> list;
    if (monitor.quality.chunk_duration >= 2 * kHour) {
      Amendment out{monitor, false, "quality.chunk_duration", "", ""};
      out.monitor.quality.chunk_duration = monitor.quality.chunk_duration / 2;
      out.yaml = fmt::format("{}m", out.monitor.quality.chunk_duration / kMinute);
      out.why = "half a chunk of labels already shows a ratio far above the threshold";
      list.push_back(std::move(out));
    }
    list.push_back({monitor, true, "gates[]", "- id: keeps-the-order\n  when: metrics.auc > 0.55\n",
                    "the model that served put rows in the wrong order; no release may, whatever "
                    "its log loss"});
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
