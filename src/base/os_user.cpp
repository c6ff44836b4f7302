#include "base/os_user.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace heddle {

std::string os_user_name(std::uint32_t uid) {
  std::vector<char> buffer(16 << 10);  // of the entry's texts; a longer one has no name here
  passwd entry{};
  passwd* found = nullptr;
  const bool is_there =
      ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr;
  const std::string_view name = is_there ? found->pw_name : "";
  const bool is_number =
      std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  return is_number ? fmt::to_string(uid) : std::string(name);
}

std::string sudo_user_name() {
  const char* text = std::getenv("SUDO_UID");
  if (text == nullptr || ::geteuid() != 0) return {};
  const std::string_view number = text;
  std::uint32_t uid = 0;
  const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), uid);
  const bool is_whole = failed == std::errc() && end == number.data() + number.size();
  return is_whole && uid != 0 ? os_user_name(uid) : std::string();
}

}  // namespace heddle
