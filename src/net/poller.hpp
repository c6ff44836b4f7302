#pragma once

#include <cstdint>

#include <sys/epoll.h>
#include <unistd.h>

namespace heddle::net {

/// The kernel's list of descriptors that a loop waits for (epoll), each with a tag of the loop's
/// choice. Closes itself; a descriptor that is closed leaves it by itself.
class Poller {
 public:
  Poller() : fd_(::epoll_create1(EPOLL_CLOEXEC)) {}
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] bool ok() const noexcept { return fd_ >= 0; }
  void add(int fd, std::uint32_t events, std::uint64_t tag) const noexcept {
    control(EPOLL_CTL_ADD, fd, events, tag);
  }
  void change(int fd, std::uint32_t events, std::uint64_t tag) const noexcept {
    control(EPOLL_CTL_MOD, fd, events, tag);
  }
  /// How many came; 0 where a signal did.
  [[nodiscard]] int wait(epoll_event* events, int most, int timeout_ms) const noexcept {
    const int n = ::epoll_wait(fd_, events, most, timeout_ms);
    return n < 0 ? 0 : n;
  }

 private:
  void control(int operation, int fd, std::uint32_t events, std::uint64_t tag) const noexcept {
    epoll_event event{};
    event.events = events;
    event.data.u64 = tag;
    ::epoll_ctl(fd_, operation, fd, &event);
  }
  int fd_;
};

}  // namespace heddle::net
