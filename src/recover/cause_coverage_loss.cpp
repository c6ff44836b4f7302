#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "recover/cause.hpp"
#include "recover/incident.hpp"

namespace heddle::recover {
namespace {

/// Of a gate: test rows are few, and of other days than those the interval was fitted to.
constexpr double kBelowDeclared = 0.05;

/// Intervals or sets hold fewer true values than was declared, while the predictions are as good as
/// they were: their quantile is fitted anew to the newest labelled rows, and that is verified.
/// Where it cannot be, people are told.
class CoverageLoss final : public Cause {
 public:
  std::string_view name() const noexcept override { return "coverage loss"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    if (alert.first.subject != watch::Subject::kCoverage) return std::nullopt;
    Diagnosis out;
    out.change_from = alert.first.from;
    out.reason = fmt::format(
        "intervals held {:.1f} % of the labels, {:.1f} % are declared, while quality holds",
        100 * (1 - alert.last.value), 100 * alert.last.detail.double_or("declared"));
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
    if (auto fewer =
            fewer_chunks(monitor, "fewer chunks show as well that the intervals hold too little"))
      list.push_back(*std::move(fewer));
    list.push_back({monitor, true, "gates[]",
                    fmt::format("- id: intervals-hold\n  when: metrics.coverage > {:.3f}\n",
                                incident.diagnosis.coverage - kBelowDeclared),
                    "the intervals held less than was declared; a release whose intervals do so on "
                    "its test rows should not pass"});
    return list;
  }

  std::string_view while_waiting() const noexcept override { return "people are told"; }
  std::string tells(const Diagnosis& diagnosis) const override {
    return "do not rely on the intervals; `heddle run` fits them anew: " + diagnosis.reason;
  }
  std::string next(const Incident& incident) const override {
    return incident.act.empty()
               ? "`heddle run` fits the intervals to newer rows; release what it gives"
               : "nothing, unless the errors go on growing";
  }
};

}  // namespace

const Cause& coverage_loss() {
  static const CoverageLoss row;
  return row;
}

}  // namespace heddle::recover
