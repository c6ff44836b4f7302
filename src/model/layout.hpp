#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "model/compiled.hpp"

namespace heddle::model {

/// One way to hold and walk the trees of a `Compiled`, which must outlive it. Sum is float or
/// double: the type that leaves are added in. Any number of threads.
template <class Sum>
class TreeLayout {
 public:
  virtual ~TreeLayout() = default;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// As Scorer::margins.
  virtual void margins(const float* rows, std::int64_t n, Sum* out) const noexcept = 0;
};

/// What a sum begins with and what is done to it at the end.
template <class Sum>
[[nodiscard]] inline Sum first_of(const Compiled& forest, int output) noexcept {
  return forest.base_last ? Sum{0}
                          : static_cast<Sum>(forest.base[static_cast<std::size_t>(output)]);
}
template <class Sum>
[[nodiscard]] inline Sum finish(const Compiled& forest, int output, Sum sum) noexcept {
  if (forest.divisor != 1) sum = static_cast<Sum>(static_cast<double>(sum) / forest.divisor);
  return forest.base_last ? sum + static_cast<Sum>(forest.base[static_cast<std::size_t>(output)])
                          : sum;
}

/// Admits every model.
template <class Sum>
[[nodiscard]] std::unique_ptr<TreeLayout<Sum>> make_interleaved(const Compiled& forest);
/// Null where padding would cost too much: deeper than 8, or more than 4 times the nodes; or where
/// there are categories.
template <class Sum>
[[nodiscard]] std::unique_ptr<TreeLayout<Sum>> make_perfect(const Compiled& forest);
/// Null on a CPU without AVX-512 VBMI, for trees deeper than 8, for categories, and where the
/// features in use take more than 128 bytes.
template <class Sum>
[[nodiscard]] std::unique_ptr<TreeLayout<Sum>> make_lanes(const Compiled& forest);

}  // namespace heddle::model
