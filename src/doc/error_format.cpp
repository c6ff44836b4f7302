#include "doc/error_format.hpp"

namespace heddle::doc {
namespace {

std::vector<std::pair<std::string, ErrorKind>> kinds() {
  std::vector<std::pair<std::string, ErrorKind>> names;
  // `kInternal` is the last of them.
  for (int i = 0; i <= static_cast<int>(ErrorKind::kInternal); ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    names.emplace_back(error_kind_info(kind).name, kind);
  }
  return names;
}

}  // namespace

const Schema<ErrorReply>& error_reply_schema() {
  using E = ErrorReply;
  static const auto schema = [] {
    auto t = Schema<E>::record("the error", "why there is no reply");
    t.refused_as(ErrorKind::kInternal, "control-error",
                 "see what the control plane wrote to its log");
    t.text("error", &E::error, "what went wrong");
    t.text("id", &E::id, "permanent").filled();
    t.choice("kind", &E::kind, kinds(), "which status and exit code it has");
    t.text("hint", &E::hint, "what to do; may be empty");
    return t;
  }();
  return schema;
}

const Schema<CommandError>& command_error_schema() {
  static const auto error = [] {
    auto t = Schema<Error>::record("the error", "why there is no document");
    t.choice("kind", &Error::kind, kinds(), "which exit code it has");
    t.text("id", &Error::id, "permanent").filled();
    t.text("message", &Error::message, "what went wrong");
    t.text("where", &Error::where, "`file:line:col`; may be empty");
    t.text("hint", &Error::hint, "what to do; may be empty");
    return t;
  }();
  static const auto schema = [] {
    auto t = Schema<CommandError>::record("the document", "of a command that failed");
    t.refused_as(ErrorKind::kCorrupt, "command-document", "run the command again");
    t.object("error", &CommandError::error, error, "why");
    return t;
  }();
  return schema;
}

}  // namespace heddle::doc
