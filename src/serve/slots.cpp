#include "serve/slots.hpp"

#include <bit>

namespace heddle::serve {
namespace {

std::uint64_t little_endian(std::string_view bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

struct SipState {
  std::uint64_t a, b, c, d;

  void rounds(int n) noexcept {
    for (int i = 0; i < n; ++i) {
      a += b;
      c += d;
      b = std::rotl(b, 13) ^ a;
      d = std::rotl(d, 16) ^ c;
      a = std::rotl(a, 32);
      c += b;
      a += d;
      b = std::rotl(b, 17) ^ c;
      d = std::rotl(d, 21) ^ a;
      c = std::rotl(c, 32);
    }
  }
  void take(std::uint64_t word) noexcept {
    d ^= word;
    rounds(2);
    a ^= word;
  }
};

/// SipHash-2-4 (Aumasson and Bernstein 2012).
std::uint64_t siphash(const DrawSecret& key, std::string_view message) noexcept {
  // The constants are the ASCII text "somepseudorandomlygeneratedbytes".
  SipState state{key[0] ^ 0x736f6d6570736575ull, key[1] ^ 0x646f72616e646f6dull,
                 key[0] ^ 0x6c7967656e657261ull, key[1] ^ 0x7465646279746573ull};
  const std::uint64_t length = message.size();
  for (; message.size() >= 8; message.remove_prefix(8))
    state.take(little_endian(message.substr(0, 8)));
  state.take(length << 56 | little_endian(message));
  state.c ^= 0xff;
  state.rounds(4);
  return state.a ^ state.b ^ state.c ^ state.d;
}

}  // namespace

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

DrawSecret draw_secret_of(std::string_view bytes) noexcept {
  return {little_endian(bytes.substr(0, 8)), little_endian(bytes.substr(8, 8))};
}

plane::Cohort draw(std::uint32_t weight, const DrawSecret& secret, std::string_view key) noexcept {
  const std::uint64_t hash = siphash(secret, key);
  const std::uint64_t place = hash % (2 * std::uint64_t{plane::kMostCanaryWeight});
  if (place < weight) return plane::Cohort::kCanary;
  if (place >= 2 * std::uint64_t{plane::kMostCanaryWeight} - weight)
    return plane::Cohort::kBaseline;
  return plane::Cohort::kNone;
}

}  // namespace heddle::serve
