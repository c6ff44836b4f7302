#include "control/secret.hpp"

#include <cstdlib>

#include "base/file.hpp"

namespace heddle::control {

Result<std::string> resolve_secret(std::string_view text) {
  if (text.size() < 4 || text.substr(0, 2) != "${" || text.back() != '}') return std::string(text);
  const std::string_view inner = text.substr(2, text.size() - 3);
  if (inner.substr(0, 4) == "env:") {
    const std::string name(inner.substr(4));
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) {
      return Error{ErrorKind::kNotFound, "secret-not-set",
                   fmt::format("the environment has no `{}`", name),
                   "set it for the process that runs `heddle up`"};
    }
    return std::string(value);
  }
  if (inner.substr(0, 5) == "file:") {
    HEDDLE_ASSIGN_OR_RETURN(auto value, read_file(std::string(inner.substr(5))));
    // An editor ends the file in a newline, which is no part of the secret.
    while (!value.empty() && (value.back() == '\n' || value.back() == '\r')) value.pop_back();
    return value;
  }
  return Error{ErrorKind::kInvalid, "secret-form",
               fmt::format("`{}` is no reference Heddle knows", text),
               "write `${env:NAME}` or `${file:PATH}`"};
}

}  // namespace heddle::control
