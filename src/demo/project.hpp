#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "spec/project.hpp"

namespace heddle::demo {

/// Who asks, a person of the example's people.yaml: has no key to approve with.
inline constexpr const char* kRequester = "ben";

/// The project the demo works in: a copy of the example, a git repository of its own, with a person
/// whose key the demo holds.
struct DemoProject {
  std::string root;
  std::string person;   ///< name in people.yaml
  std::string key;      ///< private key of that person, outside the project
  std::string signers;  ///< `allowed_signers` file for `ssh-keygen -Y verify`
  std::string service;
  std::string state_dir() const { return root + "/.heddle"; }
};

/// Makes `out/flights` from `example`: copies the definitions, links `data`, makes an SSH key, adds
/// its person to people.yaml with every role that policies ask approvals of, and commits. What a
/// `heddle run` cached is kept; everything else that an earlier demo left in `.heddle` goes, so
/// that each demo starts with an empty ledger.
[[nodiscard]] Result<DemoProject> prepare_project(const std::string& example,
                                                  const std::string& data, const std::string& out);

}  // namespace heddle::demo
