#pragma once

#include <vector>

#include "base/clock.hpp"
#include "doc/schema.hpp"
#include "score/kept_rows.hpp"

namespace heddle::flow {

/// `heddle.held-out/2` (docs/formats/held-out.md).
struct HeldOutFile {
  score::KeptRows kept{};
  std::vector<double> labels{};
  std::vector<Micros> times{};
};
/// kCorrupt `held-out-corrupt`.
[[nodiscard]] const doc::Schema<HeldOutFile>& held_out_schema();

}  // namespace heddle::flow
