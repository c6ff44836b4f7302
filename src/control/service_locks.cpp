#include "control/service_locks.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "control/access.hpp"
#include "control/certificates.hpp"
#include "control/sandboxes.hpp"
#include "control/service_rows.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

using Core = Control::Core;
using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{500};
constexpr milliseconds kLongestPause{30'000};

std::string key_of(const std::string& service) { return service + "/locked"; }

/// The lock that the ledger says; a row that cannot be read is none: the entry is made anew.
Result<std::optional<LockRow>> recorded_lock(store::Txn& txn, const std::string& service) {
  HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get("control", key_of(service)));
  if (!row) return std::optional<LockRow>();
  auto lock = lock_row_schema().parse_text(*row);
  return lock.ok() ? std::optional(*std::move(lock)) : std::optional(LockRow{});
}

ledger::Entry entry_of(const std::string& service, const char* action, std::uint64_t number,
                       std::string reason) {
  ledger::Entry entry;
  entry.op_id = fmt::format("{}/{}/{}", service, action, number);
  entry.actor = "system:control";
  entry.action = action;
  entry.target = "service/" + service;
  entry.result = "recorded";
  entry.reason = std::move(reason);
  return entry;
}

/// The entry, and who is told, once for the same reason.
Result<void> record_lock(Core& core, const std::string& service, const Error& why) {
  HEDDLE_TRY(core.state->write([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto known, recorded_lock(txn, service));
    if (known && known->id == why.id && known->error == why.message) return {};
    HEDDLE_ASSIGN_OR_RETURN(const auto size, txn.log_size());
    auto entry = entry_of(service, "service.lock", size, why.message);
    entry.attributes = doc::Value::object({{"id", why.id}});
    HEDDLE_ASSIGN_OR_RETURN(const auto number, core.ledger->append(txn, std::move(entry)));
    HEDDLE_TRY(
        core.outbox->put(txn, fmt::format("lock/{}/{}", service, number),
                         doc::Value::object({{"kind", "service-locked"},
                                             {"service", service},
                                             {"text", "nothing of it is decided: " + why.message},
                                             {"next", "heddle status"}})));
    return txn.put("control", key_of(service),
                   doc::to_json(lock_row_schema().print({why.id, why.message, number})));
  }));
  core.outbox->wake();
  return {};
}

/// It has read on past what it failed at.
Result<void> unlock(Core& core, const std::string& service) {
  if (!core.locked.contains(service)) return {};
  HEDDLE_TRY(core.state->write([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto known, recorded_lock(txn, service));
    if (!known) return {};
    HEDDLE_ASSIGN_OR_RETURN(const auto size, txn.log_size());
    HEDDLE_TRY(core.ledger->append(
        txn, entry_of(service, "service.unlock", size,
                      fmt::format("what entry {} says is over", known->entry))));
    return txn.erase("control", key_of(service));
  }));
  log::info("service `{}` is no longer locked", service);
  core.locked.erase(service);
  return {};
}

/// A crash between a person's yes and the act it allows, or a lock: the yes stands, so the act is
/// carried out now.
Result<void> carry_out_approved(Core& core, ServiceControl& service) {
  if (!core.applied) return {};
  HEDDLE_ASSIGN_OR_RETURN(const auto approvals, core.policy->open_approvals());
  for (const auto& approval : approvals) {
    if (approval.status != policy::Approval::Status::kApproved) continue;
    const auto resumed = service.resume_promotion(approval.id);
    if (!resumed.ok())
      log::error("`{}` is approved and cannot be carried out: {}", approval.id,
                 resumed.error().message);
  }
  return {};
}

Result<void> open_one(Core& core, const spec::Service& service) {
  const std::string& name = service.identity.name;
  HEDDLE_ASSIGN_OR_RETURN(auto control, ServiceControl::open(core.parts, service));
  if (!control->journal_lost().empty()) {
    log::error("service `{}`: its journal: {}", name, control->journal_lost());
    HEDDLE_TRY(core.ledger->record_missing("journal", "service/" + name));
    HEDDLE_TRY(control->save_place());
  }
  // What was applied and not published, after a crash between the two.
  if (core.applied) HEDDLE_TRY(control->take_policies(core.project, core.applied->entry));
  HEDDLE_TRY(look_for_lost_journal(core, service));
  HEDDLE_TRY(carry_out_approved(core, *control));
  core.services[name] = std::move(control);
  return {};
}

Result<bool> pump_one(Core& core, const std::string& name, ServiceControl& service) {
  HEDDLE_ASSIGN_OR_RETURN(const bool more, service.pump());
  HEDDLE_TRY(record_sandboxes(core, name, service));
  HEDDLE_TRY(record_certificates(core, name, service));
  return more;
}

/// Notes that it is locked and when it is tried again: later each time.
Result<void> note_lock(Core& core, const std::string& name, const Error& why) {
  HEDDLE_TRY(record_lock(core, name, why));
  auto& lock = core.locked[name];
  // Doubled each time: what stays damaged is not tried twice a second.
  lock.pause =
      lock.pause == milliseconds{0} ? kFirstPause : std::min(2 * lock.pause, kLongestPause);
  lock.again = std::chrono::steady_clock::now() + lock.pause;
  lock.why = why;
  log::error("service `{}` is locked and tried again in {} ms, the others go on: {}", name,
             lock.pause.count(), why.str());
  return {};
}

}  // namespace

Result<void> open_services(Core& core) {
  std::vector<std::pair<std::string, Error>> failed;
  for (const auto& [name, service] : core.running.services) {
    // It may fail again where it failed before, and only reading on shows that it does not.
    bool was_locked = false;
    HEDDLE_TRY(core.state->read([&](store::Txn& txn) -> Result<void> {
      HEDDLE_ASSIGN_OR_RETURN(const auto known, recorded_lock(txn, name));
      was_locked = known.has_value();
      return {};
    }));
    if (was_locked) core.locked[name] = {};
    if (auto opened = open_one(core, service); !opened.ok())
      failed.emplace_back(name, opened.error());
  }
  // One that is locked beside others that run is told by those; alone, nothing is left to tell it.
  if (core.services.empty() && !failed.empty()) return failed.front().second;
  for (const auto& [name, why] : failed) HEDDLE_TRY(note_lock(core, name, why));
  return {};
}

Result<bool> pump_services(Core& core) {
  // A service that waits for work or for traffic touches the state at some later time, and every
  // operation fails until then: this process is of no use to anybody, one that opens the state
  // again is.
  HEDDLE_TRY(core.state->usable());
  const auto now = std::chrono::steady_clock::now();
  std::vector<std::pair<std::string, Error>> failed;
  for (const auto& [name, lock] : core.locked) {
    if (core.services.contains(name) || now < lock.again) continue;
    if (auto opened = open_one(core, core.running.services.at(name)); !opened.ok())
      failed.emplace_back(name, opened.error());
  }
  bool more = false;
  for (const auto& [name, service] : core.services) {
    auto pumped = pump_one(core, name, *service);
    if (!pumped.ok()) {
      failed.emplace_back(name, pumped.error());
      continue;
    }
    more = more || *pumped;
    if (!*pumped) HEDDLE_TRY(unlock(core, name));
  }
  // After the loop: a lock takes the service out of the map that the loop goes over.
  for (const auto& [name, why] : failed) HEDDLE_TRY(lock_service(core, name, why));
  return more;
}

Result<void> lock_service(Core& core, const std::string& name, const Error& why) {
  if (const auto open = core.services.find(name); open != core.services.end()) {
    open->second->end_work();
    core.services.erase(open);
  }
  if (core.services.empty()) return why;
  return note_lock(core, name, why);
}

std::optional<Error> lock_of(const Core& core, const std::string& name) {
  const auto lock = core.locked.find(name);
  if (lock == core.locked.end() || core.services.contains(name)) return std::nullopt;
  const Error& why = lock->second.why;
  return Error{ErrorKind::kUnavailable, "service-locked",
               fmt::format("nothing of `{}` is decided: {}", name, why.message),
               why.hint.empty() ? "it is tried again by itself; `heddle status` says how it stands"
                                : why.hint + "; then it goes on by itself"};
}

}  // namespace heddle::control
