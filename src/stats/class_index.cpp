#include "stats/class_index.hpp"

#include <cmath>

#include <fmt/format.h>

namespace heddle::stats {

std::string whole_class(double number) { return fmt::format("{:.0f}", number == 0 ? 0.0 : number); }

ClassIndex::ClassIndex(const Task& task) : task_(&task) {
  for (std::size_t k = 0; k < task.classes.size(); ++k)
    codes_.emplace(task.classes[k], static_cast<double>(k));
}

Result<double> ClassIndex::code_of(const Label& label) const {
  const auto find = [&](std::string_view name) {
    const auto found = codes_.find(name);
    // What is not there, or of another type, the task explains.
    return found == codes_.end() ? task_->code_of(label) : Result<double>(found->second);
  };
  if (task_->kind != TaskKind::kClasses) return task_->code_of(label);
  const auto* text = std::get_if<std::string>(&label);
  const auto* number = std::get_if<double>(&label);
  if (text != nullptr && !task_->whole_classes) return find(*text);
  if (number != nullptr && task_->whole_classes && *number == std::trunc(*number))
    return find(whole_class(*number));
  return task_->code_of(label);
}

}  // namespace heddle::stats
