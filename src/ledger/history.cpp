#include "ledger/history.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.hpp"

namespace heddle::ledger {

Result<History> read_history(const std::string& directory) {
  History history;
  const std::string path = directory + "/history";
  if (!path_exists(path)) return history;
  HEDDLE_ASSIGN_OR_RETURN(const auto text, read_file(path));
  // A note is a body, an empty line and its signatures; the record ends at the next empty line.
  for (std::size_t begin = 0; begin < text.size();) {
    const auto body = text.find("\n\n", begin);
    const auto end = body == std::string::npos ? body : text.find("\n\n", body + 2);
    if (end == std::string::npos) break;
    history.notes.push_back(text.substr(begin, end + 1 - begin));
    begin = history.whole_bytes = end + 2;
  }
  history.torn = text.substr(history.whole_bytes);
  return history;
}

Result<void> append_history(const std::string& directory, std::size_t whole_bytes,
                            std::string_view note) {
  const std::string path = directory + "/history";
  const bool created = !path_exists(path);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  const std::string record = std::string(note) + "\n";
  const auto size = static_cast<off_t>(whole_bytes);
  const bool written =
      fd >= 0 && ::ftruncate(fd, size) == 0 &&
      ::pwrite(fd, record.data(), record.size(), size) == static_cast<ssize_t>(record.size()) &&
      ::fsync(fd) == 0;
  const int code = errno;
  if (fd >= 0) ::close(fd);
  if (!written) {
    return Error{ErrorKind::kIo, code == ENOSPC ? "disk-full" : "file-io-failed",
                 fmt::format("cannot write `{}`: {}", path, std::strerror(code)),
                 "free space on that disk"};
  }
  if (created) return fsync_dir(directory);
  return {};
}

}  // namespace heddle::ledger
