#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/result.hpp"
#include "plane/route.hpp"
#include "policy/act.hpp"

namespace heddle::control {

// Members of what is carried out, which may have waited in the state for a yes. One that is not
// there, or of another type, makes no other act of it: kCorrupt `control-state`.

[[nodiscard]] inline Error no_attribute(const policy::Proposal& proposal, std::string_view name) {
  return {ErrorKind::kCorrupt, "control-state",
          fmt::format("`{}` of `{}`: `attributes.{}` is missing or of another type",
                      proposal.action, proposal.op_id, name),
          "ask for it again"};
}

[[nodiscard]] inline Result<std::string> text_in(const policy::Proposal& proposal,
                                                 std::string_view name) {
  const auto* text = proposal.attributes.find(name);
  if (text == nullptr || !text->is_string()) return no_attribute(proposal, name);
  return text->as_string();
}

/// Of a canary, in ten-thousandths.
[[nodiscard]] inline Result<std::uint32_t> weight_in(const policy::Proposal& proposal) {
  const auto* weight = proposal.attributes.find("weight");
  const bool is_weight = weight != nullptr && weight->is_int() && weight->as_int() >= 0 &&
                         weight->as_int() <= plane::kMostCanaryWeight;
  if (!is_weight) return no_attribute(proposal, "weight");
  return static_cast<std::uint32_t>(weight->as_int());
}

}  // namespace heddle::control
