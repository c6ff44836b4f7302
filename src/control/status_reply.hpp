#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/operations.hpp"
#include "control/show_replies.hpp"
#include "control/watch_reply.hpp"
#include "doc/schema.hpp"
#include "plane/journal.hpp"

namespace heddle::control {

/// Why nothing of a service is decided.
struct LockedItem {
  std::string id{};
  std::string error{};
  std::string hint{};
};

/// TLS files of a data plane.
struct TlsItem {
  std::string certificate{};  ///< digest; empty: none
  std::string client_ca{};
  std::string since{};
  std::uint64_t entry = 0;
};

struct ServiceItem {
  std::string name{};
  std::string state{};
  std::optional<LockedItem> locked{};  ///< then it has no more than its autonomy besides
  /// What was decided and is watched; none of a locked one.
  struct Decided {
    std::string primary{};
    std::string standby{};
    std::string canary{};
    std::uint32_t weight = 0;
    std::string shadow{};
    std::uint64_t route = 0;
    std::uint64_t applied = 0;
    std::string watermark{};
    std::optional<ClockJump> clock_jump{};
    WatchReply watch{};
    std::vector<plane::SandboxRecord> sandboxes{};
    std::optional<TlsItem> tls{};
  };
  std::optional<Decided> decided{};
  std::string autonomy{};
};

/// A source whose rows are refused, as a status has it.
struct ShutOutItem {
  std::string service{};
  std::string source{};
  std::string account{};
  std::string rule{};
  std::string by{};
  std::string reason{};
  std::string line{};
};

/// A trigger of heddle.yaml, as a status has it.
struct TriggerItem {
  std::string name{};
  std::string model{};
  std::string state{};       ///< `idle`, `waits for approval`, `runs`
  std::string started_at{};  ///< empty: never
  std::string reason{};
  std::string approval{};
  std::string ended_at{};
  std::string outcome{};
  std::string candidate{};
  std::string line{};
};

struct StatusReply {
  std::string project{};
  std::string applied{};  ///< commit
  std::vector<ServiceItem> services{};
  std::vector<ShutOutItem> quarantined{};
  std::vector<IncidentReply> incidents{};
  std::vector<ApprovalReply> approvals{};
  std::vector<TriggerItem> triggers{};
  std::vector<NextItem> next{};
  [[nodiscard]] static const doc::Schema<StatusReply>& schema();
};

/// What there is to know of the project, and what to do next.
[[nodiscard]] Result<StatusReply> status_of(Control::Core& core);
/// What ends a quarantine that does not end by itself.
[[nodiscard]] NextItem how_to_let_in(const std::string& service,
                                     const plane::QuarantinedSource& source);

}  // namespace heddle::control
