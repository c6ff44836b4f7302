#pragma once

#include <string>
#include <string_view>

namespace heddle {

/// What went wrong, in the few ways that callers branch on. One table (`error_kind_info`) maps each
/// to its HTTP status and process exit code; a situation is told apart by `Error::id`, never by a
/// new kind.
enum class ErrorKind {
  kInvalid,          ///< the input is malformed: fix it and try again
  kUnprocessable,    ///< well-formed, but refused by a contract or a gate
  kUnauthenticated,  ///< no or a wrong credential
  kDenied,           ///< policy says no
  kNotFound,
  kConflict,     ///< the state moved on, or the thing exists already
  kTooLarge,     ///< over a stated bound
  kBusy,         ///< shed; try again later
  kUnavailable,  ///< a part that is needed is not up
  kTimeout,
  kIo,       ///< disk or network failed
  kCorrupt,  ///< bytes do not match their digest, signature or format
  kCancelled,
  kInternal,  ///< our own mistake
};

struct ErrorKindInfo {
  std::string_view name;
  int http_status;
  int exit_code;
  bool retryable;
};

/// The one table of kinds. Never fails.
[[nodiscard]] const ErrorKindInfo& error_kind_info(ErrorKind kind) noexcept;

/// A failure as a value: permanent `id` (kebab-case, `module-what`), a message that says what and
/// where, and a hint that says what to do next. `where` is `file:line:col` or empty.
struct Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string id;
  std::string message;
  std::string hint{};
  std::string where{};

  /// `error[id]: message`, then `  --> where` and, after a blank line, `hint: ...` when there are
  /// any.
  [[nodiscard]] std::string str() const;
};

}  // namespace heddle
