#pragma once

#include <memory>

#include "bundle/bundle.hpp"
#include "control/replies.hpp"
#include "control/wiring.hpp"
#include "flow/flow.hpp"
#include "flow/origin.hpp"
#include "spec/load.hpp"

namespace heddle::control {

/// Says where the definitions come from: a bundle names its commit, and whether they are that
/// commit's. Without a repository they are of no commit, and whatever is built of them is dirty.
[[nodiscard]] Result<flow::Origin> name_origin(const Wiring& wiring, spec::Loaded& loaded);

/// What flow stands on, with the parts it borrows kept alive.
struct OpenHost {
  std::unique_ptr<store::Objects> objects;
  std::unique_ptr<jobs::Runner> runner;
  flow::Host host;
};
[[nodiscard]] Result<OpenHost> open_host(const Wiring& wiring, const spec::Project& project);

/// The project of the work tree with what `plan` and `run` need of it: what `heddle check` tells.
[[nodiscard]] Result<spec::Loaded> load_to_check(const std::string& root);

/// The project of the work tree, to be used. kInvalid `project-invalid` with the place of the first
/// error: definitions that have one are used for nothing.
[[nodiscard]] Result<spec::Loaded> load_to_use(const std::string& root);

/// What `heddle check` tells of a project.
[[nodiscard]] CheckReply check_reply(const spec::Loaded& loaded);
/// What `heddle bundle inspect` tells of one. kCorrupt when its certificate cannot be read.
[[nodiscard]] Result<BundleReply> bundle_reply(const bundle::Bundle& bundle);

}  // namespace heddle::control
