#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/act_replies.hpp"
#include "control/service_rows.hpp"
#include "doc/schema.hpp"
#include "watch/judgement.hpp"

namespace heddle::control {

/// The canary of a service: where it is, how it is judged, and what to do next.
struct CanaryReply {
  std::string service{};
  bool running = false;
  std::string shadow{};
  /// Of one that runs.
  struct Run {
    std::string bundle{};
    std::string baseline{};
    std::uint32_t weight = 0;
    std::vector<std::int64_t> steps{};
    std::uint64_t started = 0;
    std::string since{};
    watch::Judgement cohorts{};
    std::optional<CanaryLook> judgement{};  ///< the last one; none at this weight
    std::vector<NextItem> next{};
  };
  std::optional<Run> run{};
  [[nodiscard]] static const doc::Schema<CanaryReply>& schema();
};

}  // namespace heddle::control
