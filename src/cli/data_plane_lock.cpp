#include "cli/data_plane_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/log.hpp"
#include "net/client.hpp"

namespace heddle::cli {
namespace {

constexpr auto kLookAgain = std::chrono::milliseconds(20);

/// A lock of the process and not of the open file (flock), which a worker that was just forked
/// would hold as well. The kernel also knows who holds it.
bool lock(int fd, pid_t& holder) {
  struct flock wanted{};
  wanted.l_type = F_WRLCK;
  wanted.l_whence = SEEK_SET;
  if (::fcntl(fd, F_SETLK, &wanted) == 0) return true;
  // Anything else is a file system that takes no lock: the caller tells the two apart by errno.
  if (errno != EACCES && errno != EAGAIN) return false;
  holder = 0;
  if (::fcntl(fd, F_GETLK, &wanted) == 0 && wanted.l_type != F_UNLCK) holder = wanted.l_pid;
  // F_GETLK may have changed it.
  errno = EAGAIN;
  return false;
}

Error runs(pid_t holder) {
  return {ErrorKind::kConflict, "data-plane-runs",
          fmt::format("process {} is the data plane of this project, and answers", holder),
          fmt::format("end it first: `kill {}`", holder)};
}

Error ends(pid_t holder, std::chrono::milliseconds waited) {
  return {ErrorKind::kConflict, "data-plane-ends",
          fmt::format("process {}, a data plane of this project, has not ended in {:.0f} s and has "
                      "its ports still",
                      holder, static_cast<double>(waited.count()) / 1e3),
          fmt::format("end it: `kill -9 {}`; one that was killed ends when the disk answers it",
                      holder)};
}

/// By any socket that a data plane of this project listens on for its owner.
bool owner_is_answered(const control::Home& home) {
  const auto names = list_dir(home.data_sockets());
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    if (!name.ends_with(".sock")) return false;
    net::HttpClient::Options options;
    options.unix_path = home.data_sockets() + "/" + name;
    options.timeout_ms = 500;
    return net::HttpClient(std::move(options)).get("/health/live").ok();
  });
}

}  // namespace

Result<DataPlaneLock> DataPlaneLock::take(const Options& options) {
  const int fd = ::open(options.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  DataPlaneLock held(fd);
  const auto begun = std::chrono::steady_clock::now();
  pid_t told = 0;
  for (pid_t holder = 0; fd < 0 || !lock(fd, holder);) {
    // A disk that is full or read-only must keep nobody from serving.
    if (fd < 0 || errno != EAGAIN) {
      log::error("cannot lock `{}`: {}; nothing keeps a second data plane from this project",
                 options.path, std::strerror(errno));
      return held;
    }
    const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - begun);
    // After a moment: one that is just ending may still answer.
    if (waited >= options.grace && options.answers()) return runs(holder);
    if (waited >= options.patience) return ends(holder, waited);
    // Once for each process that holds it.
    if (holder != 0 && std::exchange(told, holder) != holder) {
      log::warn("process {}, a data plane of this project, has not ended: waiting up to {:.0f} s",
                holder, static_cast<double>(options.patience.count()) / 1e3);
    }
    std::this_thread::sleep_for(kLookAgain);
  }
  return held;
}

Result<DataPlaneLock> DataPlaneLock::take(const control::Home& home) {
  return take({.path = home.data_plane_lock(), .answers = [&] { return owner_is_answered(home); }});
}

DataPlaneLock::DataPlaneLock(DataPlaneLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
DataPlaneLock::~DataPlaneLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace heddle::cli
