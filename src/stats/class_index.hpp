#pragma once

#include <map>
#include <string>

#include "stats/task.hpp"

namespace heddle::stats {

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
