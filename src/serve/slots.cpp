#include "serve/slots.hpp"

namespace heddle::serve {

std::string_view name_of(SlotId slot) noexcept {
  constexpr std::array<std::string_view, kSlots> kNames = {"primary", "standby", "canary",
                                                           "shadow"};
  return kNames[static_cast<std::size_t>(slot)];
}

std::vector<plane::SandboxRecord> sandboxes_of(const Slots& slots) {
  std::vector<plane::SandboxRecord> all;
  for (std::size_t i = 0; i < kSlots; ++i) {
    const score::Plan* plan = slots[i].plan.get();
    if (plan == nullptr || plan->endpoint() == nullptr) continue;
    if (const auto layers = plan->endpoint()->condition().sandbox; layers.has_value()) {
      all.push_back({std::string(name_of(static_cast<SlotId>(i))), slots[i].digest,
                     runtime::text_of(*layers), runtime::missing_of(*layers)});
    }
  }
  return all;
}

StickyKey parse_sticky(std::string_view text, const FieldNames& fields) {
  if (text == "source") return {.by = StickyKey::By::kSource};
  if (text.starts_with("header:"))
    return {.by = StickyKey::By::kHeader, .header = std::string(text.substr(7))};
  if (text.starts_with("field:")) {
    if (const int at = fields.find(text.substr(6), 0); at >= 0)
      return {.by = StickyKey::By::kField, .field = static_cast<std::size_t>(at)};
  }
  return {};
}

plane::Cohort draw(std::uint32_t weight, std::string_view key) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  // FNV leaves the high bits of short keys alike; the finaliser of MurmurHash3 spreads them.
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdull;
  hash ^= hash >> 33;
  const std::uint64_t place = hash % (2 * std::uint64_t{plane::kMostCanaryWeight});
  if (place < weight) return plane::Cohort::kCanary;
  if (place >= 2 * std::uint64_t{plane::kMostCanaryWeight} - weight)
    return plane::Cohort::kBaseline;
  return plane::Cohort::kNone;
}

}  // namespace heddle::serve
