#include "net/handover.hpp"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/types.h>
#include <unistd.h>

extern char** environ;

namespace heddle::net {
namespace {

constexpr int kFirst = 3;  ///< SD_LISTEN_FDS_START
constexpr int kMost = 16;
constexpr std::string_view kPid = "LISTEN_PID=";

int number(const char* text) {
  if (text == nullptr) return -1;
  int value = -1;
  const char* end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, value);
  return parsed.ec == std::errc{} && parsed.ptr == end ? value : -1;
}

}  // namespace

std::vector<ListenerFd> inherited_listeners() {
  std::vector<ListenerFd> found;
  const int count = number(std::getenv("LISTEN_FDS"));
  if (number(std::getenv("LISTEN_PID")) == ::getpid() && count > 0 && count <= kMost) {
    const char* names_text = std::getenv("LISTEN_FDNAMES");
    std::string_view names = names_text == nullptr ? std::string_view{} : names_text;
    for (int i = 0; i < count; ++i) {
      const std::size_t colon = names.find(':');
      std::string name(names.substr(0, colon));
      names.remove_prefix(colon == std::string_view::npos ? names.size() : colon + 1);
      const int fd = kFirst + i;
      const int flags = ::fcntl(fd, F_GETFD);
      if (flags < 0) continue;
      ::fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
      found.push_back({name.empty() ? "unknown" : std::move(name), fd});
    }
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  return found;
}

Result<int> start_successor(const std::vector<std::string>& argv, const std::vector<ListenerFd>& listeners) {
  HEDDLE_CHECK(!argv.empty() && listeners.size() <= static_cast<std::size_t>(kMost), "a successor without a program, or with too many sockets");
  // Everything that allocates is done before the fork: other threads may hold the allocator's locks.
  std::string names = "LISTEN_FDNAMES=";
  for (const ListenerFd& listener : listeners) names.append(names.ends_with('=') ? "" : ":").append(listener.name);
  std::string count = fmt::format("LISTEN_FDS={}", listeners.size());
  std::string pid(kPid);
  pid.resize(kPid.size() + 24);
  std::vector<char*> environment;
  for (char** at = environ; *at != nullptr; ++at) {
    if (!std::string_view(*at).starts_with("LISTEN_")) environment.push_back(*at);
  }
  for (std::string* text : {&names, &count, &pid}) environment.push_back(text->data());
  environment.push_back(nullptr);
  std::vector<std::string> words = argv;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int fds = static_cast<int>(listeners.size());

  const pid_t child = ::fork();
  if (child < 0) return Error{ErrorKind::kIo, "net-successor", fmt::format("cannot start `{}`: {}", argv[0], std::strerror(errno)), "see the limits of processes"};
  if (child > 0) return static_cast<int>(child);
  // Out of the way first: the place of one may be where another has to go.
  int aside[kMost];
  for (int i = 0; i < fds; ++i) aside[i] = ::fcntl(listeners[static_cast<std::size_t>(i)].fd, F_DUPFD_CLOEXEC, kFirst + kMost);
  for (int i = 0; i < fds; ++i) {
    if (aside[i] < 0 || ::dup2(aside[i], kFirst + i) < 0) ::_exit(127);
  }
  char* at = pid.data() + kPid.size();
  *std::to_chars(at, at + 23, ::getpid()).ptr = '\0';
  ::execve(arguments[0], arguments.data(), environment.data());
  ::_exit(127);
}

}  // namespace heddle::net
