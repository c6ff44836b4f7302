#include "policy/statement.hpp"

#include "doc/json.hpp"

namespace heddle::policy {

const doc::Schema<Statement>& statement_schema() {
  using S = Statement;
  static const auto subject = [] {
    auto t = doc::Schema<Named>::record("the subject", "what it is about");
    t.text("name", &Named::name, "what it is").filled();
    t.digest("digest", &Named::digest, "of it");
    return t;
  }();
  static const auto schema = [] {
    auto t = doc::Schema<S>::record("the statement", "what a person signs");
    t.of_format("heddle.approval/2")
        .refused_as(ErrorKind::kCorrupt, "approval-statement-malformed",
                    "nothing was signed; see `heddle approval show`");
    t.text("approval", &S::approval, "its id").filled();
    t.text("op_id", &S::op_id, "of the act");
    t.text("action", &S::action, "what is to be done").filled();
    t.text("target", &S::target, "to what");
    t.text("slot", &S::slot, "empty: it is about none");
    t.objects("subjects", &S::subjects, subject, "bundles by their digests");
    t.text("rollback", &S::rollback, "digest of what it can be undone to; empty: none");
    t.value("binds", &S::binds, doc::Shape::kMap, "it holds as long as these are so");
    t.digest("policy", &S::policy, "of the rules it was asked under");
    t.digest("evidence_root", &S::evidence_root, "empty: there is no evidence");
    t.text("requester", &S::requester, "who asked, proven");
    t.text("claimed", &S::claimed, "the name that was given, when it is another");
    t.time("expires", &S::expires, "wall time");
    t.text("nonce", &S::nonce, "");
    t.text("asked_event_time", &S::asked_event_time, "empty: it is not about traffic");
    return t;
  }();
  return schema;
}

std::string statement_text(const Statement& statement) {
  return doc::to_canonical_json(statement_schema().print(statement));
}

Result<Statement> parse_statement(const std::string& text) {
  HEDDLE_ASSIGN_OR_RETURN(auto statement, statement_schema().parse_text(text));
  if (statement_text(statement) != text) {
    return Error{statement_schema().error_kind, statement_schema().error_id,
                 "the statement is not written as what it says", statement_schema().error_hint};
  }
  return statement;
}

}  // namespace heddle::policy
