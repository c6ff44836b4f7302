#include "recover/cause.hpp"
#include "recover/incident.hpp"
#include "watch/unknown_classes.hpp"

namespace heddle::recover {
namespace {

/// Labels are of a class that the model does not have: people are told. No answer of this model can
/// be right for such rows, and which classes there are is a definition.
class NewClass final : public Cause {
 public:
  std::string_view name() const noexcept override { return "new class"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    if (alert.first.key != watch::kUnknownClassKey) return std::nullopt;
    Diagnosis out;
    out.change_from = alert.first.from;
    out.reason = alert.last.detail.string_or("why");
    return out;
  }

  bool takes(const Incident&, const watch::Alert&, const Diagnosis& diagnosis,
             bool) const override {
    return diagnosis.cause == this;
  }

  std::string_view while_waiting() const noexcept override { return "people are told"; }
  std::string tells(const Diagnosis& diagnosis) const override {
    return "declare the class and train anew, or correct who labels: " + diagnosis.reason;
  }

  std::string next(const Incident&) const override {
    return "add the class to `classes` of the Model, then `heddle run`; or take `label` from who "
           "sends what is no class";
  }
};

}  // namespace

const Cause& new_class() {
  static const NewClass row;
  return row;
}

}  // namespace heddle::recover
