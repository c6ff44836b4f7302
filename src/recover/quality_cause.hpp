#pragma once

#include "recover/cause.hpp"
#include "recover/incident.hpp"

namespace heddle::recover {

/// A cause by which labelled quality falls: a related fall, or a related alert of a rule, is a sign
/// of it.
class QualityCause : public Cause {
 public:
  [[nodiscard]] bool takes(const Incident& incident, const watch::Alert& alert,
                           const Diagnosis& diagnosis, bool related) const final {
    using watch::Subject;
    if (diagnosis.cause == this) return takes_again(incident, diagnosis, related);
    return related &&
           (alert.first.subject == Subject::kRule || alert.first.subject == Subject::kQuality);
  }

 protected:
  /// Whether another alert of this cause is of this incident.
  [[nodiscard]] virtual bool takes_again(const Incident&, const Diagnosis&, bool related) const {
    return related;
  }
};

}  // namespace heddle::recover
