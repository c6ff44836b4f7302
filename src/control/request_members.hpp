#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "doc/value.hpp"

namespace heddle::control {

/// What a request of an operation may have. A member that is left out, or null, has its default;
/// one of another type, or of an unknown name, was meant and is not guessed at.
struct RequestMember {
  enum class Type : std::uint8_t { kText, kFlag, kNumber, kObject };
  std::string_view name;
  Type type = Type::kText;
  bool required = false;
  std::int64_t least = INT64_MIN;  ///< of a number
  std::int64_t most = INT64_MAX;
};

/// Those of an operation (docs/operations.md); it is one of `operation_table`.
[[nodiscard]] std::span<const RequestMember> request_members(std::string_view operation);

/// kInvalid: `request-unknown-member`, `request-member`.
[[nodiscard]] Result<void> check_request(std::string_view operation, const doc::Value& request);

}  // namespace heddle::control
