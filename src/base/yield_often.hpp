#pragma once

#include <ctime>

namespace heddle {

/// While it lives, the thread that made it offers the processor after each 200 us to whoever waits
/// for it. A thread of low priority needs that beside one that must not wait: the kernel, once it
/// takes such a thread's turn, leaves it the processor to the next tick, which is 1 to 10 ms away
/// (kernel/sched/fair.c).
///
/// It costs a timer and a signal (SIGRTMIN, whose handler is taken process-wide) each time. Made,
/// used and destroyed on one thread; not nested. Where the kernel has no timer left, nothing
/// happens.
class YieldOften {
 public:
  YieldOften();
  ~YieldOften();
  YieldOften(const YieldOften&) = delete;
  YieldOften& operator=(const YieldOften&) = delete;

 private:
  timer_t timer_{};
  bool running_ = false;
};

}  // namespace heddle
