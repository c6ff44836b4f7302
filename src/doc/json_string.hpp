#pragma once

#include <string>
#include <string_view>

namespace heddle::doc {

/// Appends a text as a JSON string. JSON is UTF-8: a byte that is none, for example of a file that
/// a message quotes, is written as U+FFFD.
void append_json_string(std::string_view text, std::string& out);

}  // namespace heddle::doc
