#pragma once

#include "doc/schema.hpp"
#include "ledger/entry.hpp"

namespace heddle::ledger {

/// An entry as it is written and hashed: docs/formats/ledger.md. Its bytes never change.
[[nodiscard]] const doc::Schema<Entry>& entry_schema();

}  // namespace heddle::ledger
