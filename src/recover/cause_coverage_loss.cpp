#include <fmt/format.h>

#include "recover/cause.hpp"
#include "recover/incident.hpp"

namespace heddle::recover {
namespace {

/// Intervals or sets hold fewer true values than was declared, while the predictions are as good as
/// they were: people are told.
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

  std::string_view while_waiting() const noexcept override { return "people are told"; }
  std::string tells(const Diagnosis& diagnosis) const override {
    return "do not rely on the intervals; `heddle run` fits them anew: " + diagnosis.reason;
  }
  std::string next(const Incident&) const override {
    return "`heddle run` fits the intervals to newer rows; release what it gives";
  }
};

}  // namespace

const Cause& coverage_loss() {
  static const CoverageLoss row;
  return row;
}

}  // namespace heddle::recover
