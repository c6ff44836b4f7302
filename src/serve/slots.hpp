#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plane/journal.hpp"
#include "plane/route.hpp"
#include "score/plan.hpp"
#include "serve/rows.hpp"

namespace heddle::serve {

enum class SlotId : std::uint8_t { kPrimary, kStandby, kCanary, kShadow };
inline constexpr std::size_t kSlots = 4;
[[nodiscard]] std::string_view name_of(SlotId slot) noexcept;

/// A slot's bundle, loaded and proven. `plan` is null when the slot is empty or its bundle cannot
/// be used.
struct Loaded {
  std::string digest{};  ///< empty: the slot is empty
  std::shared_ptr<const score::Plan> plan{};
};
using Slots = std::array<Loaded, kSlots>;

/// The sandboxes of those that have a worker.
[[nodiscard]] std::vector<plane::SandboxRecord> sandboxes_of(const Slots& slots);

/// What a request is drawn for a canary by.
struct StickyKey {
  enum class By : std::uint8_t { kRequest, kSource, kHeader, kField } by = By::kRequest;
  std::string header{};  ///< of kHeader
  std::size_t field =
      0;  ///< of kField: its place in a row; the first row of a request speaks for all
};

/// `source`, `header:NAME`, `field:NAME` or empty. A field that the rows do not have: the request
/// id.
[[nodiscard]] StickyKey parse_sticky(std::string_view text, const FieldNames& fields);

/// The two halves of a secret of 16 bytes, each with its least significant byte first.
using DrawSecret = std::array<std::uint64_t, 2>;
[[nodiscard]] DrawSecret draw_secret_of(std::string_view bytes) noexcept;

/// Which side of the canary's comparison `key` falls on, the same for equal keys under one secret.
/// Canary and baseline take `weight` each, from the two ends of one scale: raising the weight moves
/// nobody away from the canary. Keys come from clients, so the hash (SipHash-2-4) is one that
/// nobody can compute without the secret: else a client would choose keys of one side.
[[nodiscard]] plane::Cohort draw(std::uint32_t weight, const DrawSecret& secret,
                                 std::string_view key) noexcept;

}  // namespace heddle::serve
