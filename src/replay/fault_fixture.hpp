#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "doc/yaml.hpp"
#include "spec/kinds.hpp"

namespace heddle::replay {

/// A fault named `name` of the contract `flights`, with the other keys as `faults/*.yaml` has them.
/// A test whose text is no fault ends at once.
inline spec::Fault fault_of(const std::string& name, const std::string& keys) {
  const std::string path = "faults/test.yaml";
  const std::string text = fmt::format(
      "apiVersion: heddle/v1\nkind: Fault\nname: {}\ncontract: flights\n{}", name, keys);
  const auto value = doc::parse_yaml(text, path);
  spec::Project project;
  std::vector<doc::Diagnostic> found;
  if (value.ok()) spec::fault_kind().read({path, text, *value, nullptr, found}, project);
  if (!found.empty() || !project.faults.contains(name)) {
    const std::string why = value.ok()
                                ? found.empty() ? "no fault" : doc::render_concise(found.front())
                                : value.error().str();
    std::fprintf(stderr, "%s\nin\n%s\n", why.c_str(), text.c_str());
    std::abort();
  }
  return project.faults.at(name);
}

}  // namespace heddle::replay
