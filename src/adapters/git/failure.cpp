#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "adapters/git/handles.hpp"
#include "base/file_port.hpp"

namespace heddle::adapters {
namespace {

/// What a person can do about libgit2's last error, where no call on a file failed.
const char* hint_of(const git_error& error, std::string_view message) {
  switch (error.klass) {
    case GIT_ERROR_CONFIG:
      return "correct the configuration of that repository: `git config --list` names the line";
    case GIT_ERROR_OS:
    case GIT_ERROR_FILESYSTEM: return "see what the system's log says of that disk";
    case GIT_ERROR_REPOSITORY:
      if (message.find("extension") != std::string_view::npos) {
        return "Heddle reads repositories without extensions: `git config --get-regexp "
               "'^extensions'` lists those of this one";
      }
      return "see what `git status` says there";
    default: return "see what `git fsck` says of the project's repository";
  }
}

}  // namespace

Error git_failure(std::string_view what) {
  const git_error* last = git_error_last();
  if (last == nullptr || last->message == nullptr) {
    return {ErrorKind::kIo, "git-failed", fmt::format("cannot {}", what),
            "see what `git fsck` says of the project's repository"};
  }
  const std::string_view message = last->message;
  Error error{ErrorKind::kIo, "git-failed", fmt::format("cannot {}: {}", what, message),
              hint_of(*last, message)};
  // libgit2 keeps of `errno` only the system's words, at the end of its own.
  for (const int code :
       {ENOSPC, EDQUOT, EACCES, EPERM, EROFS, EMFILE, ENFILE, ENOTDIR, EISDIR, EIO}) {
    if (!message.ends_with(std::strerror(code))) continue;
    errno = code;
    const Error of_files = file_error("use", "the repository");
    error.hint = of_files.hint;
    if (of_files.id == "disk-full") error.id = of_files.id;
    break;
  }
  return error;
}

}  // namespace heddle::adapters
