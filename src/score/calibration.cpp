#include "score/calibration.hpp"

#include <algorithm>
#include <cmath>

namespace heddle::score {

Calibration uncalibrated(const stats::Task& task, std::optional<Conformal> interval) {
  return {std::vector<double>(task.outputs(), 0.0), interval};
}

const doc::Schema<Calibration>& calibration_schema() {
  static const auto conformal = [] {
    auto t = doc::Schema<Conformal>::record("interval", "the split-conformal interval or set");
    t.number("coverage", &Conformal::coverage, "the share of true values that it is to hold");
    t.number("quantile", &Conformal::quantile, "of the scores of the calibration rows");
    t.finally([](Conformal& into, const doc::Value& value, doc::Reader& reader) {
      if (!(into.coverage > 0 && into.coverage < 1) || !std::isfinite(into.quantile))
        reader.report(value.position(), "out-of-range",
                      "an interval has a coverage in (0, 1) and a finite quantile", "");
    });
    return t;
  }();
  static const auto schema = [] {
    auto t = doc::Schema<Calibration>::record("calibration.json", "the calibration of a bundle");
    t.of_format("heddle.calibration/1")
        .refused_as(ErrorKind::kCorrupt, "score-bundle", "build it again with `heddle run`");
    t.numbers("offsets", &Calibration::offsets, "added to the margins of a row, one an output");
    t.object("interval", &Calibration::interval, conformal,
             "of classes and regression, where the model declares one");
    return t;
  }();
  return schema;
}

Result<void> check_calibration(const Calibration& calibration, const stats::Task& task) {
  const auto& offsets = calibration.offsets;
  const bool are_finite =
      std::all_of(offsets.begin(), offsets.end(), [](double each) { return std::isfinite(each); });
  const auto corrupt = [](std::string what) {
    return Error{ErrorKind::kCorrupt, "score-bundle",
                 fmt::format("the bundle cannot be scored: {}", what),
                 "build it again with `heddle run`"};
  };
  if (offsets.size() != task.outputs() || !are_finite)
    return corrupt(fmt::format("its calibration has {} offsets, its task {} outputs",
                               offsets.size(), task.outputs()));
  if (calibration.interval && task.kind == stats::TaskKind::kBinary)
    return corrupt("a probability of true or false has no interval");
  return {};
}

}  // namespace heddle::score
