#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "plane/route.hpp"

namespace heddle::plane {

/// What the file of a route table has: the table, and the secret of its canary's draw. The secret
/// is no part of the table, which is compared and shown.
struct RouteFile {
  RouteTable table;
  std::string draw_secret{};  ///< 16 bytes; empty: no canary, or a table of before
};

inline constexpr std::size_t kDrawSecretBytes = 16;

/// The secret of the draw of the canary that `service` started with table version `started`: made
/// from the control key's seed, so that it is the same after a restart, and another for each run.
[[nodiscard]] std::string draw_secret(const Ed25519Key& key, std::string_view service,
                                      std::uint64_t started);

/// `{"payload": base64(canonical JSON), "signature": base64}`; written with fsync and rename, for
/// the owner alone to read.
[[nodiscard]] Result<void> write_route_file(const std::string& path, const RouteFile& file,
                                            const Ed25519Key& key);
/// As `read_route`.
[[nodiscard]] Result<RouteFile> read_route_file(const std::string& path, const Ed25519Public& key);

}  // namespace heddle::plane
