#pragma once

#include "doc/schema.hpp"
#include "stats/task.hpp"

namespace heddle::spec {

/// The most classes of a task: each answer holds a probability of every class, and the journal
/// keeps it (16 KiB a row).
inline constexpr std::size_t kMostClasses = 4096;

/// `task` of a bundle's configuration: {"kind", "classes"?, "whole_classes"?}.
[[nodiscard]] const doc::Schema<stats::Task>& task_schema();

}  // namespace heddle::spec
