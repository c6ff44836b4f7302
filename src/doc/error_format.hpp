#pragma once

#include <optional>
#include <string>

#include "base/error.hpp"
#include "doc/schema.hpp"

namespace heddle::doc {

/// An error as a control plane answers it: {"error": the message, "id", "kind", "hint"}. What the
/// HTTP server refused by itself has no kind.
struct ErrorReply {
  std::string error{};
  std::string id{};
  std::optional<ErrorKind> kind{};
  std::string hint{};
};
/// kInternal `control-error`.
[[nodiscard]] const Schema<ErrorReply>& error_reply_schema();

/// What a command that failed leaves with `--json`: {"error": {"kind", "id", "message", "where",
/// "hint"}}.
struct CommandError {
  Error error{};
};
/// kCorrupt `command-document`.
[[nodiscard]] const Schema<CommandError>& command_error_schema();

}  // namespace heddle::doc
