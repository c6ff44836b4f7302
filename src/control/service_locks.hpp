#pragma once

#include <string>

#include "control/operations.hpp"

namespace heddle::control {

// A service whose state, journal or route cannot be read is locked: nothing of it is decided, what
// was released of it is served, and the others go on (docs/adr/0037). It is tried again after
// growing pauses. Where no service is left, the fault is the plane's: the functions return it.

/// Opens every service of `core.running`; those that cannot be opened are locked.
[[nodiscard]] Result<void> open_services(Control::Core& core);

/// Reads the journal of each, as `Control::pump` says, and tries those that are locked again.
[[nodiscard]] Result<bool> pump_services(Control::Core& core);

/// Takes the service out of `core.services`. An entry `service.lock` says why and people are told,
/// unless the newest one says the same. What comes of it again is `service.unlock`, once it has
/// read its journal to the end.
[[nodiscard]] Result<void> lock_service(Control::Core& core, const std::string& name,
                                        const Error& why);

/// kUnavailable `service-locked` with the reason, for who asks something of it; none: it is not
/// locked.
[[nodiscard]] std::optional<Error> lock_of(const Control::Core& core, const std::string& name);

}  // namespace heddle::control
