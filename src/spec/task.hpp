#pragma once

#include <string_view>

#include "doc/schema.hpp"
#include "stats/task.hpp"

namespace heddle::spec {

/// The most classes of a task: each answer holds a probability of every class, and the journal
/// keeps it (16 KiB a row).
inline constexpr std::size_t kMostClasses = 4096;

/// `task` of a bundle's configuration: {"kind", "classes"?, "whole_classes"?}.
[[nodiscard]] const doc::Schema<stats::Task>& task_schema();

/// The tensor that a runtime of the task is asked for, unless its definition names another: what a
/// service of ours calls it.
[[nodiscard]] std::string_view output_name(stats::TaskKind task) noexcept;

}  // namespace heddle::spec
