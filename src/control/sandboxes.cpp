#include "control/sandboxes.hpp"

#include "doc/json.hpp"

namespace heddle::control {
namespace {

using Core = Control::Core;

std::string key_of(const std::string& service) { return service + "/sandboxes"; }

doc::Value to_value(const std::vector<plane::SandboxRecord>& records) {
  auto workers = doc::Value::array();
  for (const auto& each : records) {
    workers.push(doc::Value::object({{"slot", each.slot},
                                     {"bundle", each.bundle},
                                     {"in_force", each.in_force},
                                     {"missing", each.missing}}));
  }
  return workers;
}

ledger::Entry entry_of(const std::string& service, const doc::Value& workers, std::int64_t number) {
  ledger::Entry entry;
  entry.op_id = fmt::format("{}/worker.sandbox/{}", service, number);
  entry.actor = "system:data-plane";
  entry.action = "worker.sandbox";
  entry.target = "service/" + service;
  entry.attributes = doc::Value::object({{"workers", workers}});
  entry.result = "recorded";
  for (const auto& worker : workers.as_array()) {
    const std::string missing = worker.string_or("missing");
    entry.reason +=
        fmt::format("{}the worker of slot `{}` runs in {}", entry.reason.empty() ? "" : "; ",
                    worker.string_or("slot"),
                    missing.empty() ? "the whole sandbox" : "a sandbox without " + missing);
  }
  return entry;
}

/// {"number", "workers"} as it was last written.
Result<doc::Value> last_of(store::Txn& txn, const std::string& service) {
  HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get("control", key_of(service)));
  if (!row) return doc::Value::object({{"number", 0}, {"workers", doc::Value::array()}});
  return doc::parse_json(*row);
}

}  // namespace

Result<void> record_sandboxes(Core& core, const std::string& service, ServiceControl& control) {
  const auto told = control.told_sandboxes();
  if (!told.has_value()) return {};
  const doc::Value workers = to_value(*told);
  return core.state->write([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const doc::Value last, last_of(txn, service));
    const doc::Value* before = last.find("workers");
    if (before != nullptr && *before == workers) return {};
    const std::int64_t number = last.int_or("number") + 1;
    if (workers.size() > 0)
      HEDDLE_TRY(core.ledger->append(txn, entry_of(service, workers, number)));
    return txn.put("control", key_of(service),
                   doc::to_json(doc::Value::object({{"number", number}, {"workers", workers}})));
  });
}

Result<doc::Value> sandboxes_of(Core& core, const std::string& service) {
  doc::Value workers = doc::Value::array();
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const doc::Value last, last_of(txn, service));
    if (const doc::Value* found = last.find("workers"); found != nullptr) workers = *found;
    return {};
  }));
  return workers;
}

}  // namespace heddle::control
