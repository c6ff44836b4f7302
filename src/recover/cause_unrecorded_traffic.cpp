#include "recover/incident.hpp"
#include "recover/of_subject.hpp"

namespace heddle::recover {
namespace {

/// What is answered is not all recorded: say so at once.
class UnrecordedTraffic final : public Cause {
 public:
  std::string_view name() const noexcept override { return "unrecorded traffic"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    auto out = of_subject(watch::Subject::kJournal, alert);
    if (out) out->account = alert.first.account;
    return out;
  }

  /// Whose records are missing is a thing of their own, and no sign of what the rows say.
  bool takes(const Incident& incident, const watch::Alert&, const Diagnosis& diagnosis,
             bool) const override {
    return diagnosis.cause == this && same_sender(diagnosis, incident.diagnosis);
  }
  std::optional<bool> joins(const Incident& incident, const Diagnosis& diagnosis) const override {
    return incident.diagnosis.cause == this && same_sender(diagnosis, incident.diagnosis);
  }

  std::string tells(const Diagnosis& diagnosis) const override {
    return "what is answered is not all recorded: " + diagnosis.reason;
  }

  std::string next(const Incident&) const override {
    return "see that the disk has room and that the control plane keeps up; an account that sends "
           "more than its share has a limit in `limits.requests_per_second`";
  }
};

}  // namespace

const Cause& unrecorded_traffic() {
  static const UnrecordedTraffic row;
  return row;
}

}  // namespace heddle::recover
