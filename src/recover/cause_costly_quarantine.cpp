#include "recover/incident.hpp"
#include "recover/of_subject.hpp"

namespace heddle::recover {
namespace {

/// A quarantine holds back more good rows than its budget: propose to let the source in; its rows
/// are refused one by one.
class CostlyQuarantine final : public Cause {
 public:
  std::string_view name() const noexcept override { return "costly quarantine"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    // Without a source the alert is of the service: `no answers`.
    if (alert.first.source.empty()) return std::nullopt;
    auto out = of_subject(watch::Subject::kAnswers, alert);
    if (!out) return out;
    out->source = alert.first.source;
    out->account = alert.first.account;
    return out;
  }

  bool takes(const Incident& incident, const watch::Alert& alert, const Diagnosis& diagnosis,
             bool) const override {
    // What was let in because shutting it out cost too much is not shut out again at once.
    const bool is_of_it =
        diagnosis.cause == this || alert.first.subject == watch::Subject::kContract;
    return is_of_it && same_sender(diagnosis, incident.diagnosis);
  }
  /// It is part of the incident that shut the source out.
  std::optional<bool> joins(const Incident& incident, const Diagnosis& diagnosis) const override {
    if (incident.step != Step::kAwaitReadmit) return std::nullopt;
    // A quarantine for everybody costs rows of each account.
    const Diagnosis& d = incident.diagnosis;
    return same_sender(diagnosis, d) || (d.account.empty() && diagnosis.source == d.source);
  }

  Step first_step(const Incident&) const override { return Step::kAwaitReadmit; }

  std::string next(const Incident&) const override {
    return "correct the rows that break the contract upstream; what is well beside them is "
           "answered";
  }
};

}  // namespace

const Cause& costly_quarantine() {
  static const CostlyQuarantine row;
  return row;
}

}  // namespace heddle::recover
