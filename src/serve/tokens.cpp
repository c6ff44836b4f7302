#include "serve/tokens.hpp"

#include "base/log.hpp"
#include "base/signature.hpp"

namespace heddle::serve {

Tokens::Tokens(const std::vector<Token>& tokens) {
  for (const Token& token : tokens) {
    if (token.secret.size() < 16) {
      log::warn("the token of `{}` is shorter than 16 bytes: it is not accepted", token.account);
      continue;
    }
    Entry entry{token.secret, {token.account, 0, entries_.size()}};
    for (const std::string& name : token.permissions) {
      if (name == "predict") entry.principal.permissions |= static_cast<std::uint8_t>(Permission::kPredict);
      if (name == "label") entry.principal.permissions |= static_cast<std::uint8_t>(Permission::kLabel);
      if (name == "replay") entry.principal.permissions |= static_cast<std::uint8_t>(Permission::kReplay);
      if (name == "read") entry.principal.permissions |= static_cast<std::uint8_t>(Permission::kRead);
      if (name == "stop") entry.principal.permissions |= static_cast<std::uint8_t>(Permission::kStop);
    }
    entries_.push_back(std::move(entry));
  }
}

const Principal* Tokens::find(std::string_view bearer) const noexcept {
  const Principal* found = nullptr;
  for (const Entry& entry : entries_) {
    if (equal_constant_time(entry.secret, bearer)) found = &entry.principal;
  }
  return found;
}

}  // namespace heddle::serve
