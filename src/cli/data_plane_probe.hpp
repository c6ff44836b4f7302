#pragma once

#include <string>

#include "doc/value.hpp"
#include "spec/project.hpp"

namespace heddle::cli {

/// What the data plane of a service says of itself now: `address`, `running`, and when it runs
/// `ready`, `stopped`, `failed_over`, `slot`, `bundle`, `route_version`. Asked over its own port,
/// for two seconds at most: what the control plane knows is what was decided, not what runs.
/// `problem` says why more is not known.
[[nodiscard]] doc::Value probe_data_plane(const spec::Project& project,
                                          const spec::Service& service);

}  // namespace heddle::cli
