#include <unistd.h>

#include <climits>

#include "adapters/git/repository.hpp"
#include "adapters/git/start.hpp"
#include "adapters/jobs/processes.hpp"
#include "adapters/objects/layout.hpp"
#include "adapters/sqlite/state.hpp"
#include "cli/cli.hpp"
#include "cli/init_command.hpp"

int main(int argc, char** argv) {
  using namespace heddle;
  control::Wiring wiring;
  char self[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", self, sizeof self - 1);
  wiring.executable.assign(self, size > 0 ? static_cast<std::size_t>(size) : 0);
  // A binary that was replaced while it runs: what stands in its place now is meant.
  constexpr std::string_view kDeleted = " (deleted)";
  if (wiring.executable.ends_with(kDeleted))
    wiring.executable.resize(wiring.executable.size() - kDeleted.size());
  wiring.open_state = [](const std::string& path) { return adapters::open_sqlite_state(path); };
  wiring.open_objects = [](const std::string& dir) { return adapters::open_layout(dir); };
  wiring.open_git = [](const std::string& root) { return adapters::open_git(root); };
  cli::start_git() = [](const std::string& root, const std::vector<std::string>& paths,
                        const std::string& message) {
    return adapters::start_git(root, paths, message);
  };
  wiring.make_runner = [program = wiring.executable](const std::string& state) {
    return adapters::make_process_runner({state, {program}});
  };
  return cli::run(argc, argv, wiring);
}
