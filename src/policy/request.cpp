#include "policy/request.hpp"

#include "base/digest.hpp"
#include "doc/json.hpp"

namespace heddle::policy {

const doc::Schema<SignedRequest>& signed_request_schema() {
  using S = SignedRequest;
  static const auto schema = [] {
    auto t = doc::Schema<S>::record("the signed statement", "what a person signs to ask");
    t.of_format("heddle.request/1")
        .refused_as(ErrorKind::kDenied, "request-signature-invalid",
                    "let `heddle` sign it: `--key FILE`, the private key of that person");
    t.text("project", &S::project, "its name");
    t.text("operation", &S::operation, "that is asked for").filled();
    t.digest("request", &S::request, "of the request").filled();
    t.text("person", &S::person, "who signs").filled();
    t.time("at", &S::at, "wall time");
    t.text("nonce", &S::nonce, "16 signs or more: each is taken once");
    t.finally([](S& into, const doc::Value&, doc::Reader& reader) {
      // Too short a one could be met twice by chance, or tried out.
      constexpr std::size_t kLeast = 16;
      if (into.nonce.size() < kLeast) reader.refuse("nonce", "must have 16 signs or more");
    });
    return t;
  }();
  return schema;
}

std::string request_statement(SignedRequest about, const doc::Value& request) {
  auto asked = doc::Value::object();
  if (request.is_object()) {
    for (const auto& [key, value] : request.as_object()) {
      if (key != "requester" && key != "person" && key != "signed") asked.set(key, value);
    }
  }
  about.request = sha256(doc::to_canonical_json(asked));
  return doc::to_canonical_json(signed_request_schema().print(about));
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
