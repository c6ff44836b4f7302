#pragma once

#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "doc/schema.hpp"
#include "policy/act.hpp"

namespace heddle::policy {

/// What a person signs to ask for an act, or to reject or resume, where the account of the system
/// does not say who it is (namespace `heddle-request`): the canonical JSON of this,
/// `heddle.request/1`.
struct SignedRequest {
  std::string project;
  std::string operation;
  std::string person;
  Micros at = 0;
  std::string nonce;
  /// Of the operation's request in canonical JSON without its members `requester`, `person` and
  /// `signed`.
  Digest request{};
};
/// kInvalid `request-signature-invalid`.
[[nodiscard]] const doc::Schema<SignedRequest>& signed_request_schema();

/// The bytes that are signed, about this request.
[[nodiscard]] std::string request_statement(SignedRequest about, const doc::Value& request);

/// How long after `at`, and before it, a signed request is taken.
inline constexpr Micros kRequestWindow = 10 * kMinute;

/// Who asked, in the attributes of an entry: how that is known, the name that was only claimed, and
/// what was signed.
void record_proof(doc::Value& attributes, const Proof& proof);

}  // namespace heddle::policy
