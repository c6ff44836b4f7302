#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "expr/datum.hpp"
#include "runtime/spec.hpp"
#include "spec/contract.hpp"
#include "stats/task.hpp"

namespace heddle::runtime {

/// What the columns of the rows are, and what is answered of a row.
struct Shape {
  Runtime::Inputs inputs = Runtime::Inputs::kFeatures;
  std::vector<spec::Field> fields{};    ///< kFields: name and type of each
  std::vector<std::string> features{};  ///< kFeatures: names, in matrix order
  stats::Task task{};                   ///< an answer is `task.outputs()` numbers

  [[nodiscard]] std::size_t width() const noexcept {
    return inputs == Runtime::Inputs::kFields ? fields.size() : features.size();
  }
};

/// Rows on their way to a runtime: a value that owns everything in it, so that it may cross
/// threads.
class Rows {
 public:
  Rows() = default;
  Rows(Rows&&) = default;
  Rows& operator=(Rows&&) = default;
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  void add_features(std::span<const float> row);
  void add_fields(std::span<const expr::Datum> typed);  ///< strings are copied

  /// A copy of rows [begin, end).
  [[nodiscard]] Rows slice(std::size_t begin, std::size_t end) const;

  [[nodiscard]] std::span<const float> features() const noexcept {
    return features_;
  }  ///< row-major
  [[nodiscard]] std::span<const expr::Datum> fields() const noexcept {
    return fields_;
  }  ///< row-major

 private:
  std::size_t count_ = 0;
  std::vector<float> features_;
  std::vector<expr::Datum> fields_;
  std::deque<std::string> texts_;  ///< a deque's strings stay where they are
};

}  // namespace heddle::runtime
