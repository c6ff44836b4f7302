#include "recover/of_subject.hpp"

namespace heddle::recover {
namespace {

/// Accounts that label contradict each other: a person is asked; until it is over nothing that
/// labels move is done without one.
class LabelConflict final : public Cause {
 public:
  std::string_view name() const noexcept override { return "label conflict"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    return of_subject(watch::Subject::kLabels, alert);
  }

  bool takes(const Incident&, const watch::Alert&, const Diagnosis& diagnosis,
             bool) const override {
    return diagnosis.cause == this;
  }

  std::string_view while_waiting() const noexcept override {
    return "what labels move is asked of a person";
  }
  std::string tells(const Diagnosis& diagnosis) const override {
    return "find out whose labels are right: " + diagnosis.reason;
  }

  std::string next(const Incident&) const override {
    return "find out whose labels are right, and take `label` from the account whose are not; what "
           "labels move waits for a person meanwhile";
  }
};

}  // namespace

const Cause& label_conflict() {
  static const LabelConflict row;
  return row;
}

}  // namespace heddle::recover
