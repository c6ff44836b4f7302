#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "base/signature.hpp"
#include "control/home.hpp"
#include "release/release.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// The releases of a service: what the state has of them, with every route there was, and the
/// signed route table that the data plane reads. Who changes them stores the new ones in the
/// transaction of the decision, takes them once it is committed, and publishes. Confined to the
/// control thread.
class PublishedReleases {
 public:
  PublishedReleases(const Home& home, store::State& state, const Ed25519Key& key,
                    std::string service)
      : home_(home), state_(state), key_(key), service_(service), now_(std::move(service)) {}

  [[nodiscard]] const release::Releases& now() const noexcept { return now_; }

  [[nodiscard]] Result<void> restore(store::Txn& txn);
  /// Version and primary of every route there was that had one, in order.
  [[nodiscard]] Result<std::vector<std::pair<std::uint64_t, Digest>>> primaries(
      store::Txn& txn) const;

  /// `next` and the route that it is; `decision`: the entry that made it.
  [[nodiscard]] Result<void> store(store::Txn& txn, const release::Releases& next,
                                   std::string_view action, Micros event_time,
                                   const std::string& decision) const;
  /// What was stored and committed counts.
  void take(release::Releases next) { now_ = std::move(next); }
  /// Keeps `next`, which is no other route: what a later table is to say.
  [[nodiscard]] Result<void> note(release::Releases next);
  /// Writes the route table, in place of the one before. kIo: the data plane goes on by that one.
  [[nodiscard]] Result<void> publish();
  /// Whether the data plane can know what is decided.
  [[nodiscard]] bool is_published() const noexcept { return published_ == now_.version(); }

  /// Whether the bundle was ever in a slot that answers, by the routes there were.
  [[nodiscard]] Result<bool> was_released(const Digest& bundle) const;

 private:
  const Home& home_;
  store::State& state_;
  const Ed25519Key& key_;
  std::string service_;
  release::Releases now_;
  std::uint64_t published_ = 0;  ///< version of the table that was written last
};

}  // namespace heddle::control
