#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "cli/console.hpp"
#include "control/act_replies.hpp"
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

/// A digest as a person is shown it: by its beginning.
[[nodiscard]] std::string beginning(std::string_view digest);

/// `text` with `indent` levels of two spaces before every line that is not empty.
[[nodiscard]] std::string indented(std::string_view text, int indent);

/// `next: COMMAND  (WHY)` for each, as messages.
void print_next(const Console& console, const std::vector<control::NextItem>& next);

/// A reply as its JSON or as `print` shows it, or its error. The exit code.
template <class Reply>
int show(const Console& console, const Result<Reply>& reply,
         void (*print)(const Console&, const Reply&)) {
  if (!reply.ok()) return console.fail(reply.error());
  if (console.json()) {
    console.document(Reply::schema().print(*reply));
  } else {
    print(console, *reply);
  }
  return 0;
}

}  // namespace heddle::cli
