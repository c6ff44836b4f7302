#include "model/linear.hpp"

namespace heddle::model {
namespace {

class Linear final : public Scorer {
 public:
  explicit Linear(LinearModel model) : model_(std::move(model)) {}
  int features() const noexcept override { return model_.features; }
  int outputs() const noexcept override { return model_.outputs; }
  Link link() const noexcept override { return model_.link; }
  const Use& use() const noexcept override { return model_.use; }
  std::string_view format() const noexcept override { return "onnx"; }
  int trees() const noexcept override { return 0; }
  void margins(const float* rows, std::int64_t n, float* out) const noexcept override {
    score(rows, n, out);
  }
  void margins(const float* rows, std::int64_t n, double* out) const noexcept override {
    score(rows, n, out);
  }

 private:
  template <class Out>
  void score(const float* rows, std::int64_t n, Out* out) const noexcept {
    const auto features = static_cast<std::size_t>(model_.features);
    for (std::int64_t r = 0; r < n; ++r, rows += features) {
      const double* weights = model_.weights.data();
      for (int k = 0; k < model_.outputs; ++k, weights += features) {
        double sum = model_.intercepts[static_cast<std::size_t>(k)];
        for (std::size_t i = 0; i < features; ++i) sum += weights[i] * static_cast<double>(rows[i]);
        *out++ = static_cast<Out>(sum);
      }
    }
  }

  LinearModel model_;
};

}  // namespace

std::unique_ptr<Scorer> make_linear(LinearModel model) {
  return std::make_unique<Linear>(std::move(model));
}

}  // namespace heddle::model
