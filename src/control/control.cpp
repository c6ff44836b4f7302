#include "control/control.hpp"

#include <algorithm>
#include <utility>

#include "base/file.hpp"
#include "base/log.hpp"
#include "control/access.hpp"
#include "control/custody.hpp"
#include "control/definitions.hpp"
#include "control/keys.hpp"
#include "control/operations.hpp"
#include "control/service_locks.hpp"
#include "control/triggers.hpp"

namespace heddle::control {

static constexpr auto kAccessPause =
    std::chrono::seconds(30);  ///< after a full disk: a try costs a segment's work

Control::Control(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Control::~Control() = default;

const Home& Control::home() const noexcept { return core_->home; }

const std::vector<std::string>* Control::permissions_of(std::string_view account) const noexcept {
  for (const auto& each : core_->project.service_accounts) {
    if (each.name == account) return &each.permissions;
  }
  return nullptr;
}

namespace {

/// A verdict and who may approve follow from these files alone.
bool decides(const std::string& file) {
  return file == "heddle.yaml" || file == "people.yaml" || file.starts_with("policies");
}

/// What counts: the applied commit's definitions, before the first apply those of HEAD.
Result<spec::Loaded> definitions_of(const Control::Core& core, Control::Purpose purpose) {
  std::string commit;
  // Before the first apply nothing counts, so nothing is lost by taking HEAD.
  if (core.applied) {
    commit = core.applied->commit;
  } else {
    HEDDLE_ASSIGN_OR_RETURN(commit, core.git->head());
  }
  auto loaded = load_applied(*core.git, core.home.root(), commit);
  const bool refused = !loaded.ok() && loaded.error().id == "applied-invalid";
  if (!refused || purpose != Control::Purpose::kApply) return loaded;
  // A new version of Heddle may refuse what an old one
  // applied: without this nobody could apply the correction.
  HEDDLE_ASSIGN_OR_RETURN(auto partly, spec::load_commit(*core.git, core.home.root(), commit));
  for (const auto& diagnostic : partly.diagnostics) {
    // A rule that cannot be read must not be missing when the next definitions are judged.
    if (core.applied && diagnostic.severity == doc::Severity::kError && decides(diagnostic.file))
      return loaded;
  }
  return partly;
}

}  // namespace

Result<std::unique_ptr<Control>> Control::open(const std::string& root, const Wiring& wiring,
                                               Purpose purpose) {
  auto core = std::make_unique<Core>(root, wiring);
  HEDDLE_TRY(make_dirs(core->home.dir()));
  HEDDLE_TRY(make_dirs(core->home.dir() + "/keys"));
  // Before the state is opened: two processes must never append to one ledger.
  auto lock = FileLock::acquire(core->home.lock());
  if (!lock.ok()) {
    if (lock.error().kind != ErrorKind::kConflict) return lock.error();
    return Error{ErrorKind::kConflict, std::string(kProjectLocked),
                 fmt::format("another process has the project `{}` open", root),
                 "a command runs still, or a control plane is busy: try again when it has ended"};
  }
  core->lock.emplace(std::move(*lock));
  // Room that a stop on a full disk may use, taken while there is some.
  core->reserve.fill();
  HEDDLE_ASSIGN_OR_RETURN(core->state, wiring.open_state(core->home.state()));
  HEDDLE_ASSIGN_OR_RETURN(core->git, wiring.open_git(root));
  HEDDLE_ASSIGN_OR_RETURN(core->applied, applied_of(*core->state));
  // Before any definition is read: a commit that no decision put there must not rule.
  HEDDLE_TRY(check_applied(*core->state, core->applied));
  HEDDLE_ASSIGN_OR_RETURN(auto loaded, definitions_of(*core, purpose));
  const bool whole = !loaded.has_errors();
  core->project = std::move(loaded.project);
  HEDDLE_ASSIGN_OR_RETURN(core->objects, wiring.open_objects(core->home.objects()));
  core->runner = wiring.make_runner(core->home.dir());
  HEDDLE_ASSIGN_OR_RETURN(const auto known, known_of(*core->state));
  HEDDLE_ASSIGN_OR_RETURN(core->control_key, open_control_key(core->home, known.control_key));
  ledger::Ledger::Options options;
  options.directory = core->home.dir() + "/tiles";
  options.project = core->project.name;
  HEDDLE_ASSIGN_OR_RETURN(options.key, open_ledger_key(core->home, known.entries));
  options.clock = wiring.clock;
  options.restores = core->restores = purpose == Purpose::kRestore;
  HEDDLE_ASSIGN_OR_RETURN(core->ledger, ledger::Ledger::open(*core->state, options));
  HEDDLE_TRY(look_after_custody(*core, known, core->restores));
  HEDDLE_ASSIGN_OR_RETURN(core->policy, policy::LocalEngine::open(*core->state, *core->ledger,
                                                                  core->project, *wiring.clock));
  if (core->applied) {
    // After a crash between the decision and this, or with a copied `.heddle`: the other processes
    // learn of it now.
    HEDDLE_TRY(publish_applied(core->home, *core->git, core->control_key, *core->applied));
  }
  // Definitions that this version refuses open no service, and
  // nor does a state that is restored: neither may decide.
  if (!whole || core->restores) return std::unique_ptr<Control>(new Control(std::move(core)));
  core->running = core->project;
  // Whom a Monitor names is told of the service that it watches, and of no other.
  Outbox::Receivers receivers;
  for (const auto& [name, service] : core->running.services)
    receivers[name] = core->running.monitors.at(service.monitor).notifications;
  HEDDLE_ASSIGN_OR_RETURN(core->outbox, Outbox::open(*core->state, std::move(receivers)));
  HEDDLE_ASSIGN_OR_RETURN(const auto program, wiring.program());
  core->parts = {&core->home,        &core->running,
                 core->state.get(),  core->objects.get(),
                 core->git.get(),    core->runner.get(),
                 core->policy.get(), core->outbox.get(),
                 &core->control_key, program,
                 wiring.open_objects};
  HEDDLE_TRY(open_services(*core));
  return std::unique_ptr<Control>(new Control(std::move(core)));
}

Result<void> Control::apply_first() { return control::apply_first(*core_); }

Result<bool> Control::pump() { return pump_services(*core_); }

Result<void> Control::publish_ledger() {
  core_->reserve.fill();  // once a stop on a full disk has used it and there is room again
  HEDDLE_TRY(core_->wall_clock.look(*core_->state, *core_->ledger));
  HEDDLE_ASSIGN_OR_RETURN(const auto size, core_->ledger->size());
  // Most ticks decide nothing; a checkpoint is signed only for new entries.
  if (size == core_->published) return {};
  HEDDLE_TRY(core_->ledger->publish());
  core_->published = size;
  return anchor_when_due(*core_);
}

Result<void> Control::look_at_triggers() {
  auto looked = control::look_at_triggers(*core_);
  // Each second the same would hide what else is logged.
  const std::string failed = looked.ok() ? "" : looked.error().str();
  if (std::exchange(core_->triggers_failed, failed) == failed) return {};
  return looked;
}

Result<void> Control::write_access_logs() {
  const auto now = std::chrono::steady_clock::now();
  Result<void> outcome;
  for (const auto& [name, service] : core_->services) {
    auto& after = core_->access_after[name];
    // A service whose log fails waits alone: the others are written meanwhile.
    if (now < after) continue;
    auto written = write_access_log(*core_, name, *service);
    if (written.ok()) continue;
    after = now + kAccessPause;
    outcome = std::move(written);
  }
  return outcome;
}

std::span<const Operation> Control::operations() noexcept {
  static const std::vector<Operation> table = [] {
    std::vector<Operation> out;
    for (const auto& row : operation_table()) out.push_back(row.operation);
    return out;
  }();
  return table;
}

Result<doc::Value> Control::call(std::string_view operation, const doc::Value& request,
                                 const Caller& caller) {
  for (const auto& row : operation_table()) {
    if (row.operation.name != operation) continue;
    const auto& permission = row.operation.permission;
    const bool held = caller.owner ||
                      std::find(caller.permissions.begin(), caller.permissions.end(), permission) !=
                          caller.permissions.end();
    // The permission is looked at before the request is parsed:
    // a stranger learns nothing of what it would have done.
    if (!held) {
      return Error{ErrorKind::kDenied, "operation-denied",
                   fmt::format("`{}` needs the permission `{}`, which `{}` has not", operation,
                               permission, caller.account)};
    }
    // The first apply may be what waits for an answer.
    const bool is_first_apply = operation == "definition.apply" ||
                                operation == "approval.approve" || operation == "approval.reject" ||
                                operation == "audit.restore";
    // They work on the work tree, or ask again by themselves.
    const bool is_command = operation == "run" || operation == "score";
    const bool applies_nothing = permission == "read" || is_first_apply || is_command;
    return row.handler(*core_, {row.operation.name, request, caller}, [&]() -> Result<void> {
      return applies_nothing ? Result<void>() : apply_first();
    });
  }
  return Error{ErrorKind::kNotFound, "operation-unknown",
               fmt::format("no operation `{}`", operation.substr(0, 100)),
               "the operations are listed in docs/operations.md"};
}

}  // namespace heddle::control
