#include "recover/of_subject.hpp"

namespace heddle::recover {
namespace {

/// Event time left its clock: say so; it is over when both agree, or a person sets it.
class ClockJump final : public Cause {
 public:
  std::string_view name() const noexcept override { return "clock jump"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    if (alert.first.key != watch::kClockKey) return std::nullopt;
    return of_subject(watch::Subject::kMonitor, alert);
  }

  std::string next(const Incident&) const override {
    return "correct the clock (`chronyc tracking`, `timedatectl`) or the recording; "
           "`heddle clock set` says that it is right";
  }
};

}  // namespace

const Cause& clock_jump() {
  static const ClockJump row;
  return row;
}

}  // namespace heddle::recover
