#include "base/open_files.hpp"

#include <sys/resource.h>

namespace heddle {

std::uint64_t raise_open_files() noexcept {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return 0;
  rlimit raised = files;
  raised.rlim_cur = raised.rlim_max;
  if (files.rlim_cur < files.rlim_max && ::setrlimit(RLIMIT_NOFILE, &raised) == 0) files = raised;
  return files.rlim_cur;
}

}  // namespace heddle
