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

/// The planes while they are supervised: starts them, hears how they ended, ends them.
class Planes {
 public:
  explicit Planes(const std::vector<Supervisor::Plane>& planes)
      : planes_(planes), children_(planes.size()) {}

  /// Starts each plane that does not run and whose time has come.
  void start_due();
  void end_all();
  /// Ends what has not ended by itself in time; false once nothing runs any more.
  [[nodiscard]] bool still_ending();
  void signal_all(int number) const;
  /// Reaps every child that has ended, a stranger's too.
  void reap();

  [[nodiscard]] bool ending() const noexcept { return ending_; }
  [[nodiscard]] Result<void> outcome() && { return std::move(outcome_); }

 private:
  void on_end(std::size_t plane, ExitStatus exit);
  /// After a plane ended by itself: when it is started again, or that starting it cannot help.
  void plan_restart(std::size_t plane, ExitStatus exit);
  /// Before the next start, each time twice as long; the seconds.
  double wait(Child& child);
  void give_up(Error error) {
    outcome_ = std::move(error);
    end_all();
  }

  const std::vector<Supervisor::Plane>& planes_;
  std::vector<Child> children_;
  const Clock& clock_ = system_clock();
  Result<void> outcome_{};
  bool ending_ = false;
  std::int64_t deadline_ns_ = 0;  ///< of those that were asked to end
};

void Planes::start_due() {
  for (std::size_t i = 0; i < planes_.size() && !ending_; ++i) {
    Child& child = children_[i];
    if (child.process || clock_.mono_ns() < child.start_at_ns) continue;
    auto started = start(planes_[i]);
    if (!started.ok()) {
      const bool is_first = !child.lived && !planes_[i].may_fail_at_start;
      if (is_first) return give_up(started.error());
      // It ran before: the program is being replaced just now, or the machine has no room for a
      // process. The other plane goes on.
      log::error("{}; it is tried again in {:.1f} s", started.error().message, wait(child));
      continue;
    }
    child.process.emplace(std::move(*started));
    child.started_ns = clock_.mono_ns();
  }
}

void Planes::end_all() {
  ending_ = true;
  deadline_ns_ = clock_.mono_ns() + kGraceNs;
  signal_all(SIGTERM);
}

bool Planes::still_ending() {
  bool alive = false;
  for (const Child& child : children_) {
    if (!child.process) continue;
    alive = true;
    // A plane in a disk that does not answer never ends by itself.
    if (clock_.mono_ns() > deadline_ns_) child.process->kill();
  }
  return alive;
}

void Planes::signal_all(int number) const {
  for (const Child& child : children_) {
    if (child.process) child.process->signal(number);
  }
}

void Planes::reap() {
  for (pid_t pid = 0; (pid = next_ended()) > 0;) {
    const auto ours = std::find_if(children_.begin(), children_.end(), [&](const Child& child) {
      return child.process && child.process->pid() == pid;
    });
    if (ours == children_.end()) {
      // As the first process of a container, a stranger's orphan is ours to reap.
      (void)::waitpid(pid, nullptr, 0);
      continue;
    }
    const ExitStatus exit = *ours->process->ended();
    ours->process.reset();
    // While all of them end, none is started again.
    if (!ending_) on_end(static_cast<std::size_t>(ours - children_.begin()), exit);
  }
}

void Planes::on_end(std::size_t plane, ExitStatus exit) {
  Child& child = children_[plane];
  const bool by_signal = exit.signal != 0;
  const bool quick = clock_.mono_ns() - child.started_ns < kQuickDeathNs;
  child.lived = child.lived || !quick || by_signal;
  // It ran for a while: what ended it is new.
  if (!quick) child.back_off_ns = kFirstBackOffNs;
  if (!by_signal) return plan_restart(plane, exit);
  // One that is killed again and again must not keep the machine busy.
  child.start_at_ns = clock_.mono_ns() + (quick ? kBackOffNs : 0);
  log::warn("the {} plane was ended by signal {}: starting it again", planes_[plane].name,
            exit.signal);
}

void Planes::plan_restart(std::size_t plane, ExitStatus exit) {
  Child& child = children_[plane];
  const Supervisor::Plane& about = planes_[plane];
  if (!child.lived && !about.may_fail_at_start) {
    // A plane that ends by itself has said why on stderr; starting it again would say the same.
    return give_up({ErrorKind::kUnavailable, "plane-ended",
                    fmt::format("the {} plane ended with exit code {}", about.name, exit.code),
                    "its own message above says what to do"});
  }
  // The other plane goes on: a locked ledger or a full disk ends, and serving must not end before
  // it does.
  log::error(
      "the {} plane ended with exit code {}, its message above says why: starting it again in "
      "{:.1f} s",
      about.name, exit.code, wait(child));
}

double Planes::wait(Child& child) {
  const std::int64_t pause = child.back_off_ns;
  child.start_at_ns = clock_.mono_ns() + pause;
  child.back_off_ns = std::min(2 * pause, kMostBackOffNs);
  return static_cast<double>(pause) * 1e-9;
}

}  // namespace

Result<void> Supervisor::run() {
  // Signals are taken by sigtimedwait below, so that there is no handler and no race.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGCHLD, SIGUSR2}) sigaddset(&signals, number);
  sigprocmask(SIG_BLOCK, &signals, nullptr);

  Planes planes(planes_);
  for (;;) {
    planes.start_due();
    // The wait has an end, so that a start that becomes due is not missed.
    const timespec wait{0, 50'000'000};
    const int number = sigtimedwait(&signals, nullptr, &wait);
    if ((number == SIGINT || number == SIGTERM) && !planes.ending()) planes.end_all();
    // Who can be replaced without a gap knows what to do; the others ignore it.
    if (number == SIGUSR2 && !planes.ending()) planes.signal_all(SIGUSR2);
    planes.reap();
    if (planes.ending() && !planes.still_ending()) return std::move(planes).outcome();
  }
}

}  // namespace heddle::cli
