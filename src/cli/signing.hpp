#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "cli/console.hpp"
#include "cli/session.hpp"
#include "doc/value.hpp"

namespace CLI {
class App;
}

namespace heddle::cli {

/// Signs `statement` as `ssh-keygen -Y sign` does, with the person's own key; the key never leaves
/// that process.
[[nodiscard]] Result<std::string> sign_statement(const std::string& statement,
                                                 const std::string& key, const char* name_space);

/// Who asks: nobody named is the person that people.yaml maps the user of the system to; with a key
/// the request is signed.
struct AskedBy {
  std::string name{};
  std::string key{};
};

/// `--requester NAME` (or `--person`, of what only a person does) and `--key FILE`.
[[nodiscard]] std::shared_ptr<AskedBy> add_asked_by(CLI::App& command,
                                                    const char* option = "--requester");

/// The request with who asks, signed where a key is given; `member` names who asks: `requester` or
/// `person`.
[[nodiscard]] Result<doc::Value> asked_as(const Invocation& invocation, std::string_view operation,
                                          doc::Value request, const AskedBy& by,
                                          const char* member);

/// Calls one operation as `by`; as `call_for`.
template <class Reply>
[[nodiscard]] Result<Reply> call_as(const Invocation& invocation, std::string_view operation,
                                    doc::Value request, const AskedBy& by,
                                    const char* member = "requester") {
  HEDDLE_ASSIGN_OR_RETURN(const auto asked,
                          asked_as(invocation, operation, std::move(request), by, member));
  return call_for<Reply>(invocation, operation, asked);
}

/// Says that an act waits for this approval, and how to give it.
void print_waiting(const Console& console, const std::string& approval, const std::string& reason);

}  // namespace heddle::cli
