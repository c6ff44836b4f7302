#pragma once

#include "doc/schema.hpp"
#include "plane/route_file.hpp"

namespace heddle::plane {

/// How a route table and its parts are stored (docs/formats/route.md). The releases of the control
/// plane store the same parts.
[[nodiscard]] const doc::Schema<Canary>& canary_schema();
[[nodiscard]] const doc::Schema<FailOver>& fail_over_schema();
/// Without `by` and `reason`, which are of the control plane alone.
[[nodiscard]] const doc::Schema<QuarantinedSource>& quarantined_schema();
[[nodiscard]] const doc::Schema<RouteTable>& route_schema();
[[nodiscard]] const doc::Schema<RouteFile>& route_file_schema();

}  // namespace heddle::plane
