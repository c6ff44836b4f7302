#include "recover/of_subject.hpp"

namespace heddle::recover {
namespace {

/// A metric does not report: nothing but to say so; a person makes it reachable, or takes it out.
class MonitorSilent final : public Cause {
 public:
  std::string_view name() const noexcept override { return "monitor silent"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    return of_subject(watch::Subject::kMonitor, alert);
  }

  std::string next(const Incident&) const override {
    return "see that its rows or labels come in time, change the monitor's window or chunk, or "
           "take the metric out";
  }
};

}  // namespace

const Cause& monitor_silent() {
  static const MonitorSilent row;
  return row;
}

}  // namespace heddle::recover
