#pragma once

#include <cstdint>
#include <string>

namespace heddle {

/// The name of an account of the operating system, or its number as text where it has no name. A
/// name that reads as a number is not given: it would be that of another account.
[[nodiscard]] std::string os_user_name(std::uint32_t uid);

/// The account that called `sudo` to run this process as root, by `SUDO_UID`; empty where nobody
/// did. Root may say what it wants there, and may become anybody anyway.
[[nodiscard]] std::string sudo_user_name();

}  // namespace heddle
