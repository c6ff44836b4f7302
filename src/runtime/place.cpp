#include "runtime/place.hpp"

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "runtime/process.hpp"
#include "runtime/spec.hpp"
#include "runtime/tar.hpp"

namespace heddle::runtime {
namespace {

namespace fs = std::filesystem;

bool is_below(const std::string& path, const std::string& folder) {
  return path.starts_with(folder + "/");
}

/// `PREFIX-PID-N` folders of processes that are gone.
void sweep(const std::string& directory) {
  for (const std::string& name : list_dir(directory)) {
    const std::size_t last = name.rfind('-');
    const std::size_t before =
        last == std::string::npos || last == 0 ? last : name.rfind('-', last - 1);
    if (before == std::string::npos) continue;
    int pid = 0;
    const auto parsed = std::from_chars(name.data() + before + 1, name.data() + last, pid);
    if (parsed.ptr != name.data() + last || pid <= 0 || ::kill(pid, 0) == 0 || errno != ESRCH)
      continue;
    std::error_code ignored;
    fs::remove_all(directory + "/" + name, ignored);
  }
}

/// Whether all of `folder` is more than a program's own: it holds what is hidden, or it is where a
/// person keeps everything.
bool is_too_wide(const fs::path& folder, const std::string& hidden) {
  if (folder == folder.root_path() || (hidden + "/").starts_with(folder.string() + "/"))
    return true;
  const char* home = std::getenv("HOME");
  return folder.filename() == ".local" || (home != nullptr && folder == fs::path(home)) ||
         folder == "/root" || folder.parent_path() == "/home";
}

/// Folders that a program needs for itself: of `/opt/env/bin/python` all of `/opt/env`, of each
/// link on the way to it too; of one in a person's own `bin` that folder and `lib` beside it.
std::vector<std::string> homes_of(std::string program, const std::string& hidden) {
  std::vector<std::string> homes;
  for (int links = 0; links < 16; ++links) {
    const fs::path folder = fs::path(program).parent_path();
    const bool has_own = folder.filename() == "bin" || folder.filename() == "shims";
    const fs::path home = has_own ? folder.parent_path() : folder;
    if (!is_too_wide(home, hidden)) {
      homes.push_back(home.string());
    } else if (has_own) {
      homes.push_back(folder.string());
      homes.push_back((home / "lib").string());
    } else {
      homes.push_back(program);
    }
    std::error_code error;
    const fs::path target = fs::read_symlink(program, error);
    if (error) break;
    program = (target.is_absolute() ? target : folder / target).lexically_normal().string();
  }
  return homes;
}

/// Lets another user read a worker's own copy of its files: root's worker is no root.
void open_to_others(const std::string& folder) {
  using fs::perms;
  std::error_code ignored;
  const auto open_one = [&](const fs::path& path, perms more) {
    fs::permissions(path, more, fs::perm_options::add, ignored);
  };
  constexpr perms kRead = perms::group_read | perms::others_read;
  constexpr perms kEnter = kRead | perms::group_exec | perms::others_exec;
  open_one(folder, kEnter);
  std::error_code ended;
  // Not by a range, whose steps throw.
  for (fs::recursive_directory_iterator at(folder, ended), end; !ended && at != end;
       at.increment(ended)) {
    const auto& entry = *at;
    const bool enter = entry.is_directory(ignored) ||
                       (entry.status(ignored).permissions() & perms::owner_exec) != perms::none;
    open_one(entry.path(), enter ? kEnter : kRead);
  }
}

/// A folder that no other program has.
Result<std::string> own_folder(const PlaceOptions& options) {
  static std::atomic<int> count{0};
  std::error_code error;
  if (options.directory.empty()) {
    // A name that nobody can have taken before in a folder that others write to as well.
    std::string made = (fs::temp_directory_path(error) / "heddle-runtime-XXXXXX").string();
    if (::mkdtemp(made.data()) == nullptr)
      return Error{ErrorKind::kIo, "runtime-unpack", fmt::format("cannot make `{}`", made),
                   "check the temporary folder"};
    return fs::canonical(made, error).string();
  }
  HEDDLE_TRY(make_dirs(options.directory));
  const std::string directory = fs::canonical(options.directory, error).string();
  sweep(directory);
  auto folder =
      fmt::format("{}/{}-{}-{}", directory, sha256(options.files).short_str(), ::getpid(), ++count);
  HEDDLE_TRY(make_dirs(folder));
  return folder;
}

Result<void> link_into(const std::string& folder,
                       const std::vector<std::pair<std::string, std::string>>& linked) {
  for (const auto& [name, from] : linked) {
    const std::string to = folder + "/" + name;
    std::error_code error;
    fs::create_hard_link(from, to, error);
    if (error) fs::copy_file(from, to, error);  // of another disk
    if (error)
      return Error{ErrorKind::kIo, "runtime-unpack",
                   fmt::format("cannot put `{}` there: {}", to, error.message()),
                   "check the disk and its permissions"};
  }
  return {};
}

}  // namespace

Result<Place> Place::make(const PlaceOptions& options) {
  Place place;
  std::error_code error;
  const std::string hidden =
      options.hidden.empty() ? std::string() : fs::canonical(options.hidden, error).string();
  HEDDLE_ASSIGN_OR_RETURN(place.folder_, own_folder(options));
  Launch& launch = place.launch_;
  launch.directory = place.folder_ + "/files";
  launch.scratch = place.folder_ + "/run";
  launch.base = place.folder_ + "/root";
  HEDDLE_TRY(unpack(options.files, launch.directory));
  HEDDLE_TRY(link_into(launch.directory, options.linked));
  if (::geteuid() == 0) open_to_others(launch.directory);
  HEDDLE_TRY(make_dirs(launch.scratch));
  HEDDLE_TRY(make_dirs(launch.base));
  // The project is where its state is.
  const std::string project = fs::path(hidden).parent_path().string();
  for (const std::string& word : options.command) {
    HEDDLE_ASSIGN_OR_RETURN(auto resolved, resolve(word, project));
    launch.arguments.push_back(std::move(resolved));
  }
  HEDDLE_ASSIGN_OR_RETURN(launch.program, find_program(launch.arguments[0], launch.directory));
  // Python finds its environment by the name that it was started under.
  if (launch.arguments[0].starts_with('/')) launch.arguments[0] = launch.program;
  const char* path = std::getenv("PATH");
  launch.environment = {
      fmt::format("PATH={}", path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path),
      "HOME=" + launch.scratch, "TMPDIR=" + launch.scratch, "LANG=C.UTF-8"};
  launch.memory_bytes = options.memory_bytes;
  launch.hidden = hidden;
  if (!is_below(launch.program, launch.directory))
    launch.readable = homes_of(launch.program, hidden);
  return place;
}

Place::~Place() {
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

}  // namespace heddle::runtime
