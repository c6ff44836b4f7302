#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "cli/console.hpp"
#include "doc/value.hpp"

namespace CLI {
class App;
}

namespace heddle::cli {

struct Invocation;

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

/// Calls one operation as `by`; `member` of the request names who asks: `requester` or `person`.
[[nodiscard]] Result<doc::Value> call_as(const Invocation& invocation, std::string_view operation,
                                         doc::Value request, const AskedBy& by,
                                         const char* member = "requester");

/// Says that the act waits for an approval, and how to give it; as JSON under `--json`. The exit
/// code.
int print_waiting(const Console& console, const doc::Value& reply);

}  // namespace heddle::cli
