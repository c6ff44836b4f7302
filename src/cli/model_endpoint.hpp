#pragma once

#include <string>

#include "base/result.hpp"
#include "draft/draft.hpp"
#include "train/signature.hpp"

namespace heddle::cli {

/// A model that somebody else serves by the Open Inference Protocol, version 2, as its own metadata
/// says it.
struct EndpointSource {
  draft::Endpoint endpoint{};
  train::Signature signature{};
};

/// Whether `--model` names an endpoint: `http://...` or `https://...`.
[[nodiscard]] bool names_endpoint(const std::string& text) noexcept;

/// `text`: `http://HOST[:PORT][/PREFIX]/v2/models/NAME`. Its metadata is asked for, no row is sent.
/// Errors: kInvalid `adopt-uri`; kUnavailable `adopt-endpoint`: nobody answers, or not as the
/// protocol says; kUnauthenticated, kNotFound `adopt-endpoint-unknown`; kUnprocessable
/// `adopt-endpoint-inputs`, `adopt-endpoint-outputs`: rows cannot be sent to it, or its answer is
/// no number.
[[nodiscard]] Result<EndpointSource> find_endpoint(const std::string& text);

}  // namespace heddle::cli
