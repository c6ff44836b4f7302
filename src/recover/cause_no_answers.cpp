#include "recover/of_subject.hpp"

namespace heddle::recover {
namespace {

/// The service answers nobody: say so at once; a person decides.
class NoAnswers final : public Cause {
 public:
  std::string_view name() const noexcept override { return "no answers"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    // What holds rows back is of a source, what answers nobody is of the service.
    if (!alert.first.source.empty()) return std::nullopt;
    auto out = of_subject(watch::Subject::kAnswers, alert);
    if (out) out->account = alert.first.account;
    return out;
  }

  std::string tells(const Diagnosis& diagnosis) const override {
    return "the service answers nobody: " + diagnosis.reason;
  }

  std::string next(const Incident&) const override {
    return "see what refuses the rows: `heddle quarantine list` has the sources that are shut "
           "out, `heddle quarantine show` the rows";
  }
};

}  // namespace

const Cause& no_answers() {
  static const NoAnswers row;
  return row;
}

}  // namespace heddle::recover
