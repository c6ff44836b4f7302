#include "recover/contract_alert.hpp"

#include <algorithm>
#include <cmath>

#include "recover/incident.hpp"

namespace heddle::recover {

using watch::Subject;

Diagnosis of_contract(const watch::Alert& alert) {
  Diagnosis out;
  out.source = alert.last.source;
  out.account = alert.last.account;
  out.change_from = alert.first.from;
  // What a quarantine would cost: the share that is well now, of what comes in a day.
  out.good_rows = std::llround((1 - alert.last.value) *
                               static_cast<double>(alert.last.detail.int_or("rows_a_day")));
  const doc::Value* rules = alert.last.detail.find("rules");
  if (rules == nullptr || !rules->is_object()) return out;
  std::int64_t most = 0;
  for (const auto& [rule, count] : rules->as_object()) {
    // The rule that refused most names the fault; the first of equals, so that a replay says the
    // same.
    if (!count.is_int() || count.as_int() <= most) continue;
    most = count.as_int();
    out.rule = rule;
  }
  return out;
}

std::optional<CommonSign> common_sign(const watch::Alert& alert, std::string_view sign,
                                      double least) {
  const doc::Value* const signs = alert.last.detail.find("signs");
  const std::int64_t refused = alert.last.detail.int_or("refused");
  if (signs == nullptr || !signs->is_object() || refused == 0) return std::nullopt;
  std::optional<CommonSign> out;
  for (const auto& [field, counts] : signs->as_object()) {
    const double share = static_cast<double>(counts.int_or(sign)) / static_cast<double>(refused);
    // The first of equals, so that a replay says the same.
    if (share >= least && (!out || share > out->share)) out = CommonSign{field, share};
  }
  return out;
}

bool ContractCause::takes(const Incident& incident, const watch::Alert& alert,
                          const Diagnosis& diagnosis, bool related) const {
  // However late: rows of one sender that break the contract again are the same fault.
  if (diagnosis.cause == this) return same_sender(diagnosis, incident.diagnosis);
  if (!related || alert.first.subject == Subject::kContract ||
      alert.first.subject == Subject::kAnswers)
    return false;
  return takes_sign(incident, alert);
}

bool ContractCause::takes_sign(const Incident&, const watch::Alert&) const { return false; }

bool RowFault::takes(const Incident& incident, const watch::Alert& alert,
                     const Diagnosis& diagnosis, bool related) const {
  if (dynamic_cast<const RowFault*>(diagnosis.cause) != nullptr)
    return same_sender(diagnosis, incident.diagnosis);
  return ContractCause::takes(incident, alert, diagnosis, related);
}

Step RowFault::first_step(const Incident& incident) const {
  return incident.refused_share >= kWholeSource ? Step::kQuarantine : Step::kAwaitQuiet;
}

std::string RowFault::next(const Incident&) const {
  return "`heddle quarantine show` shows the refused rows; correct them upstream";
}

std::vector<Amendment> ContractCause::amendments(const Incident&, const spec::Monitor& monitor,
                                                 const spec::Contract&) const {
  Amendment out{monitor, false, "refused_rows", "", ""};
  out.monitor.refused_rows = std::max<std::int64_t>(10, monitor.refused_rows * 2 / 5);
  // The monitor looks at runs that are as short already.
  if (out.monitor.refused_rows >= monitor.refused_rows) return {};
  out.yaml = std::to_string(out.monitor.refused_rows);
  out.why = "clean sources have next to no refusals, so fewer rows tell as surely";
  return {out};
}

}  // namespace heddle::recover
