#pragma once

#include <cstdint>
#include <string>

namespace heddle {

/// The name of an account of the operating system, or its number as text where it has no name.
[[nodiscard]] std::string os_user_name(std::uint32_t uid);

}  // namespace heddle
