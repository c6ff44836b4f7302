#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "recover/cause.hpp"

namespace heddle::recover {

/// What an alert of the contract says whatever its cause: who sent the rows, which rule broke most,
/// and what a quarantine would cost.
[[nodiscard]] Diagnosis of_contract(const watch::Alert& alert);

/// A sign that most refused rows of an alert have (watch/row_signs.hpp).
struct CommonSign {
  std::string column;
  double share;  ///< of the refused rows
};
/// The field whose `sign` most refused rows show, if they are `least` of them or more.
[[nodiscard]] std::optional<CommonSign> common_sign(const watch::Alert& alert,
                                                    std::string_view sign, double least);

/// A cause whose rows break the contract. Who is to be shut out has an incident of their own: the
/// response to another is none to it, and behind one that is open nobody hides.
class ContractCause : public Cause {
 public:
  [[nodiscard]] bool takes(const Incident& incident, const watch::Alert& alert,
                           const Diagnosis& diagnosis, bool related) const override;
  [[nodiscard]] bool refuses_rows() const noexcept final { return true; }
  [[nodiscard]] std::string_view while_waiting() const noexcept override {
    return "rows refused by the contract";
  }
  [[nodiscard]] std::vector<Amendment> amendments(const Incident& incident,
                                                  const spec::Monitor& monitor,
                                                  const spec::Contract& contract) const final;

 protected:
  /// Whether a related alert about something else is a sign of it.
  [[nodiscard]] virtual bool takes_sign(const Incident& incident, const watch::Alert& alert) const;
};

/// A contract cause that says in which way rows are wrong. They are refused already, until it is
/// quiet; most of one sender's rows: its source is shut out. The runs of one fault may show it in
/// several ways, so what one sender does is one incident, whatever the first of them said.
class RowFault : public ContractCause {
 public:
  [[nodiscard]] bool takes(const Incident& incident, const watch::Alert& alert,
                           const Diagnosis& diagnosis, bool related) const override;
  [[nodiscard]] Step first_step(const Incident& incident) const override;
  [[nodiscard]] std::string next(const Incident& incident) const override;
};

}  // namespace heddle::recover
