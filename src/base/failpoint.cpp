#include "base/failpoint.hpp"

#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace heddle {

void failpoint(std::string_view name) noexcept {
  static const char* const folder = std::getenv("HEDDLE_FAILPOINTS");
  if (folder == nullptr) return;
  char path[PATH_MAX];
  const int size = std::snprintf(path, sizeof path, "%s/%.*s", folder,
                                 static_cast<int>(name.size()), name.data());
  if (size < 0 || size >= static_cast<int>(sizeof path)) return;
  // Whoever removed the file is the one that dies: a file is one death.
  if (::unlink(path) == 0) ::raise(SIGKILL);
}

}  // namespace heddle
