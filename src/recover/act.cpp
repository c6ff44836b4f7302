#include "recover/act.hpp"

#include <array>

#include <fmt/format.h>

namespace heddle::recover {
namespace {

constexpr std::array<std::string_view, 4> kKinds{"transform", "recalibration", "swap", "release"};

}  // namespace

std::string_view act_name(Act::Kind kind) noexcept {
  return kKinds[static_cast<std::size_t>(kind)];
}

std::string act_text(const Act& act) {
  switch (act.kind) {
    case Act::Kind::kTransform:
      return fmt::format("transform `{}` of `{}`", act.transform, act.field);
    case Act::Kind::kRecalibration:
      return fmt::format("recalibration by {:+.4g} logits", act.intercept);
    case Act::Kind::kSwap: return "swap to standby";
    case Act::Kind::kRelease: return "release of the retrained model";
  }
  return {};
}

doc::Value Act::to_value() const {
  doc::Value out = doc::Value::object({{"id", id},
                                       {"kind", act_name(kind)},
                                       {"incident", incident},
                                       {"since", since},
                                       {"field", field},
                                       {"transform", transform},
                                       {"lag_hours", lag_hours},
                                       {"intercept", intercept},
                                       {"before", before},
                                       {"made", made},
                                       {"on_standby", on_standby},
                                       {"kept", kept}});
  if (clock) out.set("clock", *clock);
  return out;
}

Result<Act> Act::from_value(const doc::Value& value) {
  Act out;
  out.id = value.string_or("id");
  bool known = false;
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    if (kKinds[i] != value.string_or("kind")) continue;
    out.kind = static_cast<Kind>(i);
    known = true;
  }
  if (!known || out.id.empty()) {
    return Error{ErrorKind::kCorrupt, "recover-state", "a saved act of recovery is malformed",
                 "run `heddle audit verify`"};
  }
  out.incident = value.string_or("incident");
  out.since = value.int_or("since");
  out.field = value.string_or("field");
  out.transform = value.string_or("transform");
  out.lag_hours = static_cast<int>(value.int_or("lag_hours"));
  out.intercept = value.double_or("intercept");
  out.before = value.string_or("before");
  out.made = value.string_or("made");
  out.on_standby = value.bool_or("on_standby");
  out.kept = value.bool_or("kept");
  if (const doc::Value* clock = value.find("clock"); clock != nullptr && clock->is_int())
    out.clock = clock->as_int();
  return out;
}

}  // namespace heddle::recover
