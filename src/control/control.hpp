#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "control/home.hpp"
#include "control/wiring.hpp"
#include "doc/schema_reader.hpp"
#include "doc/value.hpp"

namespace heddle::control {

/// Of a call over the project's own socket: who became root by `sudo` to make it. Taken from root
/// alone.
inline constexpr std::string_view kSudoHeader = "heddle-sudo-user";

/// Id of the error of `Control::open` when another process has the project open.
inline constexpr std::string_view kProjectLocked = "project-locked";

/// Who calls an operation. Over the project's own socket (0600) that is the owner of the machine's
/// account, or root; over TCP the service account whose token was given. people.yaml may say which
/// person an account of the system is (control/requester.hpp); a person's yes is a signature
/// (DESIGN 4, People).
struct Caller {
  std::string account;
  bool owner = false;
  std::vector<std::string> permissions{};
  std::string os_user{};    ///< of the owner: the account's name, its number where it has none
  std::string sudo_user{};  ///< who became root by `sudo` to call; empty: nobody did
  /// The caller has this process to itself: an operation does its work before it answers. Where
  /// others are served too, long work goes to a process of its own, and the reply says `comparing`
  /// until it has ended.
  bool waits = true;
};

/// One row of the table of operations: every surface (CLI, HTTP, later MCP) calls these and nothing
/// else.
struct Operation {
  std::string_view name;
  std::string_view permission;  ///< of spec/permissions.hpp; `owner`: only over the socket
  std::string_view summary;
  const doc::ObjectSchema* request = nullptr;  ///< what it is asked with
  const doc::ObjectSchema* reply = nullptr;    ///< what it answers; null: the page alone says it
};

/// The control plane of one project: it has the state open, reads the data plane's journal, decides
/// at ticks, and answers operations. One thread at a time may call it; `open` takes `.heddle/lock`
/// and holds it until destruction.
class Control {
 public:
  /// What the project is opened for. To apply other definitions has to be possible also when this
  /// version refuses those that were applied: then no service is opened, and policy and people
  /// still judge it. To restore: what was put back is older than what was signed, and a person says
  /// that it counts; no service is opened.
  enum class Purpose { kOperate, kApply, kRestore };

  /// What counts are the definitions that were applied, read from git; the work tree is not looked
  /// at. kConflict
  /// (`project-locked`) when another process has the project open, kNotFound (`git-not-found`)
  /// outside a repository, the errors of `load_applied` otherwise.
  [[nodiscard]] static Result<std::unique_ptr<Control>> open(const std::string& root,
                                                             const Wiring& wiring,
                                                             Purpose purpose = Purpose::kOperate);
  ~Control();

  [[nodiscard]] static std::span<const Operation> operations() noexcept;

  /// Applies the commit of HEAD when nothing was applied yet (control/definitions.hpp); a control
  /// plane calls it first. Without it, the first operation that changes something does.
  [[nodiscard]] Result<void> apply_first();

  /// Runs one operation. kNotFound for an unknown name, kDenied without its permission, else what
  /// the operation says.
  [[nodiscard]] Result<doc::Value> call(std::string_view operation, const doc::Value& request,
                                        const Caller& caller);

  /// Counters and gauges of every service's watch and of what waits for people, as Prometheus text
  /// (docs/telemetry.md).
  [[nodiscard]] Result<std::string> metrics();

  /// Reads what the journal holds, decides at each tick, publishes the watermark. Returns true when
  /// it may be called again at once, false when there is nothing to do yet (no record, a job not
  /// finished, a route not applied).
  [[nodiscard]] Result<bool> pump();

  /// Signs and writes the ledger's checkpoint when entries came since the last one. Call it about
  /// once a second.
  [[nodiscard]] Result<void> publish_ledger();

  /// Turns what the data planes journaled into access logs (control/access.hpp). Call it about once
  /// a second.
  [[nodiscard]] Result<void> write_access_logs();

  /// Starts the runs that triggers of heddle.yaml ask for, and hears how they end. Call it about
  /// once a second; an error is returned once, until it is another.
  [[nodiscard]] Result<void> look_at_triggers();

  [[nodiscard]] const Home& home() const noexcept;

  /// What a service account may do by the definitions that are applied now; null: it is none.
  [[nodiscard]] const std::vector<std::string>* permissions_of(
      std::string_view account) const noexcept;

  struct Core;  ///< what is open; defined for this module's own files in control/operations.hpp

 private:
  explicit Control(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace heddle::control
