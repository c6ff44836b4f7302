#pragma once

#include <string_view>

#include "base/result.hpp"
#include "doc/value.hpp"

namespace heddle::control {

/// What an operation answered, read by the schema of its reply and written again: nothing that is
/// missing or of another type goes on. kConflict `reply-of-another-version`.
[[nodiscard]] Result<doc::Value> read_reply(std::string_view operation, const doc::Value& reply);

}  // namespace heddle::control
