#pragma once

#include "control/operations.hpp"
#include "control/service_rows.hpp"

namespace heddle::control {

/// Writes down which TLS files the data plane of a service shows and trusts, as it told at its
/// start: an entry `tls.files` in the ledger whenever one is another, and people are told. The
/// files are no part of what is applied (docs/adr/0019).
[[nodiscard]] Result<void> record_certificates(Control::Core& core, const std::string& service,
                                               ServiceControl& control);

/// The last ones; none: no data plane told of any.
[[nodiscard]] Result<std::optional<TlsRow>> certificates_of(Control::Core& core,
                                                            const std::string& service);

}  // namespace heddle::control
