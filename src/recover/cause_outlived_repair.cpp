#include "recover/cause.hpp"
#include "recover/incident.hpp"

namespace heddle::recover {
namespace {

/// A repair does not pay any more, or its fault is over: take it back. It is found among the acts
/// in force, and no alert shows it alone.
class OutlivedRepair final : public Cause {
 public:
  std::string_view name() const noexcept override { return "outlived repair"; }

  Step first_step(const Incident&) const override { return Step::kWithdraw; }

  std::string next(const Incident&) const override {
    return "nothing: what a person released before answers again";
  }
};

}  // namespace

const Cause& outlived_repair() {
  static const OutlivedRepair row;
  return row;
}

}  // namespace heddle::recover
