#include "recover/act.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "recover/action.hpp"
#include "watch/prior_shift.hpp"

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

/// The stored form has the members of every kind, those of the others empty.
doc::Value Act::to_value() const {
  TransformInForce transform{};
  RecalibrationInForce recalibration{};
  ReleaseInForce release{};
  std::visit(overloaded{[&](const TransformInForce& t) { transform = t; },
                        [&](const RecalibrationInForce& r) { recalibration = r; },
                        [&](const SwapInForce& s) { release.before = s.before; },
                        [&](const ReleaseInForce& r) { release = r; }},
             kind);
  doc::Value out = doc::Value::object({{"id", id},
                                       {"kind", act_name(kind)},
                                       {"incident", incident},
                                       {"since", since},
                                       {"field", transform.field},
                                       {"transform", transform.transform},
                                       {"lag_hours", transform.lag_hours},
                                       {"offsets", watch::list_of(recalibration.offsets)},
                                       {"quantile", recalibration.quantile},
                                       {"before", release.before},
                                       {"made", made},
                                       {"on_standby", release.on_standby},
                                       {"kept", kept}});
  if (transform.clock) out.set("clock", *transform.clock);
  return out;
}

Result<Act> Act::from_value(const doc::Value& value) {
  Act out;
  out.id = value.string_or("id");
  const std::string kind = value.string_or("kind");
  bool known = true;
  if (kind == TransformInForce::kName) {
    TransformInForce transform{value.string_or("field"), value.string_or("transform"),
                               static_cast<int>(value.int_or("lag_hours"))};
    if (const doc::Value* clock = value.find("clock"); clock != nullptr && clock->is_int())
      transform.clock = clock->as_int();
    out.kind = std::move(transform);
  } else if (kind == RecalibrationInForce::kName) {
    auto offsets = watch::offsets_of(value);
    known = !offsets.empty();
    out.kind = RecalibrationInForce{std::move(offsets), value.double_or("quantile")};
  } else if (kind == SwapInForce::kName) {
    out.kind = SwapInForce{value.string_or("before")};
  } else if (kind == ReleaseInForce::kName) {
    out.kind = ReleaseInForce{value.string_or("before"), value.bool_or("on_standby")};
  } else {
    known = false;
  }
  if (!known || out.id.empty()) {
    return Error{ErrorKind::kCorrupt, "recover-state", "a saved act of recovery is malformed",
                 "run `heddle audit verify`"};
  }
  out.incident = value.string_or("incident");
  out.since = value.int_or("since");
  out.made = value.string_or("made");
  out.kept = value.bool_or("kept");
  return out;
}

}  // namespace heddle::recover
