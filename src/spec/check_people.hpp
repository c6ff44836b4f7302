#pragma once

#include <vector>

#include "doc/diagnostic.hpp"
#include "spec/project.hpp"

namespace heddle::spec {

/// Names, keys and users of people.yaml, each at its place: a person has one name, a name is one
/// person's or program's, a key is one that can sign.
void check_people(const Project& project, std::vector<doc::Diagnostic>& out);

/// Whether a name can stand in rules, signatures, paths and the ledger and mean nothing but itself:
/// letters, digits and `.`, `_`, `-`, `@`, `+`.
[[nodiscard]] bool is_plain_name(std::string_view name);

}  // namespace heddle::spec
