#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "batch/profile_format.hpp"
#include "control/recorded.hpp"
#include "doc/schema.hpp"
#include "watch/finding.hpp"

namespace heddle::control {

/// Every metric of every window of a service, and its scored files.
struct SeriesReply {
  std::string service{};
  std::vector<watch::Finding> findings{};
  std::vector<batch::FileProfile> batches{};
  [[nodiscard]] static const doc::Schema<SeriesReply>& schema();
};

/// The newest refused rows, or that they are being read.
struct RefusedRowsReply {
  std::string service{};
  std::optional<bool> reading{};  ///< true, and then alone: ask again
  std::optional<std::vector<RefusedRowItem>> rows{};
  std::optional<std::uint64_t> before{};
  [[nodiscard]] static const doc::Schema<RefusedRowsReply>& schema();
};

}  // namespace heddle::control
