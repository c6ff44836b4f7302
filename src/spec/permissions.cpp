#include "spec/permissions.hpp"

#include <fmt/format.h>

namespace heddle::spec {
namespace {

constexpr PermissionRow kTable[] = {
    {Permission::kPredict, "predict", "ask the endpoints for predictions"},
    {Permission::kLabel, "label", "send labels"},
    {Permission::kReplay, "replay", "say event times of the past, and ticks"},
    {Permission::kRead, "read", "see status, incidents, decisions and metrics"},
    {Permission::kStop, "stop", "put a service into its safe state, on either plane"},
    {Permission::kOperate, "operate",
     "hand in a person's signed approval and the record of a scored file"}};

}  // namespace

std::span<const PermissionRow> permission_table() noexcept { return kTable; }

std::string_view name_of(Permission permission) noexcept {
  for (const auto& row : kTable) {
    if (row.permission == permission) return row.name;
  }
  return {};
}

std::optional<Permission> permission_named(std::string_view name) noexcept {
  for (const auto& row : kTable) {
    if (row.name == name) return row.permission;
  }
  return std::nullopt;
}

std::string permission_list() {
  std::string list;
  for (const auto& row : kTable) list += fmt::format("{}`{}`", list.empty() ? "" : ", ", row.name);
  return list;
}

}  // namespace heddle::spec
