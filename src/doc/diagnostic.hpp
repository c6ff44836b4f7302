#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "doc/value.hpp"

namespace heddle::doc {

enum class Severity { kError, kWarning, kInfo };

/// One thing to tell about a definition: a permanent id, one terse message, where, and what to do.
/// Rendering is apart.
struct Diagnostic {
  Severity severity = Severity::kError;
  std::string id;       ///< kebab-case, permanent
  std::string message;  ///< no final period; names in backticks
  std::string file{};   ///< relative to the project
  Position position{};
  int length = 1;       ///< columns to underline
  std::string label{};  ///< beside the underline; may be empty
  std::string hint{};
  std::string next{};  ///< a command that helps; may be empty
};

/// Renders as text with the offending line and carets, read from `root + file` when it is there.
/// `color` adds ANSI codes.
[[nodiscard]] std::string render_full(const Diagnostic& diagnostic, const std::string& root,
                                      bool color);
/// `file:line:col: error[id]: message`.
[[nodiscard]] std::string render_concise(const Diagnostic& diagnostic);
/// `{"id", "severity", "message", "file", "line", "column", "hint", "next"}`.
[[nodiscard]] Value to_value(const Diagnostic& diagnostic);
/// The name in `known` nearest to `name` by edit distance, or empty when none is near (more than a
/// third of its length).
[[nodiscard]] std::string nearest(std::string_view name, const std::vector<std::string>& known);

}  // namespace heddle::doc
