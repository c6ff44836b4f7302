#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "policy/act.hpp"
#include "spec/project.hpp"

namespace heddle::policy {

/// What a `require_approval` rule asks for.
struct Need {
  std::string rule;
  int approvals = 1;
  std::string role{};  ///< empty: any person
  Micros within = 0;   ///< wall time until the request expires
  bool operator==(const Need&) const = default;
};

struct Verdict {
  Effect effect = Effect::kDeny;
  std::vector<std::string>
      rules{};  ///< every matching rule, the deciding ones first; `default-deny` when none matched
  std::vector<Need> needs{};  ///< kRequireApproval
  std::string reason{};       ///< of a denial: which rule and why, one sentence
};

/// Applied decisions of an action (a glob) about the proposal's service in the ledger's state,
/// within `window` before the proposal's time; 0: ever.
using CountFn = std::function<std::int64_t(std::string_view action, Micros window)>;

/// Every rule of a project: its policies' own and those generated from its services' autonomy. deny
/// > require_approval > allow, and what no rule names is denied. A `when` that is null or cannot be
/// evaluated never allows: in an allow rule it does not match, in the others it denies. `when` sees
/// `attributes.NAME` (the proposal's), `actor.id`, `actor.type`, `action`, `target` and
/// `ledger.count(action, window)`. Immutable and thread-safe.
class Rulebook {
 public:
  [[nodiscard]] static Result<Rulebook> compile(const spec::Project& project);
  [[nodiscard]] Verdict evaluate(const Proposal& proposal, const CountFn& count) const;

  [[nodiscard]] const Digest& digest() const noexcept;  ///< of all that can change a verdict
  /// Those that count for an act about `service`; empty: about none.
  [[nodiscard]] std::vector<spec::Budget> budgets(std::string_view service) const;
  [[nodiscard]] const spec::Person* person(std::string_view name) const noexcept;
  [[nodiscard]] bool is_service_account(std::string_view name) const noexcept;

  Rulebook(Rulebook&&) noexcept;
  ~Rulebook();

 private:
  struct Impl;
  explicit Rulebook(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// `*` stands for any run of characters.
[[nodiscard]] bool glob_match(std::string_view pattern, std::string_view text) noexcept;
/// The service a proposal is about: `service/NAME...` in its target, else its attribute `service`;
/// empty: none.
[[nodiscard]] std::string service_of(const Proposal& proposal);
/// Actions that only record what was seen (`incident.*`, `postmortem.*`, ...): agents may do them
/// at every autonomy.
[[nodiscard]] bool is_record_action(std::string_view action) noexcept;

}  // namespace heddle::policy
