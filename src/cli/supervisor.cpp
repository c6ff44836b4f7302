#include "cli/supervisor.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/process.hpp"

namespace heddle::cli {
namespace {

constexpr std::int64_t kGraceNs = 10'000'000'000;
constexpr std::int64_t kQuickDeathNs = 1'000'000'000;
constexpr std::int64_t kBackOffNs = 200'000'000;
constexpr std::int64_t kFirstBackOffNs = 500'000'000;
constexpr std::int64_t kMostBackOffNs = 30'000'000'000;

struct Child {
  std::optional<ChildProcess> process{};  ///< while it runs
  std::int64_t started_ns = 0;
  std::int64_t start_at_ns = 0;  ///< not before
  bool lived = false;  ///< longer than a quick death takes, or it was ended by a signal: what ends
                       ///< it now is not how it was started
  std::int64_t back_off_ns = kFirstBackOffNs;  ///< after it ended by itself
};

Result<ChildProcess> start(const Supervisor::Plane& plane) {
  auto started = ChildProcess::start({.argv = plane.argv,
                                      .signal_at_orphaning = SIGTERM,
                                      // Until the plane takes it.
                                      .ignored_signals = {SIGUSR2}});
  if (!started.ok()) {
    Error error = started.error();
    error.id = "plane-start-failed";
    error.message = fmt::format("the {} plane: {}", plane.name, error.message);
    return error;
  }
  return started;
}

/// One of our children that has ended; they stay to be reaped. 0: none.
pid_t next_ended() {
  siginfo_t info{};
  if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return 0;
  return info.si_pid;
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
      if (child.process) child.process->signal(SIGTERM);
    }
  };

  for (;;) {
    for (std::size_t i = 0; i < planes_.size() && !ending; ++i) {
      if (children[i].process || clock.mono_ns() < children[i].start_at_ns) continue;
      auto started = start(planes_[i]);
      if (!started.ok()) {
        outcome = started.error();
        end_all();
        break;
      }
      children[i].process.emplace(std::move(*started));
      children[i].started_ns = clock.mono_ns();
    }

    const timespec wait{0, 50'000'000};
    const int number = sigtimedwait(&signals, nullptr, &wait);
    if ((number == SIGINT || number == SIGTERM) && !ending) end_all();
    if (number == SIGUSR2 &&
        !ending) {  // who can be replaced without a gap knows what to do; the others ignore it
      for (const auto& child : children) {
        if (child.process) child.process->signal(SIGUSR2);
      }
    }

    for (pid_t pid = 0; (pid = next_ended()) > 0;) {
      bool known = false;
      for (std::size_t i = 0; i < planes_.size(); ++i) {
        Child& child = children[i];
        if (!child.process || child.process->pid() != pid) continue;
        known = true;
        const ExitStatus exit = *child.process->ended();
        child.process.reset();
        if (ending) continue;
        const bool by_signal = exit.signal != 0;
        const bool quick = clock.mono_ns() - child.started_ns < kQuickDeathNs;
        child.lived = child.lived || !quick || by_signal;
        if (!quick) child.back_off_ns = kFirstBackOffNs;
        if (!by_signal && (child.lived || planes_[i].may_fail_at_start)) {
          // The other plane goes on: a locked ledger or a full disk ends, and serving must not end
          // before it does.
          log::error(
              "the {} plane ended with exit code {}, its message above says why: starting it again "
              "in {:.1f} s",
              planes_[i].name, exit.code, static_cast<double>(child.back_off_ns) * 1e-9);
          child.start_at_ns = clock.mono_ns() + child.back_off_ns;
          child.back_off_ns = std::min(2 * child.back_off_ns, kMostBackOffNs);
          continue;
        }
        if (!by_signal) {
          // A plane that ends by itself has said why on stderr; starting it again would say the
          // same.
          outcome =
              Error{ErrorKind::kUnavailable, "plane-ended",
                    fmt::format("the {} plane ended with exit code {}", planes_[i].name, exit.code),
                    "its own message above says what to do"};
          end_all();
          continue;
        }
        child.start_at_ns = clock.mono_ns() + (quick ? kBackOffNs : 0);
        log::warn("the {} plane was ended by signal {}: starting it again", planes_[i].name,
                  exit.signal);
      }
      // As the first process of a container, a stranger's orphan is ours to reap.
      if (!known) (void)::waitpid(pid, nullptr, 0);
    }
    if (!ending) continue;
    bool alive = false;
    for (const auto& child : children) {
      if (!child.process) continue;
      alive = true;
      if (clock.mono_ns() > deadline) child.process->kill();
    }
    if (!alive) return outcome;
  }
}

}  // namespace heddle::cli
