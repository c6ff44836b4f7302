#pragma once

#include "doc/schema.hpp"
#include "watch/finding.hpp"

namespace heddle::watch {

/// A finding as it is stored, shown and named by its digest (docs/formats/control-state.md).
/// kCorrupt `finding-malformed`.
[[nodiscard]] const doc::Schema<Finding>& finding_schema();

}  // namespace heddle::watch
