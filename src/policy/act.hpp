#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "store/store.hpp"

namespace heddle::policy {

enum class ActorType { kPerson, kAgent, kSystem };

/// `person`, `agent` or `system`: as rules and the ledger spell it.
[[nodiscard]] constexpr std::string_view type_word(ActorType type) noexcept {
  switch (type) {
    case ActorType::kPerson: return "person";
    case ActorType::kAgent: return "agent";
    default: return "system";
  }
}

/// How it is known who asked, for the record. A person is one only with a proof: see
/// control/requester.hpp.
struct Proof {
  std::string how{};  ///< `os-user:NAME`, `signature`, `token:ACCOUNT`; empty for parts of Heddle
  std::string claimed{};    ///< a name that was given without a proof of its own
  std::string statement{};  ///< `signature`: what was signed
  std::string signature{};
};

struct Actor {
  ActorType type = ActorType::kSystem;
  std::string id;  ///< a name of people.yaml, `agent:recover`, `system:flow`
  Proof proof{};
};

struct Named {
  std::string name;
  Digest digest;
  bool operator==(const Named&) const = default;
};

/// A typed action with its evidence (DESIGN 9). `op_id` names this very act: the same one is
/// applied once, however often it is proposed, also after a crash.
struct Proposal {
  std::string op_id;
  std::string action;  ///< `release.promote`, `slot.swap`, `source.quarantine`, `run.start`, ...
  std::string target;  ///< `service/flights-delay`, `source/carrier-3`
  Actor actor;
  std::vector<Named> subjects{};  ///< what it is about: bundles, definitions
  std::vector<Named> evidence{};
  doc::Value attributes{};  ///< object of scalars: what `when` can see as `attributes.NAME`
  Micros event_time = 0;    ///< 0: not about traffic
  std::string reason;       ///< one sentence for people
  std::string incident{};   ///< id, or empty
  /// Object of texts: the facts it is asked against (`primary`, `rollback`) and its terms
  /// (`weight`). They stand in the statement that a person signs; the approval is void as soon as
  /// one of them is another.
  doc::Value binds{};
  /// Set: carry out what this approval allows, or nothing. Nobody is asked anew.
  std::string approval{};
};

enum class Effect { kAllow, kDeny, kRequireApproval };

/// What became of a proposal.
struct Decision {
  Effect effect = Effect::kDeny;
  std::vector<std::string> rules;  ///< every matching rule id, the deciding one first
  bool applied = false;            ///< the change is committed
  bool repeated = false;           ///< it had been applied before: nothing was done now
  std::uint64_t entry = 0;         ///< ledger entry that records it
  std::string approval{};          ///< id of the approval it waits for or used
  std::string reason{};            ///< of a denial, one sentence
};

/// The only way state changes: inside one writer transaction it re-evaluates policy, budgets and
/// the stop flag, appends the decision, calls `apply`, commits. A denial is recorded too. With
/// `kRequireApproval` it records the request for approval once and returns `applied = false`;
/// propose the same `op_id` again after the approval to apply it. `possible` is called before
/// anybody is asked: its error ends the act, so that no approval is asked for what could not be
/// done. `beside` is called at the end of the transaction, whatever was decided, unless the act was
/// applied before: what belongs to a question or a denial and must not be lost in a crash after it.
/// Thread-safe.
class Engine {
 public:
  using Beside = std::function<Result<void>(store::Txn&, const Decision&)>;

  virtual ~Engine() = default;
  [[nodiscard]] virtual Result<Decision> act(const Proposal& proposal,
                                             const std::function<Result<void>(store::Txn&)>& apply,
                                             const std::function<Result<void>()>& possible = {},
                                             const Beside& beside = {}) = 0;
};

}  // namespace heddle::policy
