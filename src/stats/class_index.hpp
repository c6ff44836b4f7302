#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "stats/task.hpp"

namespace heddle::stats {

/// A class that is a whole number is at most this, and at least its negative: a label is a double,
/// which tells each of these from its neighbours.
inline constexpr std::int64_t kLargestClass = (std::int64_t{1} << 53) - 1;
[[nodiscard]] constexpr bool can_be_class(std::int64_t number) noexcept {
  return number >= -kLargestClass && number <= kLargestClass;
}

/// How a class that is a whole number is written.
[[nodiscard]] std::string whole_class(double number);

/// Codes of many labels: as Task::code_of, without a search through the classes. Refers to the
/// task.
class ClassIndex {
 public:
  explicit ClassIndex(const Task& task);
  [[nodiscard]] Result<double> code_of(const Label& label) const;

 private:
  const Task* task_;
  std::map<std::string, double, std::less<>> codes_;
};

}  // namespace heddle::stats
