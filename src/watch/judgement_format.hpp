#pragma once

#include "doc/schema.hpp"
#include "watch/judgement.hpp"

namespace heddle::watch {

/// A judgement as it is shown, stored, and hashed as evidence.
[[nodiscard]] const doc::Schema<Judgement>& judgement_schema();

}  // namespace heddle::watch
