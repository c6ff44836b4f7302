// Any bytes load as a model or are refused; what loads scores rows, by every layout to the same
// bits, and explains one.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <vector>

#include "model/scorer.hpp"

using heddle::model::Layout;
using heddle::model::Scorer;

namespace {

constexpr std::int64_t kRows = 19;

void expect_same(double a, double b) {
  if (std::bit_cast<std::uint64_t>(a) != std::bit_cast<std::uint64_t>(b) &&
      !(std::isnan(a) && std::isnan(b)))
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto first = Scorer::load(bytes, {Layout::kInterleaved});
  if (!first.ok()) {
    const auto& error = first.error();
    const bool known = error.id == "model-corrupt" || error.id == "model-unsupported" ||
                       error.id == "model-format";
    if (!known || error.message.empty() || error.hint.empty()) std::abort();
    // Bytes of the file in a message stay printable.
    for (const char c : error.message) {
      if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) > '~') std::abort();
    }
    return 0;
  }
  const Scorer& scorer = **first;
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kValues[] = {0,
                               -0.0F,
                               1,
                               -1,
                               0.5F,
                               3,
                               1e-36F,
                               40,
                               16777216.0F,
                               -0.5F,
                               std::numeric_limits<float>::quiet_NaN(),
                               kInf,
                               -kInf,
                               1e30F};
  std::vector<float> rows(static_cast<std::size_t>(kRows * scorer.features()));
  std::uint32_t state = static_cast<std::uint32_t>(size) + 1;
  for (float& value : rows)
    value = kValues[(state = state * 1664525U + 1013904223U) / 65536U % std::size(kValues)];
  const auto outputs = static_cast<std::size_t>(scorer.outputs());
  std::vector<double> margins(kRows * outputs);
  std::vector<double> others(kRows * outputs);
  std::vector<double> one(outputs);
  scorer.margins(rows.data(), kRows, margins.data());
  for (const Layout layout : {Layout::kPerfect, Layout::kLanes, Layout::kMeasured}) {
    const auto again = Scorer::load(bytes, {layout});
    if (!again.ok()) std::abort();
    (*again)->margins(rows.data(), kRows, others.data());
    for (std::size_t i = 0; i < margins.size(); ++i) expect_same(margins[i], others[i]);
    (*again)->margins(rows.data(), 1, one.data());
    for (std::size_t k = 0; k < outputs; ++k) expect_same(margins[k], one[k]);
  }
  std::vector<double> contributions(outputs * (static_cast<std::size_t>(scorer.features()) + 1));
  if (scorer.trees() < 1000)
    (void)scorer.contributions(
        std::span<const float>(rows).first(static_cast<std::size_t>(scorer.features())),
        contributions);
  return 0;
}
