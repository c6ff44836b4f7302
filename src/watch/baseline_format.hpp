#pragma once

#include "doc/schema.hpp"
#include "watch/baseline.hpp"

namespace heddle::watch {

/// `heddle.baseline/3`: docs/formats/baseline.md. kCorrupt `watch-baseline` when anything is
/// absent, of another type or out of its range: a baseline read half would watch half.
[[nodiscard]] const doc::Schema<Baseline>& baseline_schema();

}  // namespace heddle::watch
