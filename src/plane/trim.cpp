#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>

#include "plane/journal_files.hpp"
#include "plane/segment.hpp"

namespace heddle::plane {
namespace {

Error trim_error(std::string_view what, const std::string& path) {
  return {ErrorKind::kIo, "journal-trim",
          fmt::format("cannot {} `{}`: {}", what, path, std::strerror(errno)),
          "see the system's message: the journal takes no new records once it is full"};
}

/// What it says may be lost with the power: then the writer counts more as unread than there is.
Result<void> say_consumed(FilePort& files, const std::string& dir, std::uint64_t segment) {
  const std::string path = consumed_path(dir);
  const std::string fresh = path + ".new";
  const int fd = files.open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) return trim_error("write", fresh);
  const int written = write_all(files, fd, fmt::format("{}\n", segment), 0);
  const int code = errno;
  files.close(fd);
  errno = code;
  if (written != 0 || files.rename(fresh.c_str(), path.c_str()) != 0)
    return trim_error("write", path);
  return {};
}

}  // namespace

std::string consumed_path(const std::string& dir) { return dir + "/consumed"; }

Result<void> consumed(const std::string& dir, std::uint64_t segment,
                      std::optional<std::uint64_t> keep, FilePort& files) {
  // On a full disk room is made first: then there is some to say it in.
  std::uint64_t total = 0;
  std::vector<std::pair<std::string, std::uint64_t>> done;
  HEDDLE_ASSIGN_OR_RETURN(const auto segments, list_segments(dir, files));
  for (const std::uint64_t number : segments) {
    std::string path = segment_path(dir, number);
    const std::int64_t size = files.size(path.c_str());
    if (size < 0 && errno == ENOENT) continue;
    if (size < 0) return trim_error("look at", path);
    const auto bytes = static_cast<std::uint64_t>(size);
    total += bytes;
    if (number < segment) done.emplace_back(std::move(path), bytes);
  }
  if (const std::int64_t left = keep ? -1 : files.free_bytes(dir.c_str()); left >= 0)
    keep = traffic_bytes(total, static_cast<std::uint64_t>(left));
  for (const auto& [path, bytes] : done) {
    if (total <= keep.value_or(kTrafficBytes)) break;
    if (files.unlink(path.c_str()) != 0 && errno != ENOENT) return trim_error("remove", path);
    total -= bytes;
  }
  return say_consumed(files, dir, segment);
}

Result<void> consumed(const std::string& dir, std::uint64_t segment,
                      std::optional<std::uint64_t> keep) {
  return consumed(dir, segment, keep, system_files());
}

}  // namespace heddle::plane
