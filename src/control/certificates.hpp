#pragma once

#include "control/operations.hpp"

namespace heddle::control {

/// Writes down which TLS files the data plane of a service shows and trusts, as it told at its
/// start: an entry `tls.files` in the ledger whenever one is another, and people are told. The
/// files are no part of what is applied (docs/adr/0019).
[[nodiscard]] Result<void> record_certificates(Control::Core& core, const std::string& service,
                                               ServiceControl& control);

/// The last ones: {"certificate", "client_ca" (digests; empty: none), "since", "entry"}; null: no
/// data plane told of any.
[[nodiscard]] Result<doc::Value> certificates_of(Control::Core& core, const std::string& service);

}  // namespace heddle::control
