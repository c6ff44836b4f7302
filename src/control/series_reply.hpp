#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "batch/profile_format.hpp"
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

/// A row that the contract refused, or whose source was shut out.
struct RefusedRowItem {
  std::string request_id{};
  std::int64_t row = 0;
  std::string event_time{};
  std::string source{};
  std::string account{};
  std::string outcome{};
  std::vector<std::string> rules{};
  doc::Value fields{};
};
struct RefusedRowsReply {
  std::string service{};
  std::optional<bool> reading{};  ///< true, and then alone: ask again
  std::optional<std::vector<RefusedRowItem>> rows{};
  std::optional<std::uint64_t> before{};
  [[nodiscard]] static const doc::Schema<RefusedRowsReply>& schema();
};

}  // namespace heddle::control
