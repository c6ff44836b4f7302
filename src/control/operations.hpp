#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/disk_reserve.hpp"
#include "base/file.hpp"
#include "control/applied.hpp"
#include "control/control.hpp"
#include "control/outbox.hpp"
#include "control/refused_listing.hpp"
#include "control/requests.hpp"
#include "control/service_control.hpp"
#include "control/wall_clock.hpp"
#include "control/working.hpp"
#include "ledger/ledger.hpp"
#include "policy/engine.hpp"
#include "spec/load.hpp"

namespace heddle::control {

/// Why nothing of a service is decided (control/service_locks.hpp).
struct LockedService {
  Error why{};
  std::chrono::milliseconds pause{0};             ///< the last one
  std::chrono::steady_clock::time_point again{};  ///< it is opened again then
};

/// Everything the control plane has open, in the order in which it is closed again. Private to this
/// module.
struct Control::Core {
  Core(std::string root, Wiring given)
      : home(std::move(root)), wiring(std::move(given)), wall_clock(*wiring.clock) {}

  Home home;
  Wiring wiring;
  std::optional<FileLock> lock;
  spec::Project project;  ///< what was applied; before the first apply what HEAD holds
  /// What the services were opened with, for as long as they are open: policy and people follow
  /// what is applied, services and monitors do when the planes start again.
  spec::Project running;
  std::optional<Applied> applied;  ///< nullopt before the first apply
  /// Room for a stop on a full disk: a few pages of the state, and a route table.
  DiskReserve reserve{home.reserve(), 1 << 20};
  std::unique_ptr<store::State> state;
  std::unique_ptr<store::Objects> objects;
  std::unique_ptr<store::Git> git;
  std::unique_ptr<jobs::Runner> runner;
  Ed25519Key control_key;
  std::unique_ptr<ledger::Ledger> ledger;
  std::unique_ptr<policy::LocalEngine> policy;
  std::unique_ptr<Outbox> outbox;
  Working working{home, wiring.executable};
  ServiceParts parts;  ///< what each service stands on
  std::map<std::string, std::unique_ptr<ServiceControl>> services;
  /// Services that failed. One that is in `services` too was opened again and has not yet read past
  /// what it failed at.
  std::map<std::string, LockedService> locked;
  RefusedListing refused;  ///< rows that somebody asks for
  WallClock wall_clock;
  /// Whether there may be rows of triggers: of those that are defined, or were.
  bool had_triggers = true;
  std::string triggers_failed{};  ///< what was logged last of looking at them
  std::uint64_t published = 0;    ///< entries of the last published checkpoint
  bool restores = false;          ///< opened for `audit.restore`: nothing was held against git
  std::uint64_t anchor_seen = 0;  ///< entries that are anchored, or need not be; 0: never was
  std::string anchor_failed{};    ///< id of the error that was logged
  std::chrono::steady_clock::time_point
      anchor_after{};  ///< nothing is written to git before, as the last try failed
  /// By service: no access log is written before, as the last try failed.
  std::map<std::string, std::chrono::steady_clock::time_point> access_after;

  /// kNotFound names the services there are; kUnavailable `service-locked`.
  [[nodiscard]] Result<ServiceControl*> service(const std::string& name);
};

/// `begin` is called once the request was read, before anything is done.
struct OperationRow {
  Operation operation;
  std::function<Result<doc::Value>(Control::Core&, const Call&,
                                   const std::function<Result<void>()>& begin)>
      handler;
};

/// The account of the machine that this process runs as: no person.
[[nodiscard]] policy::Actor system_user();

/// The one table of operations.
[[nodiscard]] const std::vector<OperationRow>& operation_table();

}  // namespace heddle::control
