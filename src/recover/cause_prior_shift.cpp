#include <algorithm>
#include <cmath>
#include <string>

#include <fmt/format.h>

#include "recover/cause.hpp"
#include "recover/incident.hpp"
#include "recover/moved_base_rate.hpp"
#include "watch/prior_shift.hpp"

namespace heddle::recover {
namespace {

std::string reason_of(stats::TaskKind task, const std::vector<double>& offsets,
                      const watch::Finding& finding) {
  switch (task) {
    case stats::TaskKind::kBinary:
      return fmt::format(
          "the refitted intercept stays at {:+.2f} logits while the order of the scores holds",
          offsets[0]);
    case stats::TaskKind::kClasses:
      return fmt::format(
          "the log odds of two classes stay {:.2f} apart from the predictions while these tell "
          "the classes apart as before",
          finding.value);
    case stats::TaskKind::kRegression: break;
  }
  return fmt::format(
      "labels stay {:+.4g} from the predictions, {:.2f} of their usual deviation, while the "
      "predictions tell them apart as before",
      offsets[0], finding.value);
}

/// A gate that a model does not pass whose base rate, shares or middle are far from those of the
/// rows that it is tested on.
std::string gate_of(const Diagnosis& d) {
  switch (d.task) {
    case stats::TaskKind::kBinary:
      return "- id: base-rate-holds\n  when: metrics.calibration_error < 0.2\n";
    case stats::TaskKind::kClasses:
      // What equal probabilities for all lose.
      return fmt::format("- id: shares-hold\n  when: metrics.log_loss < {:.3f}\n",
                         std::log(static_cast<double>(std::max<std::int64_t>(d.classes, 2))));
    case stats::TaskKind::kRegression: break;
  }
  // A constant error counts in full: past the deviation of the labels R2 is below 0.
  return "- id: middle-holds\n  when: metrics.r2 > 0.0\n";
}

/// The base rate, the shares of the classes or the middle of a number moved: recalibrate by half of
/// the moved offsets, verify.
class PriorShift final : public Cause {
 public:
  std::string_view name() const noexcept override { return "prior shift"; }

  std::optional<Diagnosis> match(const watch::Alert& alert,
                                 const watch::Watch& watch) const override {
    if (alert.first.subject != watch::Subject::kPrior || !moved_base_rate(alert, watch).for_most)
      return std::nullopt;
    Diagnosis out;
    out.change_from = alert.first.from;
    out.offsets = watch::offsets_of(alert.last.detail);
    out.reason = reason_of(watch.task().kind, out.offsets, alert.last);
    return out;
  }

  bool takes(const Incident&, const watch::Alert&, const Diagnosis& diagnosis,
             bool) const override {
    return diagnosis.cause == this;
  }

  Step first_step(const Incident&) const override { return Step::kRecalibrate; }

  std::vector<Amendment> amendments(const Incident& incident, const spec::Monitor& monitor,
                                    const spec::Contract&) const override {
    std::vector<Amendment> list;
    if (auto fewer = fewer_chunks(monitor, "fewer chunks agree as well"))
      list.push_back(*std::move(fewer));
    list.push_back({monitor, true, "gates[]", gate_of(incident.diagnosis),
                    "the base rate moved away from what was trained on; a release far from it "
                    "should not pass"});
    return list;
  }

  std::string next(const Incident&) const override {
    return "nothing, unless the base rate goes on moving";
  }
};

}  // namespace

MovedBaseRate moved_base_rate(const watch::Alert& alert, const watch::Watch& watch) {
  MovedBaseRate out;
  std::int64_t rows = 0;
  std::int64_t moved = 0;
  double most = 0;
  for (const auto& [sender, chunk] : watch.by_sender(alert.last.from, alert.last.to)) {
    const double by = watch::moved_along(watch.task(), chunk, alert.last);
    rows += chunk.rows();
    // Half the threshold: a sender with few rows is further off by chance, and counts by them only.
    if (by > alert.last.threshold / 2) moved += chunk.rows();
    if (by <= most) continue;
    most = by;
    out.most = sender;
  }
  out.for_most = 2 * moved >= rows;
  return out;
}

const Cause& prior_shift() {
  static const PriorShift row;
  return row;
}

}  // namespace heddle::recover
