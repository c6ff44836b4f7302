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
constexpr int kMost = 64;
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

namespace {

/// Arguments and environment of a successor, complete but for its process id: what allocates is
/// done before a fork, since other threads may hold the allocator's locks.
class Successor {
 public:
  Successor(std::vector<std::string> argv, const std::vector<ListenerFd>& listeners)
      : words_(std::move(argv)), count_(static_cast<int>(listeners.size())) {
    HEDDLE_CHECK(!words_.empty() && count_ <= kMost,
                 "a successor without a program, or with too many sockets");
    for (const ListenerFd& listener : listeners)
      names_.append(names_.ends_with('=') ? "" : ":").append(listener.name);
    for (int i = 0; i < count_; ++i) fds_[i] = listeners[static_cast<std::size_t>(i)].fd;
    number_ = fmt::format("LISTEN_FDS={}", count_);
    pid_.resize(kPid.size() + 24);
    for (char** at = environ; *at != nullptr; ++at) {
      if (!std::string_view(*at).starts_with("LISTEN_")) environment_.push_back(*at);
    }
    for (std::string* text : {&names_, &number_, &pid_}) environment_.push_back(text->data());
    environment_.push_back(nullptr);
    for (std::string& word : words_) arguments_.push_back(word.data());
    arguments_.push_back(nullptr);
  }

  /// Becomes the program; returns only when it cannot. Allocates nothing.
  void exec() noexcept {
    // Out of the way first: the place of one may be where another has to go.
    int aside[kMost];
    for (int i = 0; i < count_; ++i) aside[i] = ::fcntl(fds_[i], F_DUPFD_CLOEXEC, kFirst + kMost);
    for (int i = 0; i < count_; ++i) {
      if (aside[i] < 0 || ::dup2(aside[i], kFirst + i) < 0) return;
    }
    char* at = pid_.data() + kPid.size();
    *std::to_chars(at, at + 23, ::getpid()).ptr = '\0';
    ::execve(arguments_[0], arguments_.data(), environment_.data());
  }

 private:
  std::vector<std::string> words_;
  int count_;
  int fds_[kMost]{};
  std::string names_ = "LISTEN_FDNAMES=";
  std::string number_;
  std::string pid_{kPid};
  std::vector<char*> environment_;
  std::vector<char*> arguments_;
};

}  // namespace

Result<int> start_successor(const std::vector<std::string>& argv,
                            const std::vector<ListenerFd>& listeners) {
  Successor successor(argv, listeners);
  const pid_t child = ::fork();
  if (child < 0)
    return Error{ErrorKind::kIo, "net-successor",
                 fmt::format("cannot start `{}`: {}", argv[0], std::strerror(errno)),
                 "see the limits of processes"};
  if (child > 0) return static_cast<int>(child);
  successor.exec();
  ::_exit(127);
}

Error become_successor(const std::vector<std::string>& argv,
                       const std::vector<ListenerFd>& listeners) {
  Successor(argv, listeners).exec();
  return Error{ErrorKind::kIo, "net-successor",
               fmt::format("cannot become `{}`: {}", argv[0], std::strerror(errno)),
               "see whether the program is there"};
}

}  // namespace heddle::net
