#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "demo/account.hpp"
#include "demo/process.hpp"
#include "demo/project.hpp"
#include "demo/session.hpp"
#include "demo/storyteller.hpp"

namespace heddle::demo {

/// The demo's person: looks at what waits for approval and says yes with an SSH key, by the command
/// line, after the time a person takes: two event days for a contract transform, a few event hours
/// for anything else. Confined to one thread.
class Approver {
 public:
  Approver(const DemoProject& project, std::string binary, Session& session, Storyteller& story);

  /// Looks at event time `now` (0: before traffic, then it answers at once) and answers what is
  /// due. Returns how many.
  [[nodiscard]] Result<int> look(Micros now);
  [[nodiscard]] const std::map<std::string, ApprovalAccount>& seen() const noexcept {
    return seen_;
  }
  /// Reads the final states.
  [[nodiscard]] Result<void> finish();

 private:
  [[nodiscard]] Result<void> approve(ApprovalAccount& approval, Micros now);
  /// `ssh-keygen -Y verify` of every signature the control plane holds for it.
  [[nodiscard]] bool verify(const std::string& id);

  const DemoProject& project_;
  std::string binary_;
  Session& session_;
  Storyteller& story_;
  std::map<std::string, ApprovalAccount> seen_;
  std::set<std::string> answered_;
};

}  // namespace heddle::demo
