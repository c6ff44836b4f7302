#pragma once

#include "bundle/bundle.hpp"
#include "spec/project.hpp"

namespace heddle::control {

/// That the bundle is of the model that the service serves; kConflict `release-other-model`, with
/// both names and the service that serves the bundle's. Retrained, repaired and recalibrated
/// bundles keep the model of the one that they were made of. Thread-safe.
[[nodiscard]] Result<void> check_model(const bundle::Bundle& bundle, const spec::Project& project,
                                       const spec::Service& service);

/// That a data plane will be able to load the bundle: every layer reads and the rows of
/// `reference.json` come out bit for bit (score::Plan::load); kCorrupt, with the bundle and the
/// reason. A bundle with a runtime is proven by its build alone: its worker, container or server is
/// no business of the control plane, so here only `runtime.json` has to read. Takes tens of
/// milliseconds. Thread-safe.
[[nodiscard]] Result<void> check_loads(const bundle::Bundle& bundle);

}  // namespace heddle::control
