#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "doc/value.hpp"
#include "spec/project.hpp"

namespace heddle::cli {

/// What a data plane says of a service.
struct ServiceTold {
  bool ready = false;
  bool stopped = false;
  bool failed_over = false;
  std::string slot{};  ///< that answers; empty: none
  std::string bundle{};
  std::uint64_t route_version = 0;
  std::string waits_for{};   ///< what keeps the newest route table out of force; empty: nothing
  std::int64_t waits_s = 0;  ///< for how many seconds
  std::string event_time{};  ///< of its last tick; empty: none
  bool replayed = false;
};

/// What runs of a service. What the control plane knows is what was decided.
struct DataPlaneNow {
  std::string address{};  ///< empty: it is not known where it would be
  bool running = false;
  std::string problem{};              ///< why more is not known; empty: it is
  std::optional<ServiceTold> told{};  ///< to this machine's accounts

  /// `data_plane` of `heddle status --json`.
  [[nodiscard]] doc::Value document() const;
};

/// What the data plane of a service says of itself now. Asked over its own port, for two seconds at
/// most.
[[nodiscard]] DataPlaneNow probe_data_plane(const spec::Project& project,
                                            const spec::Service& service);

}  // namespace heddle::cli
