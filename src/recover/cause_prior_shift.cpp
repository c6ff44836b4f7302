#include <algorithm>

#include <fmt/format.h>

#include "recover/cause.hpp"
#include "recover/incident.hpp"
#include "recover/moved_base_rate.hpp"
#include "stats/metrics.hpp"

namespace heddle::recover {
namespace {

/// The base rate moved: recalibrate by half of the moved intercept, verify.
class PriorShift final : public Cause {
 public:
  std::string_view name() const noexcept override { return "prior shift"; }

  std::optional<Diagnosis> match(const watch::Alert& alert,
                                 const watch::Watch& watch) const override {
    if (alert.first.subject != watch::Subject::kPrior || !moved_base_rate(alert, watch).for_most)
      return std::nullopt;
    Diagnosis out;
    out.change_from = alert.first.from;
    out.intercept = alert.last.detail.double_or("intercept");
    out.reason = fmt::format(
        "the refitted intercept stays at {:+.2f} logits while the order of the scores holds",
        out.intercept);
    return out;
  }

  bool takes(const Incident&, const watch::Alert&, const Diagnosis& diagnosis,
             bool) const override {
    return diagnosis.cause == this;
  }

  Step first_step(const Incident&) const override { return Step::kRecalibrate; }

  std::vector<Amendment> amendments(const Incident&, const spec::Monitor& monitor,
                                    const spec::Contract&) const override {
    std::vector<Amendment> list;
    Amendment out{monitor, false, "quality.prior_shift_chunks", "", ""};
    out.monitor.quality.prior_shift_chunks = std::max(5, monitor.quality.prior_shift_chunks - 2);
    if (out.monitor.quality.prior_shift_chunks < monitor.quality.prior_shift_chunks) {
      out.yaml = std::to_string(out.monitor.quality.prior_shift_chunks);
      out.why = "fewer chunks agree as well";
      list.push_back(std::move(out));
    }
    list.push_back({monitor, true, "gates[]",
                    "- id: base-rate-holds\n  when: metrics.calibration_error < 0.2\n",
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
  const double sign = alert.last.detail.double_or("intercept") < 0 ? -1 : 1;
  std::int64_t rows = 0;
  std::int64_t moved = 0;
  double most = 0;
  for (const auto& [sender, chunk] : watch.by_sender(alert.last.from, alert.last.to)) {
    const double intercept = sign * stats::refit_intercept(chunk.margins, chunk.labels);
    rows += static_cast<std::int64_t>(chunk.labels.size());
    if (intercept > alert.last.threshold / 2)
      moved += static_cast<std::int64_t>(chunk.labels.size());
    if (intercept <= most) continue;
    most = intercept;
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
