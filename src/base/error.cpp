#include "base/error.hpp"

#include <cstdio>
#include <cstdlib>

#include "base/result.hpp"

namespace heddle {

const ErrorKindInfo& error_kind_info(ErrorKind kind) noexcept {
  static constexpr ErrorKindInfo kTable[] = {
      {"invalid", 400, 2, false},
      {"unprocessable", 422, 3, false},
      {"unauthenticated", 401, 4, false},
      {"denied", 403, 5, false},
      {"not-found", 404, 6, false},
      {"conflict", 409, 7, false},
      {"too-large", 413, 8, false},
      {"busy", 429, 9, true},
      {"unavailable", 503, 10, true},
      {"timeout", 504, 11, true},
      {"io", 500, 12, true},
      {"corrupt", 500, 13, false},
      {"cancelled", 499, 14, false},
      {"internal", 500, 70, false},
  };
  return kTable[static_cast<std::size_t>(kind)];
}

std::string Error::str() const {
  std::string text = "error[" + id + "]: " + message;
  if (!where.empty()) text += "\n  --> " + where;
  if (!hint.empty()) text += "\n\nhint: " + hint;
  return text;
}

void check_failed(const char* file, int line, const char* condition, std::string_view message) {
  std::fprintf(stderr, "%s:%d: check failed: %s: %.*s\n", file, line, condition,
               static_cast<int>(message.size()), message.data());
  std::abort();
}

}  // namespace heddle
