#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "doc/schema.hpp"
#include "policy/rulebook.hpp"

namespace heddle::policy {

/// What a person signs to say yes, `heddle.approval/2` (docs/formats/approvals.md): the canonical
/// JSON of this, byte for byte.
struct Statement {
  std::string approval{};  ///< its id
  std::string op_id{};
  std::string action{};
  std::string target{};
  std::string slot{};  ///< empty: it is about none
  std::vector<Named> subjects{};
  std::string rollback{};  ///< digest of what it can be undone to; empty: none
  doc::Value binds{};      ///< facts and terms by name
  Digest policy{};         ///< the rules it was asked under
  Digest evidence_root{};  ///< empty: there is no evidence
  std::string requester{};
  std::string claimed{};  ///< the name that was given, when it is another
  Micros expires = 0;     ///< wall
  std::string nonce{};
  std::string asked_event_time{};  ///< empty: it is not about traffic
};
/// kCorrupt `approval-statement-malformed`.
[[nodiscard]] const doc::Schema<Statement>& statement_schema();
/// The bytes that are signed.
[[nodiscard]] std::string statement_text(const Statement& statement);
/// kCorrupt also where the text is not the canonical one: who signs must see all that is signed.
[[nodiscard]] Result<Statement> parse_statement(const std::string& text);

}  // namespace heddle::policy
