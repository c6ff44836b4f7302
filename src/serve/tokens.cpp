#include "serve/tokens.hpp"

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/signature.hpp"

namespace heddle::serve {
namespace {

std::uint8_t bits_of(const std::vector<std::string>& permissions) {
  std::uint8_t bits = 0;
  for (const std::string& name : permissions) {
    if (const auto permission = spec::permission_named(name))
      bits |= static_cast<std::uint8_t>(*permission);
  }
  return bits;
}

}  // namespace

Tokens::Tokens(const std::vector<Token>& tokens) {
  for (const Token& token : tokens) {
    if (token.secret.size() < 16) {
      log::warn("the token of `{}` is shorter than 16 bytes: it is not accepted", token.account);
      continue;
    }
    entries_.push_back(
        {token.secret,
         {token.account, bits_of(token.permissions), entries_.size(), token.sources}});
  }
}

void Tokens::set_rights(const Rights& rights) {
  for (Entry& entry : entries_) {
    const auto now = rights.find(entry.principal.account);
    entry.known = now != rights.end();
    entry.principal.permissions = entry.known ? bits_of(now->second.permissions) : std::uint8_t{0};
    if (entry.known) entry.principal.sources = now->second.sources;
  }
}

const Principal* Tokens::find(std::string_view bearer) const noexcept {
  const Principal* found = nullptr;
  for (const Entry& entry : entries_) {
    if (equal_constant_time(entry.secret, bearer) && entry.known) found = &entry.principal;
  }
  return found;
}

Result<const Principal*> Tokens::allow(std::string_view bearer, Permission permission,
                                       std::string_view service) const {
  const Principal* found = find(bearer);
  if (found == nullptr) {
    return Error{
        ErrorKind::kUnauthenticated, "token-unknown",
        bearer.empty() ? "the request has no bearer token" : "the bearer token is not known",
        "send `Authorization: Bearer ...`, over gRPC as metadata, with a token of "
        "`.heddle/tokens`"};
  }
  if (!found->may(permission)) {
    const std::string_view name = name_of(permission);
    return Error{ErrorKind::kDenied, "permission-missing",
                 fmt::format("`{}` may not {} on service `{}`", found->account, name, service),
                 fmt::format("give the service account the permission `{}` in people.yaml", name)};
  }
  return found;
}

Result<const Principal*> Tokens::allow_reading(std::string_view bearer,
                                               std::string_view service) const {
  if (const Principal* found = find(bearer); found != nullptr && found->may(Permission::kPredict))
    return found;
  return allow(bearer, Permission::kRead, service);
}

}  // namespace heddle::serve
