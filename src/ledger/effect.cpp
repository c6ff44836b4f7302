#include "ledger/effect.hpp"

#include "doc/json.hpp"

namespace heddle::ledger {
namespace {

constexpr std::string_view kOpen = "effects.open";
constexpr std::string_view kSettled = "effects.settled";

}  // namespace

Result<void> intend(Ledger& ledger, store::Txn& txn, const std::string& op_id,
                    const std::string& kind, const doc::Value& detail) {
  for (const auto collection : {kOpen, kSettled}) {
    HEDDLE_ASSIGN_OR_RETURN(const auto known, txn.get(collection, op_id));
    if (known) return {};
  }
  Entry entry;
  entry.op_id = op_id;
  entry.actor = "system:effects";
  entry.action = "effect.intent";
  entry.target = kind;
  entry.result = "intent";
  HEDDLE_ASSIGN_OR_RETURN(const auto number, ledger.append(txn, entry));
  return txn.put(
      kOpen, op_id,
      doc::to_json(doc::Value::object({{"kind", kind}, {"detail", detail}, {"entry", number}})));
}

Result<void> settle(Ledger& ledger, store::State& state, const std::string& op_id, bool ok,
                    const std::string& reason) {
  return state.write([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto text, txn.get(kOpen, op_id));
    if (!text) {
      HEDDLE_ASSIGN_OR_RETURN(const auto settled, txn.get(kSettled, op_id));
      if (settled) return {};
      return Error{ErrorKind::kNotFound, "effect-unknown",
                   fmt::format("no effect `{}` was intended", op_id)};
    }
    HEDDLE_ASSIGN_OR_RETURN(const auto value, doc::parse_json(*text));
    Entry entry;
    entry.op_id = op_id;
    entry.actor = "system:effects";
    entry.action = "effect.outcome";
    entry.target = value.string_or("kind");
    entry.attributes = doc::Value::object({{"intent", value.int_or("entry")}});
    entry.result = ok ? "done" : "failed";
    entry.reason = reason;
    HEDDLE_ASSIGN_OR_RETURN(const auto number, ledger.append(txn, entry));
    HEDDLE_TRY(txn.erase(kOpen, op_id));
    return txn.put(kSettled, op_id, std::to_string(number));
  });
}

Result<std::vector<Intent>> dangling(store::State& state) {
  std::vector<Intent> intents;
  Result<void> parsed;
  HEDDLE_TRY(state.read([&](store::Txn& txn) {
    return txn.scan(kOpen, "", [&](std::string_view key, std::string_view text) {
      const auto value = doc::parse_json(text);
      if (!value) {
        parsed = value.error();
        return false;
      }
      Intent intent{std::string(key),
                    value->string_or("kind"),
                    {},
                    static_cast<std::uint64_t>(value->int_or("entry"))};
      if (const auto* detail = value->find("detail"); detail != nullptr) intent.detail = *detail;
      intents.push_back(std::move(intent));
      return true;
    });
  }));
  HEDDLE_TRY(std::move(parsed));
  return intents;
}

}  // namespace heddle::ledger
