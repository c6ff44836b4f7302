#include <tuple>

#include <fmt/format.h>

#include "plane/route.hpp"
#include "recover/cause.hpp"
#include "recover/moved_base_rate.hpp"

namespace heddle::recover {
namespace {

using watch::Subject;

/// What no other cause explains: a person looks. The last of the table.
class Unknown final : public Cause {
 public:
  std::string_view name() const noexcept override { return "unknown"; }

  std::optional<Diagnosis> match(const watch::Alert& alert,
                                 const watch::Watch& watch) const override {
    Diagnosis out;
    out.change_from = alert.first.from;
    if (alert.first.subject != Subject::kPrior) {
      out.reason = fmt::format("`{}` is {:.3f}, above {:.3f}", alert.first.key, alert.last.value,
                               alert.last.threshold);
      return out;
    }
    out.offsets = watch::offsets_of(alert.last.detail);
    // Most rows do not show it, or it were a prior shift: the sender that shows it most is named.
    std::tie(out.account, out.source) = moved_base_rate(alert, watch).most;
    out.reason = fmt::format(
        "the base rate moved where source {} sends, not for most rows: something of that source, "
        "or of its labels",
        plane::source_text(out.account, out.source));
    return out;
  }

  bool takes(const Incident&, const watch::Alert& alert, const Diagnosis& diagnosis,
             bool related) const override {
    return related && (diagnosis.cause == this || alert.first.subject == Subject::kColumn ||
                       alert.first.subject == Subject::kQuality);
  }
  bool is_open_question() const noexcept override { return true; }

  std::string next(const Incident&) const override {
    return "a person looks: no cause of the catalogue fits";
  }
};

}  // namespace

const Cause& unknown_cause() {
  static const Unknown row;
  return row;
}

}  // namespace heddle::recover
