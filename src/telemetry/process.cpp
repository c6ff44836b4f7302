#include "telemetry/process.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "base/file.hpp"

namespace heddle::telemetry {
namespace {

/// Field `index` of /proc/PID/stat as proc(5) counts them from 1; the second may hold spaces, so
/// the count begins behind it.
std::optional<std::uint64_t> stat_field(std::string_view stat, int index) {
  // The last one: a program's name may hold brackets as well.
  const std::size_t end = stat.rfind(')');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view rest = stat.substr(end + 1);
  for (int at = 3; !rest.empty(); ++at) {
    rest.remove_prefix(1);  // the space before it
    const std::size_t space = rest.find(' ');
    if (at == index) return std::strtoull(std::string(rest.substr(0, space)).c_str(), nullptr, 10);
    if (space == std::string_view::npos) break;
    rest.remove_prefix(space);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> boot_time() {
  const auto stat = read_file("/proc/stat");
  const std::size_t at = stat.ok() ? stat->find("\nbtime ") : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  return std::strtoull(stat->c_str() + at + 7, nullptr, 10);
}

std::optional<std::uint64_t> open_files() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return std::nullopt;
  std::uint64_t count = 0;
  while (const dirent* entry = ::readdir(folder)) count += entry->d_name[0] != '.' ? 1 : 0;
  ::closedir(folder);
  return count - 1;  // not the one that looks
}

}  // namespace

void put_process_metrics(std::string& out) {
  const auto put = [&](std::string_view name, std::string_view type, std::string_view help,
                       auto value) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help,
                   type, value);
  };
  if (const auto stat = read_file("/proc/self/stat"); stat.ok()) {
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    const auto user = stat_field(*stat, 14), system = stat_field(*stat, 15),
               begun = stat_field(*stat, 22), bytes = stat_field(*stat, 23),
               pages = stat_field(*stat, 24);
    if (user && system)
      put("process_cpu_seconds_total", "counter",
          "Total user and system CPU time spent in seconds.",
          static_cast<double>(*user + *system) / ticks);
    if (pages)
      put("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
          *pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
    if (bytes)
      put("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", *bytes);
    if (const auto boot = boot_time(); boot && begun) {
      put("process_start_time_seconds", "gauge",
          "Start time of the process since unix epoch in seconds.",
          static_cast<double>(*boot) + static_cast<double>(*begun) / ticks);
    }
  }
  if (const auto files = open_files())
    put("process_open_fds", "gauge", "Number of open file descriptors.", *files);
  if (rlimit limit{}; ::getrlimit(RLIMIT_NOFILE, &limit) == 0)
    put("process_max_fds", "gauge", "Maximum number of open file descriptors.",
        static_cast<std::uint64_t>(limit.rlim_cur));
}

}  // namespace heddle::telemetry
