#include "ledger/entry.hpp"

#include "ledger/entry_schema.hpp"

namespace heddle::ledger {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;
using NamedDigest = std::pair<std::string, Digest>;

constexpr std::int64_t kVersion = 1;

/// A digest that is written as one even where it is empty: what was hashed stays as it is.
template <class T>
void hashed_digest(Schema<T>& t, std::string key, Digest T::* member, std::string about) {
  t.custom(
      std::move(key), Shape::kDigest, std::move(about),
      [member](T& into, const Value& value, Reader& reader) {
        auto digest = Digest::parse(value.as_string());
        if (digest.ok()) {
          into.*member = *digest;
        } else {
          reader.refuse("", "must be a digest");
        }
      },
      [member](const T& from) -> std::optional<Value> { return Value((from.*member).str()); });
}

const Schema<NamedDigest>& named_schema() {
  static const auto schema = [] {
    auto t = Schema<NamedDigest>::record("the named digest", "a digest with its name");
    t.text("name", &NamedDigest::first, "what it is of");
    hashed_digest(t, "digest", &NamedDigest::second, "its digest");
    return t;
  }();
  return schema;
}

const Schema<Entry>& actor_schema() {
  static const auto schema = [] {
    auto t = Schema<Entry>::record("the actor", "who acts");
    t.text("type", &Entry::actor_type, "what it is").one_of({"person", "agent", "system"});
    t.text("id", &Entry::actor, "a name of people.yaml, `agent:NAME`, `system:NAME`");
    return t;
  }();
  return schema;
}

const Schema<Entry>& policy_schema() {
  static const auto schema = [] {
    auto t = Schema<Entry>::record("the policy", "what policy said");
    hashed_digest(t, "digest", &Entry::policy, "of the rules");
    t.text("decision", &Entry::decision, "`allow`, `deny` or `require_approval`").filled();
    t.texts("rules", &Entry::rules, "every rule that matched, the deciding ones first");
    return t;
  }();
  return schema;
}

}  // namespace

const Schema<Entry>& entry_schema() {
  static const auto schema = [] {
    auto t = Schema<Entry>::record("the ledger entry", "who did what to what, and why");
    t.refused_as(ErrorKind::kCorrupt, "ledger-entry-malformed", "run `heddle audit verify`");
    t.custom(
        "v", Shape::kInteger, "1",
        [](Entry&, const Value& value, Reader& reader) {
          if (value.as_int() != kVersion) reader.refuse("", fmt::format("must be {}", kVersion));
        },
        [](const Entry&) -> std::optional<Value> { return Value(kVersion); });
    t.integer("seq", &Entry::seq, "its number, from 0");
    t.time("t", &Entry::t,
           "wall time, `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`; never earlier than the entry before");
    t.text("op_id", &Entry::op_id, "which act: the same one is applied once").optional();
    t.within("actor", actor_schema(), "who acted");
    t.text("action", &Entry::action, "for example `slot.swap`").optional();
    t.text("target", &Entry::target, "for example `service/delay`").optional();
    t.objects("subjects", &Entry::subjects, named_schema(), "bundles, definitions").optional();
    t.custom(
         "policy", Shape::kObject, "of a decision: what policy said",
         [](Entry& into, const Value& value, Reader& reader) {
           reader.read(policy_schema(), value, &into);
         },
         [](const Entry& from) -> std::optional<Value> {
           if (from.decision.empty()) return std::nullopt;
           return policy_schema().print(from);
         })
        .optional();
    t.keys.back().object = &policy_schema();
    t.custom(
         "attributes", Shape::kMap,
         "what `when` could see; texts over 512 bytes by their digest. Beside them who asked: "
         "`proof` (`os-user:NAME`, `sudo:NAME`, `signature`, `token:ACCOUNT`), `claimed` (a name "
         "without a proof), `request_statement` and `request_signature`",
         [](Entry& into, const Value& value, Reader&) { into.attributes = value; },
         [](const Entry& from) -> std::optional<Value> {
           if (from.attributes.size() == 0) return std::nullopt;
           return from.attributes;
         })
        .optional();
    t.objects("evidence", &Entry::evidence, named_schema(), "what it rests on").optional();
    t.text("approval", &Entry::approval, "id of the approval it asked for or used").optional();
    t.text("result", &Entry::result,
           "`applied`, `denied`, `requested`, `approved`, `one-of-several`, `rejected`, `void`, "
           "`expired`, `done`, `recorded`")
        .optional();
    t.text("reason", &Entry::reason, "one sentence for people").optional();
    t.text("incident", &Entry::incident, "its incident").optional();
    t.time("event_time", &Entry::event_time, "of the traffic it is about").optional();
    return t;
  }();
  return schema;
}

Result<std::string> to_json(const Entry& entry) {
  auto json = doc::to_json(entry_schema().print(entry));
  if (json.size() > kMaxEntryBytes) {
    return Error{ErrorKind::kTooLarge, "ledger-entry-too-large",
                 fmt::format("an entry of {} bytes for `{}`; the limit is {}", json.size(),
                             entry.action, kMaxEntryBytes),
                 "put what is large into the objects and name it by digest as evidence"};
  }
  return json;
}

Result<Entry> parse_entry(std::string_view json) { return entry_schema().parse_text(json); }

}  // namespace heddle::ledger
