#include <fmt/format.h>

#include "plane/route.hpp"
#include "recover/contract_alert.hpp"
#include "recover/incident.hpp"

namespace heddle::recover {
namespace {

/// Of all rows of the sender, for a field that is gone: some values are always missing.
constexpr double kGone = 0.9;

/// A field comes no more, or under another name.
class MissingField final : public RowFault {
 public:
  std::string_view name() const noexcept override { return "missing field"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    if (alert.first.subject != watch::Subject::kContract) return std::nullopt;
    const auto sign = common_sign(alert, "absent", kGone);
    if (!sign || alert.last.value < kGone) return std::nullopt;
    Diagnosis out = of_contract(alert);
    out.column = sign->column;
    out.reason = fmt::format(
        "`{}` is absent from {:.1f} % of the rows of source {}: it is sent no more, or under "
        "another "
        "name",
        out.column, 100 * alert.last.value * sign->share,
        plane::source_text(out.account, out.source));
    return out;
  }

  std::string next(const Incident& incident) const override {
    return fmt::format(
        "ask the owner of source {} what became of `{}`; `heddle quarantine show` "
        "shows the rows",
        plane::source_text(incident.diagnosis.account, incident.diagnosis.source),
        incident.diagnosis.column);
  }
};

}  // namespace

const Cause& missing_field() {
  static const MissingField row;
  return row;
}

}  // namespace heddle::recover
