#include "base/yield_often.hpp"

#include <cerrno>

#include <sched.h>
#include <unistd.h>
#include <csignal>

namespace heddle {
namespace {

constexpr itimerspec kOnceSoon{{0, 0}, {0, 200'000}};

/// The next time is counted from here: however long this takes (under a debugger, in a machine
/// within a machine), the thread gets on.
void give_way(int, siginfo_t* info, void*) {
  if (info->si_code != SI_TIMER) return;  // somebody's kill
  const int before = errno;
  ::sched_yield();
  ::timer_settime(*static_cast<const timer_t*>(info->si_value.sival_ptr), 0, &kOnceSoon, nullptr);
  errno = before;
}

}  // namespace

YieldOften::YieldOften() {
  struct sigaction action{};
  action.sa_sigaction = give_way;
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGRTMIN;
  event.sigev_value.sival_ptr = &timer_;
  event._sigev_un._tid = ::gettid();
  if (::sigaction(SIGRTMIN, &action, nullptr) != 0 ||
      ::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0)
    return;
  running_ = true;
  ::timer_settime(timer_, 0, &kOnceSoon, nullptr);
}

YieldOften::~YieldOften() {
  if (running_) ::timer_delete(timer_);
}

}  // namespace heddle
