#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "spec/fault.hpp"
#include "spec/project.hpp"

namespace heddle::replay {

/// Which of the faults of a replay touch a row, one bit each.
using FaultBits = std::uint32_t;
inline constexpr std::size_t kMostFaults = 32;

/// The faults of the contract that `text` names, in that order: `none`, `all` (in the order of
/// their names), or names with commas between. kInvalid (`replay-unknown-fault`) says which there
/// are.
[[nodiscard]] Result<std::vector<spec::Fault>> faults_named(const spec::Project& project,
                                                            const std::string& contract,
                                                            const std::string& text);

/// A uniform draw in [0, 1) that depends on seed and row only (SplitMix64).
[[nodiscard]] double seeded_draw(std::uint64_t seed, std::uint64_t row) noexcept;

}  // namespace heddle::replay
