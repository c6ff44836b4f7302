#pragma once

#include <vector>

#include "doc/diagnostic.hpp"
#include "spec/project.hpp"

namespace heddle::spec {

/// What of a monitor can never alert, or always would, from its own numbers: errors, each at its
/// key. Warnings for what is not watched at all.
void check_monitor_numbers(const Monitor& monitor, std::vector<doc::Diagnostic>& out);

/// What of a monitor cannot be watched on this contract: columns that no request has, distances
/// that do not read a column's type. `time_field` is the field that orders the model's rows.
void check_monitor_columns(const Monitor& monitor, const Contract& contract,
                           const FeatureSet& features, const std::string& time_field,
                           std::vector<doc::Diagnostic>& out);

}  // namespace heddle::spec
