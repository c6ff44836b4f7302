#include "policy/request.hpp"

#include "base/digest.hpp"
#include "doc/json.hpp"

namespace heddle::policy {

std::string request_statement(const SignedRequest& about, const doc::Value& request) {
  auto asked = doc::Value::object();
  if (request.is_object()) {
    for (const auto& [key, value] : request.as_object()) {
      if (key != "requester" && key != "person" && key != "signed") asked.set(key, value);
    }
  }
  return doc::to_canonical_json(
      doc::Value::object({{"format", "heddle.request/1"},
                          {"project", about.project},
                          {"operation", about.operation},
                          {"request", sha256(doc::to_canonical_json(asked)).str()},
                          {"person", about.person},
                          {"at", format_time(about.at)},
                          {"nonce", about.nonce}}));
}

void record_proof(doc::Value& attributes, const Proof& proof) {
  const auto put = [&](const char* name, const std::string& value) {
    if (!value.empty()) attributes.set(name, value);
  };
  put("proof", proof.how);
  put("claimed", proof.claimed);
  put("request_statement", proof.statement);
  put("request_signature", proof.signature);
}

}  // namespace heddle::policy
