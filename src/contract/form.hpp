#pragma once

#include <string_view>

#include "expr/datum.hpp"
#include "spec/contract.hpp"

namespace heddle::contract {

/// Whether a value of its field's type also has the field's form (a date, an e-mail address, ...).
/// Allocates nothing.
[[nodiscard]] bool has_form(spec::Form form, const expr::Datum& value) noexcept;

/// Unicode code points of UTF-8 text; a malformed byte counts as one.
[[nodiscard]] std::int64_t length_of(std::string_view text) noexcept;

}  // namespace heddle::contract
