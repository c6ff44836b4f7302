#include "recover/cause.hpp"
#include "recover/incident.hpp"

namespace heddle::recover {
namespace {

/// The data plane changed to the standby by itself: that is verified as one of recovery's acts;
/// when somebody ends it, later rows tell whether that held. No alert shows it.
class FailOver final : public Cause {
 public:
  std::string_view name() const noexcept override { return "fail-over"; }

  Step first_step(const Incident&) const override { return Step::kVerifyAct; }

  std::string next(const Incident&) const override {
    return "see why the bundle that was left failed, and release one that does not";
  }
};

}  // namespace

const Cause& fail_over() {
  static const FailOver row;
  return row;
}

}  // namespace heddle::recover
