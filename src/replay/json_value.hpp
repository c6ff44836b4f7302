#pragma once

#include <string>
#include <string_view>

#include "expr/datum.hpp"

namespace heddle::replay {

/// A text as JSON. Its bytes above 127 are sent as they are: the texts of a file are UTF-8.
void append_string(std::string_view text, std::string& out);

/// A value as a request carries it: times in ISO 8601, an infinite number, which JSON does not
/// have, as a text that a number's field refuses as it does infinity; null of NaN, durations and
/// lists.
void append_value(const expr::Datum& value, std::string& out);

}  // namespace heddle::replay
