#include "recover/act.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "recover/action.hpp"

namespace heddle::recover {

namespace {

std::string calibration_text(const std::vector<double>& offsets, double quantile) {
  const double largest = largest_offset(offsets);
  std::string text;
  if (largest != 0 || quantile == 0)
    text = fmt::format("by {}{:+.4g}", offsets.size() > 1 ? "up to " : "", largest);
  if (quantile != 0)
    text += fmt::format("{}of the intervals by {:+.4g}", text.empty() ? "" : ", ", quantile);
  return text;
}

}  // namespace

std::string_view act_name(const Act::Kind& kind) noexcept {
  return std::visit([](const auto& each) { return std::decay_t<decltype(each)>::kName; }, kind);
}

std::string act_text(const Act& act) {
  return std::visit(
      overloaded{
          [](const TransformInForce& t) {
            return fmt::format("transform `{}` of `{}`", t.transform, t.field);
          },
          [](const RecalibrationInForce& r) {
            return fmt::format("recalibration {}", calibration_text(r.offsets, r.quantile));
          },
          [](const SwapInForce&) { return std::string("swap to standby"); },
          [](const ReleaseInForce&) { return std::string("release of the retrained model"); }},
      act.kind);
}

double largest_offset(const std::vector<double>& offsets) noexcept {
  const auto at = std::max_element(offsets.begin(), offsets.end(),
                                   [](double a, double b) { return std::abs(a) < std::abs(b); });
  return at == offsets.end() ? 0 : *at;
}

std::string Act::field() const {
  const auto* repair = as<TransformInForce>();
  return repair == nullptr ? std::string() : repair->field;
}

}  // namespace heddle::recover
