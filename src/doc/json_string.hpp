#pragma once

#include <string>
#include <string_view>

namespace heddle::doc {

/// Appends a text as a JSON string. JSON is UTF-8: a byte that is none, for example of a file that
/// a message quotes, is written as U+FFFD.
void append_json_string(std::string_view text, std::string& out);

/// A text from a file as a terminal may have it: what is no UTF-8, and each control character but
/// tab and line feed, is U+FFFD, so that no file moves the cursor or colours what follows.
[[nodiscard]] std::string for_terminal(std::string_view text);

}  // namespace heddle::doc
