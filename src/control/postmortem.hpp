#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/wiring.hpp"
#include "doc/schema.hpp"
#include "recover/postmortem.hpp"
#include "spec/project.hpp"

namespace heddle::control {

/// What the page of an incident is written from: all of it is known when it is asked for, so that
/// whatever comes later changes nothing.
struct PostmortemRequest {
  struct Route {
    std::uint64_t version = 0;
    Digest primary{};
    [[nodiscard]] bool operator==(const Route&) const = default;
  };
  std::string service;
  std::string commit;            ///< whose definitions count
  recover::Incident incident{};  ///< as it is then
  std::vector<Route> routes{};   ///< there ever were
  std::uint64_t segment = 0;     ///< of the journal: nothing behind `offset` in it is read
  std::uint64_t offset = 0;

  [[nodiscard]] static const doc::Schema<PostmortemRequest>& schema();
};

/// As `DIR/result.json` holds it.
[[nodiscard]] const doc::Schema<recover::Postmortem>& postmortem_schema();

/// Measures on the recorded traffic what the cause would add, and writes the page. The journal is
/// read as often as something is measured, all that is kept of it, record by record.
[[nodiscard]] Result<recover::Postmortem> write_postmortem(const spec::Project& project,
                                                           store::Objects& objects,
                                                           const std::string& spool,
                                                           const PostmortemRequest& request);

/// The page of one incident in a process of its own: reads `DIR/request.json`, the definitions,
/// bundles and journal below DIR (work_inputs.hpp), and leaves `DIR/result.json`, or {"failed":
/// why} there.
[[nodiscard]] Result<void> run_postmortem(const std::string& dir, const Wiring& wiring);

}  // namespace heddle::control
