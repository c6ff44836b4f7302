#include "base/yield_often.hpp"

#include <cerrno>

#include <csignal>
#include <sched.h>
#include <unistd.h>

namespace heddle {
namespace {

constexpr long kEveryNs = 200'000;

void give_way(int) {
  const int before = errno;
  ::sched_yield();
  errno = before;
}

}  // namespace

YieldOften::YieldOften() {
  struct sigaction action{};
  action.sa_handler = give_way;
  action.sa_flags = SA_RESTART;
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGRTMIN;
  event._sigev_un._tid = ::gettid();
  if (::sigaction(SIGRTMIN, &action, nullptr) != 0 || ::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) return;
  running_ = true;
  const itimerspec every{{0, kEveryNs}, {0, kEveryNs}};
  ::timer_settime(timer_, 0, &every, nullptr);
}

YieldOften::~YieldOften() {
  if (running_) ::timer_delete(timer_);
}

}  // namespace heddle
