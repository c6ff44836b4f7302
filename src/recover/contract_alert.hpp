#pragma once

#include "recover/cause.hpp"

namespace heddle::recover {

/// What an alert of the contract says whatever its cause: who sent the rows, which rule broke most,
/// and what a quarantine would cost.
[[nodiscard]] Diagnosis of_contract(const watch::Alert& alert);

/// A cause whose rows break the contract. Who is to be shut out has an incident of their own: the
/// response to another is none to it, and behind one that is open nobody hides.
class ContractCause : public Cause {
 public:
  [[nodiscard]] bool takes(const Incident& incident, const watch::Alert& alert,
                           const Diagnosis& diagnosis, bool related) const final;
  [[nodiscard]] bool refuses_rows() const noexcept final { return true; }
  [[nodiscard]] std::string_view while_waiting() const noexcept final {
    return "rows refused by the contract";
  }
  [[nodiscard]] std::vector<Amendment> amendments(const Incident& incident,
                                                  const spec::Monitor& monitor,
                                                  const spec::Contract& contract) const final;

 protected:
  /// Whether a related alert about something else is a sign of it.
  [[nodiscard]] virtual bool takes_sign(const Incident& incident, const watch::Alert& alert) const;
};

}  // namespace heddle::recover
