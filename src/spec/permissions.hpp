#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace heddle::spec {

/// What a service account may do. One bit each.
enum class Permission : std::uint8_t {
  kPredict = 1,
  kLabel = 2,
  kReplay = 4,
  kRead = 8,
  kStop = 16,
  kOperate = 32
};

/// One permission as people.yaml and the table of operations name it.
struct PermissionRow {
  Permission permission;
  std::string_view name;
  std::string_view about;
};

/// The one table of permissions.
[[nodiscard]] std::span<const PermissionRow> permission_table() noexcept;
[[nodiscard]] std::string_view name_of(Permission permission) noexcept;
/// Nothing for a name that no permission has.
[[nodiscard]] std::optional<Permission> permission_named(std::string_view name) noexcept;
/// Their names in backticks, for people.
[[nodiscard]] std::string permission_list();

}  // namespace heddle::spec
