#include "adapters/git/ref_lock.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>
#include <tuple>

#include "base/file.hpp"
#include "base/log.hpp"

namespace heddle::adapters {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kAgain{10};
constexpr int kTurns = 5;  ///< of other processes, each of which may have a lock to wait for

/// Which file stands at a path: another one has another number, or another time.
using Identity = std::tuple<dev_t, ino_t, time_t, long>;
std::optional<Identity> identity_of(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
  return Identity{info.st_dev, info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

Error locked(const std::string& ref, const std::string& file, std::string_view why) {
  return {ErrorKind::kBusy, "git-ref-locked", fmt::format("cannot write `{}`: {}", ref, why),
          fmt::format("wait until that program has ended. Where no git runs in this repository any "
                      "more, remove `{}`",
                      file)};
}

Result<FileLock> take_turn(const std::string& folder, const std::string& ref,
                           std::chrono::milliseconds patience) {
  const std::string path = folder + kRefTurn;
  const auto until = steady_clock::now() + kTurns * patience;
  for (;;) {
    auto turn = FileLock::acquire(path);
    if (turn.ok() || turn.error().kind != ErrorKind::kConflict) return turn;
    if (steady_clock::now() > until) {
      return Error{ErrorKind::kBusy, "git-ref-locked",
                   fmt::format("cannot write `{}`: another Heddle process holds `{}`", ref, path),
                   "another work tree of this repository writes its refs, or was stopped while it "
                   "did: wait for it, or end it"};
    }
    std::this_thread::sleep_for(kAgain);
  }
}

}  // namespace

Result<int> write_ref(git_repository* repository, const std::string& ref,
                      std::chrono::milliseconds patience, const std::function<int()>& write) {
  const std::string folder = git_repository_commondir(repository);  // ends with a slash
  HEDDLE_ASSIGN_OR_RETURN(const auto turn, take_turn(folder, ref, patience));
  const std::string file = folder + ref + ".lock";
  // A lock that lies there now and does not change may have been left by a program that was killed.
  const auto found = identity_of(file);
  const auto until = steady_clock::now() + patience;
  for (bool removed = false;;) {
    const int code = write();
    if (code != GIT_ELOCKED) return code;
    if (steady_clock::now() < until) {
      std::this_thread::sleep_for(kAgain);
      continue;
    }
    const auto now = identity_of(file);
    // Without a file of the ref's own it is another lock that is held: libgit2 says which.
    const git_error* said = git_error_last();
    if (!now) return locked(ref, "that file", said == nullptr ? "a lock is held" : said->message);
    // Another file than at the beginning: somebody works, and is waited for by whoever tries again.
    if (removed || now != found)
      return locked(ref, file, fmt::format("another program holds `{}`", file));
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) {
      return locked(ref, file,
                    fmt::format("`{}` was left by a program that ended, and cannot be removed: {}",
                                file, std::strerror(errno)));
    }
    log::warn("`{}` was left by a program that was killed: removed", file);
    removed = true;
  }
}

}  // namespace heddle::adapters
