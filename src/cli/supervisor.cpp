#include "cli/supervisor.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/clock.hpp"
#include "base/log.hpp"

namespace heddle::cli {
namespace {

constexpr std::int64_t kGraceNs = 10'000'000'000;
constexpr std::int64_t kQuickDeathNs = 1'000'000'000;
constexpr std::int64_t kBackOffNs = 200'000'000;
constexpr std::int64_t kFirstBackOffNs = 500'000'000;
constexpr std::int64_t kMostBackOffNs = 30'000'000'000;

struct Child {
  pid_t pid = -1;
  std::int64_t started_ns = 0;
  std::int64_t start_at_ns = 0;  ///< not before
  bool lived = false;  ///< longer than a quick death takes, or it was ended by a signal: what ends
                       ///< it now is not how it was started
  std::int64_t back_off_ns = kFirstBackOffNs;  ///< after it ended by itself
};

Result<pid_t> start(const Supervisor::Plane& plane) {
  std::vector<char*> argv;
  for (const auto& word : plane.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    return Error{ErrorKind::kUnavailable, "plane-start-failed",
                 fmt::format("cannot start the {} plane: {}", plane.name, std::strerror(errno))};
  }
  if (pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    ::signal(SIGUSR2, SIG_IGN);  // until the plane takes it
    if (::getppid() != parent) _exit(0);
    ::execv(argv[0], argv.data());
    _exit(127);
  }
  return pid;
}

}  // namespace

Result<void> Supervisor::run() {
  // Signals are taken by sigtimedwait below, so that there is no handler and no race.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGCHLD, SIGUSR2}) sigaddset(&signals, number);
  sigprocmask(SIG_BLOCK, &signals, nullptr);

  const Clock& clock = system_clock();
  std::vector<Child> children(planes_.size());
  Result<void> outcome;
  bool ending = false;
  std::int64_t deadline = 0;

  const auto end_all = [&] {
    ending = true;
    deadline = clock.mono_ns() + kGraceNs;
    for (const auto& child : children) {
      if (child.pid > 0) ::kill(child.pid, SIGTERM);
    }
  };

  for (;;) {
    for (std::size_t i = 0; i < planes_.size() && !ending; ++i) {
      if (children[i].pid > 0 || clock.mono_ns() < children[i].start_at_ns) continue;
      auto pid = start(planes_[i]);
      if (!pid.ok()) {
        outcome = pid.error();
        end_all();
        break;
      }
      children[i].pid = *pid;
      children[i].started_ns = clock.mono_ns();
    }

    const timespec wait{0, 50'000'000};
    const int number = sigtimedwait(&signals, nullptr, &wait);
    if ((number == SIGINT || number == SIGTERM) && !ending) end_all();
    if (number == SIGUSR2 &&
        !ending) {  // who can be replaced without a gap knows what to do; the others ignore it
      for (const auto& child : children) {
        if (child.pid > 0) ::kill(child.pid, SIGUSR2);
      }
    }

    int status = 0;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
      for (std::size_t i = 0; i < planes_.size(); ++i) {
        Child& child = children[i];
        if (child.pid != pid) continue;
        child.pid = -1;
        if (ending) continue;
        const bool by_signal = WIFSIGNALED(status);
        const bool quick = clock.mono_ns() - child.started_ns < kQuickDeathNs;
        child.lived = child.lived || !quick || by_signal;
        if (!quick) child.back_off_ns = kFirstBackOffNs;
        if (!by_signal && (child.lived || planes_[i].may_fail_at_start)) {
          // The other plane goes on: a locked ledger or a full disk ends, and serving must not end
          // before it does.
          log::error(
              "the {} plane ended with exit code {}, its message above says why: starting it again "
              "in {:.1f} s",
              planes_[i].name, WEXITSTATUS(status), static_cast<double>(child.back_off_ns) * 1e-9);
          child.start_at_ns = clock.mono_ns() + child.back_off_ns;
          child.back_off_ns = std::min(2 * child.back_off_ns, kMostBackOffNs);
          continue;
        }
        if (!by_signal) {
          // A plane that ends by itself has said why on stderr; starting it again would say the
          // same.
          outcome = Error{ErrorKind::kUnavailable, "plane-ended",
                          fmt::format("the {} plane ended with exit code {}", planes_[i].name,
                                      WEXITSTATUS(status)),
                          "its own message above says what to do"};
          end_all();
          continue;
        }
        child.start_at_ns = clock.mono_ns() + (quick ? kBackOffNs : 0);
        log::warn("the {} plane was ended by signal {}: starting it again", planes_[i].name,
                  WTERMSIG(status));
      }
    }
    if (!ending) continue;
    bool alive = false;
    for (const auto& child : children) {
      if (child.pid <= 0) continue;
      alive = true;
      if (clock.mono_ns() > deadline) ::kill(child.pid, SIGKILL);
    }
    if (!alive) return outcome;
  }
}

}  // namespace heddle::cli
