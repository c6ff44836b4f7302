#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "serve/serve.hpp"
#include "spec/permissions.hpp"

namespace heddle::serve {

using spec::Permission;

/// Whom a bearer token belongs to.
struct Principal {
  std::string account;
  std::uint8_t permissions = 0;
  std::size_t index = 0;               ///< among the service's principals
  std::vector<std::string> sources{};  ///< that it may name; empty: any
  [[nodiscard]] bool may(Permission permission) const noexcept {
    return (permissions & static_cast<std::uint8_t>(permission)) != 0;
  }
};

/// The tokens of a service. Every lookup compares all of them in constant time. Used by the serving
/// thread alone.
class Tokens {
 public:
  explicit Tokens(const std::vector<Token>& tokens);
  /// From now on the accounts may do this; the token of one that is not named is not known.
  void set_rights(const Rights& rights);
  /// Nothing for an unknown or empty token.
  [[nodiscard]] const Principal* find(std::string_view bearer) const noexcept;
  /// Whose token it is, when they may do this on `service`: kUnauthenticated or kDenied otherwise.
  [[nodiscard]] Result<const Principal*> allow(std::string_view bearer, Permission permission,
                                               std::string_view service) const;
  /// Who may predict may also see what there is to predict with.
  [[nodiscard]] Result<const Principal*> allow_reading(std::string_view bearer,
                                                       std::string_view service) const;
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    std::string secret;
    Principal principal;
    bool known = true;  ///< its account is one of the project still
  };
  std::vector<Entry> entries_;
};

}  // namespace heddle::serve
