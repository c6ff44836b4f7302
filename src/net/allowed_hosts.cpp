#include "net/allowed_hosts.hpp"

#include <algorithm>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http.hpp"

namespace heddle::net {
namespace {

/// The address that the client of `socket` connected to, as text; empty when it is none of IPv4.
std::string own_address(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  char text[INET_ADDRSTRLEN];
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      address.sin_family != AF_INET ||
      ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text) == nullptr) {
    return {};
  }
  return text;
}

bool matches(std::string_view pattern, std::string_view name) noexcept {
  if (!pattern.starts_with("*.")) return same_token(pattern, name);
  const std::string_view suffix = pattern.substr(1);  // with its dot
  return name.size() > suffix.size() &&
         same_token(name.substr(name.size() - suffix.size()), suffix);
}

}  // namespace

AllowedHosts::AllowedHosts(std::vector<std::string> names, const std::string& address)
    : names_(std::move(names)) {
  for (const char* loopback : {"127.0.0.1", "localhost", "[::1]"}) names_.emplace_back(loopback);
  if (address.empty()) return;
  beyond_loopback_ = address != "localhost" && !address.starts_with("127.");
  names_.push_back(address);
  char name[256] = {};
  if (beyond_loopback_ && ::gethostname(name, sizeof name - 1) == 0 && name[0] != '\0')
    names_.emplace_back(name);
}

std::string_view AllowedHosts::name_of(std::string_view host) noexcept {
  // An IPv6 address has colons of its own and stands in brackets.
  std::string_view name =
      host.starts_with('[') ? host.substr(0, host.find(']') + 1) : host.substr(0, host.find(':'));
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

bool AllowedHosts::allow(std::string_view host, int socket) {
  if (!host.empty() && host == last_) return true;
  const std::string_view name = name_of(host);
  const bool named = std::any_of(names_.begin(), names_.end(),
                                 [&](const std::string& known) { return matches(known, name); });
  if (!named && (!beyond_loopback_ || name.empty() || name != own_address(socket))) return false;
  last_ = host;
  return true;
}

}  // namespace heddle::net
