#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "plane/journal.hpp"
#include "plane/segment.hpp"

namespace heddle::plane {
namespace {

Error trim_error(std::string_view what, const std::string& path) {
  return {ErrorKind::kIo, "journal-trim",
          fmt::format("cannot {} `{}`: {}", what, path, std::strerror(errno)),
          "see the system's message: the journal takes no new records once it is full"};
}

/// What it says may be lost with the power: then the writer counts more as unread than there is.
Result<void> say_consumed(const std::string& dir, std::uint64_t segment) {
  const std::string path = consumed_path(dir);
  const std::string fresh = path + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return trim_error("write", fresh);
  const std::string text = fmt::format("{}\n", segment);
  const bool whole = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  if (!whole || ::rename(fresh.c_str(), path.c_str()) != 0) return trim_error("write", path);
  return {};
}

}  // namespace

std::string consumed_path(const std::string& dir) { return dir + "/consumed"; }

Result<void> consumed(const std::string& dir, std::uint64_t segment,
                      std::optional<std::uint64_t> keep) {
  // On a full disk room is made first: then there is some to say it in.
  std::uint64_t total = 0;
  std::vector<std::pair<std::string, std::uint64_t>> done;
  for (const std::uint64_t number : list_segments(dir)) {
    std::string path = segment_path(dir, number);
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) continue;
    const auto bytes = static_cast<std::uint64_t>(info.st_size);
    total += bytes;
    if (number < segment) done.emplace_back(std::move(path), bytes);
  }
  struct statvfs disk{};
  if (!keep && ::statvfs(dir.c_str(), &disk) == 0)
    keep = traffic_bytes(total, std::uint64_t{disk.f_bavail} * disk.f_frsize);
  for (const auto& [path, bytes] : done) {
    if (total <= keep.value_or(kTrafficBytes)) break;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return trim_error("remove", path);
    total -= bytes;
  }
  return say_consumed(dir, segment);
}

}  // namespace heddle::plane
