#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "plane/route.hpp"

namespace heddle::release {

/// What is known of a bundle. It may be put into a slot only when both hold.
struct Standing {
  bool approved = false;   ///< a person's approval, or a policy rule that names the exception
  bool ready = false;      ///< its objects are here, its parity check passed
  std::string approval{};  ///< id of the approval or the ledger entry
  bool operator==(const Standing&) const = default;
};

/// The releases of one service as a value: which bundle is in which slot, where a rollback goes, which sources are
/// quarantined. A pure state machine: every command checks, changes the value and raises `version`, or fails and changes
/// nothing. The only maker of route tables. Persisted by the control plane inside the transaction of the decision.
///
/// It always holds: what is in a slot, and the rollback target, is approved and ready; the rollback target is known from the
/// second release on, and is not the primary.
class Releases {
 public:
  explicit Releases(std::string service) : service_(std::move(service)) {}

  void mark_ready(const Digest& bundle) { bundles_[bundle].ready = true; }
  void approve(const Digest& bundle, std::string approval);
  /// kConflict while the bundle is in a slot or is the rollback target.
  [[nodiscard]] Result<void> revoke(const Digest& bundle);

  /// The bundle becomes primary; the primary before it becomes the rollback target. kDenied unless approved, kUnavailable
  /// unless ready, kConflict when it is primary already.
  [[nodiscard]] Result<void> promote(const Digest& bundle);
  /// The bundle becomes standby; an empty digest takes the standby away.
  [[nodiscard]] Result<void> set_standby(const Digest& bundle);
  /// Primary and standby change places; the old primary is the rollback target.
  [[nodiscard]] Result<void> swap();
  /// Back to the rollback target; what was primary becomes the target, so that a rollback can be undone.
  [[nodiscard]] Result<void> rollback();
  /// A bundle made from the one in `slot` takes its place: the same model, recalibrated or behind a repaired input. The
  /// primary before it becomes the rollback target.
  [[nodiscard]] Result<void> replace(std::string_view slot, const Digest& variant);

  [[nodiscard]] Result<void> quarantine(plane::QuarantinedSource source);   ///< kConflict when it is already
  [[nodiscard]] Result<void> readmit(const std::string& source);            ///< kNotFound when it is not
  void allow_fail_over(bool allowed);
  /// The data plane failed over by itself: its act is acknowledged, standby and primary change places here too.
  [[nodiscard]] Result<void> acknowledge_fail_over(const std::string& act);
  void acknowledge(const std::string& act);
  void stop();
  void resume();

  [[nodiscard]] const Digest& primary() const noexcept { return primary_; }
  [[nodiscard]] const Digest& standby() const noexcept { return standby_; }
  [[nodiscard]] const Digest& rollback_target() const noexcept { return rollback_; }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }
  [[nodiscard]] const std::vector<plane::QuarantinedSource>& quarantined() const noexcept { return quarantined_; }
  [[nodiscard]] Standing standing(const Digest& bundle) const;

  /// The route table of this state; `decision` names the ledger entry that made it.
  [[nodiscard]] plane::RouteTable route(std::string decision) const;

  [[nodiscard]] doc::Value to_value() const;
  [[nodiscard]] static Result<Releases> from_value(const doc::Value& value);
  [[nodiscard]] bool operator==(const Releases& other) const { return to_value() == other.to_value(); }

 private:
  [[nodiscard]] Result<void> servable(const Digest& bundle) const;
  void changed() { ++version_; }

  std::string service_;
  std::uint64_t version_ = 0;
  Digest primary_{};
  Digest standby_{};
  Digest rollback_{};
  bool fail_over_allowed_ = false;
  bool stopped_ = false;
  std::vector<plane::QuarantinedSource> quarantined_;
  std::vector<std::string> acknowledged_;
  std::map<Digest, Standing> bundles_;
};

}  // namespace heddle::release
