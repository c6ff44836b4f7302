#pragma once

#include <optional>
#include <string>

#include "control/act_replies.hpp"
#include "control/operations.hpp"

namespace heddle::control {

/// What the state knows of the time before: whether there are entries, and the control key's public
/// part.
struct Known {
  bool entries = false;
  std::string control_key{};  ///< hex; empty: none yet
};
[[nodiscard]] Result<Known> known_of(store::State& state);

/// At an opening, after the ledger is there. Holds git's anchor against the ledger, unless a person
/// is about to restore; then writes down, each with an entry, what is other than it was: a new
/// control key (`key.control`), a project that was copied (`project.copied`: its keys, tokens and
/// ledger are those of another one).
[[nodiscard]] Result<void> look_after_custody(Control::Core& core, const Known& known,
                                              bool restores);

/// Commits the checkpoint to git when it was never, and after what people and agents decided: an
/// approval, a release, a stop. What git refuses is logged, once; it keeps nobody from deciding.
[[nodiscard]] Result<void> anchor_when_due(Control::Core& core);

/// The state that was put back counts, as a person signs: {"entry", "entries"}.
[[nodiscard]] Result<RestoreReply> restore_ledger(Control::Core& core,
                                                  const RestoreRequest& request, const Call& call);

}  // namespace heddle::control
