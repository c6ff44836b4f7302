#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "control/comparable.hpp"
#include "store/store.hpp"
#include "watch/watch.hpp"

namespace heddle::control {

/// The routes of a service as its watch knows them, one for each version of the route table; a
/// bundle is read once. Confined to the control thread.
class WatchedRoutes {
 public:
  WatchedRoutes(store::Objects& objects, watch::Watch& watch, std::string service)
      : objects_(objects), watch_(watch), service_(std::move(service)) {}

  /// What a route version means, which the watch must know before the first record that was
  /// answered by it. A bundle that cannot be read leaves it unwatched, which the watch alerts on.
  [[nodiscard]] Result<void> know(const Digest& primary, std::uint64_t version);
  /// kCorrupt or kNotFound when the bundle has no baseline that can be read.
  [[nodiscard]] Result<watch::Route> of(const Digest& primary, std::uint64_t version);
  /// The task of a bundle, where it can be read.
  [[nodiscard]] TaskOf tasks();

  /// Every one there was.
  [[nodiscard]] const std::vector<watch::Route>& all() const noexcept { return all_; }
  /// Why nothing is watched now; null: something is.
  [[nodiscard]] const std::string* unwatched() const noexcept {
    return all_.empty() || all_.back().baseline != nullptr ? nullptr : &all_.back().unwatched;
  }

 private:
  store::Objects& objects_;
  watch::Watch& watch_;
  std::string service_;
  std::vector<watch::Route> all_;
  std::map<Digest, watch::Route> read_;
};

}  // namespace heddle::control
