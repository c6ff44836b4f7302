#include "base/os_user.hpp"

#include <pwd.h>

#include <vector>

#include <fmt/format.h>

namespace heddle {

std::string os_user_name(std::uint32_t uid) {
  std::vector<char> buffer(16 << 10);  // of the entry's texts; a longer one has no name here
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    return found->pw_name;
  return fmt::to_string(uid);
}

}  // namespace heddle
