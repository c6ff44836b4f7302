#include "control/sandboxes.hpp"

#include "control/service_rows.hpp"
#include "control/stored_rows.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

using Core = Control::Core;

std::string key_of(const std::string& service) { return service + "/sandboxes"; }

doc::Value print_workers(const std::vector<plane::SandboxRecord>& workers) {
  return doc::to_list(workers, [](const auto& each) { return worker_schema().print(each); });
}

ledger::Entry entry_of(const std::string& service, const SandboxRow& row) {
  ledger::Entry entry;
  entry.op_id = fmt::format("{}/worker.sandbox/{}", service, row.number);
  entry.actor = "system:data-plane";
  entry.action = "worker.sandbox";
  entry.target = "service/" + service;
  entry.attributes = doc::Value::object({{"workers", print_workers(row.workers)}});
  entry.result = "recorded";
  for (const auto& worker : row.workers) {
    entry.reason += fmt::format(
        "{}the worker of slot `{}` runs in {}", entry.reason.empty() ? "" : "; ", worker.slot,
        worker.missing.empty() ? "the whole sandbox" : "a sandbox without " + worker.missing);
  }
  return entry;
}

/// As it was last written.
Result<SandboxRow> last_of(store::Txn& txn, const std::string& service) {
  HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get("control", key_of(service)));
  if (!row) return SandboxRow{};
  auto last = sandbox_row_schema().parse_text(*row);
  if (!last.ok()) return in_row("control", key_of(service), std::move(last.error()));
  return last;
}

}  // namespace

Result<void> record_sandboxes(Core& core, const std::string& service, ServiceControl& control) {
  const auto told = control.told_sandboxes();
  if (!told.has_value()) return {};
  return core.state->write([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto last, last_of(txn, service));
    // A data plane tells of its workers with every table
    // that it applies: only another sandbox is an entry.
    if (last.workers == *told) return {};
    const SandboxRow row{last.number + 1, *told};
    if (!row.workers.empty()) HEDDLE_TRY(core.ledger->append(txn, entry_of(service, row)));
    return txn.put("control", key_of(service), doc::to_json(sandbox_row_schema().print(row)));
  });
}

Result<std::vector<plane::SandboxRecord>> sandboxes_of(Core& core, const std::string& service) {
  std::vector<plane::SandboxRecord> workers;
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(auto last, last_of(txn, service));
    workers = std::move(last.workers);
    return {};
  }));
  return workers;
}

}  // namespace heddle::control
