#include "trainer/trainer.hpp"

namespace heddle::trainer {
namespace {

constexpr RefusedParameter kRefused[] = {
    {"seed", "the trainer gets the model's own seed as `params.seed`", "set `seed` of the Model"}};

/// The row by which a definition names a trainer of its own. `train::fit_own` runs it.
class Exec final : public Trainer {
 public:
  std::string_view name() const noexcept override { return "exec"; }
  bool does(stats::TaskKind) const noexcept override { return true; }
  bool is_own() const noexcept override { return true; }
  std::span<const Parameter> parameters(stats::TaskKind) const override { return {}; }
  std::span<const RefusedParameter> refused(stats::TaskKind) const override { return kRefused; }
  Result<Fitted> train(const Input&) const override {
    return Error{ErrorKind::kInternal, "train-own", "a trainer of one's own runs in a sandbox",
                 "report this"};
  }
};

}  // namespace

const Trainer& exec_trainer() {
  static const Exec row;
  return row;
}

}  // namespace heddle::trainer
