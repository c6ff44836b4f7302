#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/console.hpp"
#include "doc/value.hpp"

namespace heddle::cli {

/// A scalar as text: a string without quotes, `none` for one that is empty or null, numbers in
/// their shortest form.
[[nodiscard]] std::string in_words(const doc::Value& value);

/// The members of an object for a person, by `indent` levels of two spaces: a line for each scalar,
/// a heading with its members for each object, a table for each list of objects. What is empty is
/// left out.
[[nodiscard]] std::string format_members(const doc::Value& object, int indent = 0);

/// A list of objects as a table: a column for each member that any of them has.
[[nodiscard]] std::string format_table(const doc::Value& list);

/// `text` with `indent` levels of two spaces before every line that is not empty.
[[nodiscard]] std::string indented(std::string_view text, int indent);

/// `next: COMMAND  (WHY)` for each of `reply.next`, as messages.
void print_next(const Console& console, const doc::Value& reply);

}  // namespace heddle::cli
