#pragma once

#include "control/operations.hpp"
#include "control/replies.hpp"
#include "control/requests.hpp"

namespace heddle::control {

// Operations on the work tree and its bundles: `heddle check`, `plan`, `schema`, `bundle inspect`,
// `run` and `score`, and `heddle why` on what is recorded, for every surface.

[[nodiscard]] Result<CheckReply> check_project(Control::Core& core, const NoRequest& request,
                                               const Call& call);
[[nodiscard]] Result<WorkReply> plan_project(Control::Core& core, const PlanRequest& request,
                                             const Call& call);
[[nodiscard]] Result<SchemaReply> show_schema(Control::Core& core, const SchemaRequest& request,
                                              const Call& call);
[[nodiscard]] Result<BundleReply> inspect_bundle(Control::Core& core, const BundleRequest& request,
                                                 const Call& call);
[[nodiscard]] Result<WorkReply> run_project(Control::Core& core, const RunRequest& request,
                                            const Call& call);
[[nodiscard]] Result<WorkReply> score_file(Control::Core& core, const ScoreFileRequest& request,
                                           const Call& call);

/// Values of rows are in the reply to the owner alone.
[[nodiscard]] Result<WorkReply> why_answered(Control::Core& core, const WhyRequest& request,
                                             const Call& call);

}  // namespace heddle::control
