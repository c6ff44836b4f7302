#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "doc/schema.hpp"
#include "policy/rulebook.hpp"
#include "spec/project.hpp"

namespace heddle::policy {

inline constexpr const char* kApprovalNamespace = "heddle-approval";
inline constexpr const char* kRequestNamespace = "heddle-request";

struct Signature {
  std::string person;
  std::string armored;  ///< `-----BEGIN SSH SIGNATURE-----` ...
  Micros t = 0;
  bool operator==(const Signature&) const = default;
};

/// A request for a person's yes, and what became of it. The statement is what is signed, byte for
/// byte (policy/statement.hpp).
struct Approval {
  /// Void: something the statement binds is not so any more. It never comes back.
  enum class Status { kPending, kApproved, kRejected, kUsed, kExpired, kVoid };
  std::string id;  ///< `approval-0001`
  std::string op_id;
  std::string requester;  ///< who asked, proven
  std::string claimed{};  ///< the name that was given with the request, when it is another
  Status status = Status::kPending;
  std::string statement;
  std::string action{};
  std::string target{};
  std::string slot{};  ///< attribute `slot` of the proposal
  std::vector<Named> subjects{};
  std::vector<Named> evidence{};
  doc::Value binds{};  ///< facts and terms by name (policy/act.hpp)
  Digest policy{};     ///< the rules it was asked under
  std::vector<Need> needs{};
  std::vector<Signature> signatures{};
  Micros asked = 0;    ///< wall
  Micros expires = 0;  ///< wall
  Micros asked_event_time = 0;
  std::string reason{};  ///< of the proposal; for people
  std::string rejected_by{};
  std::string rejected_because{};
  std::string void_because{};
  std::uint64_t entry = 0;  ///< ledger entry that records the request
  bool operator==(const Approval&) const = default;
};

/// Writes `approval.statement` from the rest and `nonce`.
void write_statement(Approval& approval, const std::string& nonce);
/// Whether the statement says what the other members say: they are what is carried out, it is what
/// was signed.
[[nodiscard]] bool says_statement(const Approval& approval);
/// RFC 6962 root over `name NUL digest` of each, in their order. Of no evidence there is none: an
/// empty digest.
[[nodiscard]] Digest evidence_root(const std::vector<Named>& evidence);
/// Whether `person` counts as who asked: by proof or by the name that was claimed.
[[nodiscard]] bool asked_by(const Approval& approval, std::string_view person) noexcept;
[[nodiscard]] std::string_view status_name(Approval::Status status) noexcept;
/// As an approval is stored (docs/formats/approvals.md).
[[nodiscard]] const doc::Schema<Approval>& approval_schema();

/// Whether `armored` is a signature by `person` over `statement` (namespace `heddle-approval`, or
/// that of requests), asked of the `ssh-keygen` on the PATH with an allowed_signers file of that
/// person's keys: anybody can repeat it. kDenied `approval-signature-invalid` when it is not;
/// kUnavailable when there is no `ssh-keygen`.
[[nodiscard]] Result<void> verify_signature(const spec::Person& person, std::string_view statement,
                                            std::string_view armored,
                                            const char* name_space = kApprovalNamespace);
/// Whether `armored` is a signature over `statement` by whichever key it names: for a record whose
/// people are not known any more.
[[nodiscard]] Result<void> check_signature(std::string_view statement, std::string_view armored,
                                           const char* name_space = kApprovalNamespace);
/// `NAME namespaces="heddle-approval,heddle-request" KEY`, a line a key.
[[nodiscard]] std::string allowed_signers(const std::vector<spec::Person>& people);

}  // namespace heddle::policy
