#include "control/custody.hpp"

#include <sys/stat.h>

#include <climits>
#include <cstdlib>

#include "base/encoding.hpp"
#include "base/log.hpp"
#include "control/by_hand.hpp"
#include "control/incidents.hpp"
#include "control/requester.hpp"
#include "control/stored_rows.hpp"
#include "doc/json.hpp"
#include "ledger/anchor.hpp"

namespace heddle::control {
namespace {

using Core = Control::Core;

constexpr const char* kControl = "control";
constexpr const char* kControlKey = "control-key";  ///< hex of the public part
constexpr const char* kPlace = "place";             ///< {"path", "inode"}

std::string hex_of(const Ed25519Key& key) {
  return hex_encode(std::string_view(reinterpret_cast<const char*>(key.public_key.data()),
                                     key.public_key.size()));
}

ledger::Entry entry_of(const char* action, std::string_view what, std::string reason) {
  ledger::Entry entry;
  entry.op_id = fmt::format("{}/{}", action, what);
  entry.actor = "system:control";
  entry.action = action;
  entry.target = "project";
  entry.result = "recorded";
  entry.reason = std::move(reason);
  return entry;
}

Result<void> note_control_key(Core& core, const Known& known) {
  const auto now = hex_of(core.control_key);
  if (known.control_key == now) return {};
  return core.state->write([&](store::Txn& txn) -> Result<void> {
    // The first key is no change of one.
    if (!known.control_key.empty()) {
      auto entry = entry_of("key.control", now.substr(0, 16),
                            "route tables are signed by another key from now on");
      entry.attributes = doc::Value::object({{"before", known.control_key}, {"now", now}});
      log::warn("the control key is another one than before: entry `key.control` says so");
      HEDDLE_TRY(core.ledger->append(txn, std::move(entry)));
    }
    return txn.put(kControl, kControlKey, now);
  });
}

/// Where `.heddle` lies, as it was written down.
struct PlaceRow {
  std::string path{};
  std::uint64_t inode = 0;
};

const doc::Schema<PlaceRow>& place_row_schema() {
  using P = PlaceRow;
  static const auto schema = [] {
    auto t = doc::Schema<P>::record("the place", "where `.heddle` lies");
    t.refused_as(ErrorKind::kCorrupt, "control-state",
                 "go on with the Heddle that wrote it, or bring `.heddle/state.db` back from a "
                 "backup");
    t.text("path", &P::path, "of the folder").filled();
    t.integer("inode", &P::inode, "of it");
    return t;
  }();
  return schema;
}

/// Where `.heddle` lies. A moved one keeps its inode, one that was renamed above keeps its path; a
/// copy has neither.
Result<void> note_place(Core& core) {
  struct stat info{};
  char resolved[PATH_MAX];
  if (::stat(core.home.dir().c_str(), &info) != 0 ||
      ::realpath(core.home.dir().c_str(), resolved) == nullptr)
    return {};
  const std::string path = resolved;
  const auto now =
      doc::to_json(place_row_schema().print({path, static_cast<std::uint64_t>(info.st_ino)}));
  return core.state->write([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto before, txn.get(kControl, kPlace));
    if (before == now) return {};
    if (before) {
      auto was = place_row_schema().parse_text(*before);
      if (!was.ok()) return in_row(kControl, kPlace, std::move(was.error()));
      HEDDLE_ASSIGN_OR_RETURN(const auto entries, txn.log_size());
      // Without an entry there is nothing yet that two could have in common.
      const bool copied = entries > 0 && was->path != path && was->inode != info.st_ino;
      if (copied) {
        auto entry =
            entry_of("project.copied", std::to_string(info.st_ino),
                     fmt::format("it was at `{}` and is at `{}`: keys and tokens are those "
                                 "of the other one, if that is still there",
                                 was->path, path));
        log::warn(
            "this project was copied from `{}`: its keys, tokens and ledger are the same. To "
            "make it one of its own remove `.heddle` and release anew",
            was->path);
        HEDDLE_TRY(core.ledger->append(txn, std::move(entry)));
      }
    }
    return txn.put(kControl, kPlace, now);
  });
}

/// After git could not be written: to try waits for another program's lock.
constexpr auto kAnchorPause = std::chrono::seconds(30);

/// Records, of which there may be many, can wait for the next decision.
bool is_decision(const ledger::Entry& entry) {
  const auto is = [&](std::string_view family) { return entry.action.starts_with(family); };
  if (entry.result == "approved") return true;
  return entry.result == "applied" && !is("incident.") && !is("postmortem.") && !is("clock.jump");
}

}  // namespace

Result<Known> known_of(store::State& state) {
  Known known;
  HEDDLE_TRY(state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto rows, txn.log_size());
    known.entries = rows > 0;
    HEDDLE_ASSIGN_OR_RETURN(const auto key, txn.get(kControl, kControlKey));
    known.control_key = key.value_or("");
    return {};
  }));
  return known;
}

Result<void> look_after_custody(Core& core, const Known& known, bool restores) {
  if (restores) return {};
  HEDDLE_ASSIGN_OR_RETURN(core.anchor_seen, core.ledger->check_anchor(*core.git));
  // After the anchor was checked: what is noted is appended,
  // and must not be appended to a ledger that was cut.
  HEDDLE_TRY(note_control_key(core, known));
  return note_place(core);
}

Result<void> anchor_when_due(Core& core) {
  const auto time = std::chrono::steady_clock::now();
  if (time < core.anchor_after) return {};
  HEDDLE_ASSIGN_OR_RETURN(const auto size, core.ledger->size());
  bool due = core.anchor_seen == 0 && size > 0;
  if (!due) {
    HEDDLE_TRY(core.ledger->read(core.anchor_seen, [&](const ledger::Entry& entry) {
      due = due || is_decision(entry);
      return !due;
    }));
  }
  if (!due) {
    // Looked at once: the same records are not read again at the next tick.
    core.anchor_seen = size;
    return {};
  }
  const auto done = core.ledger->anchor(*core.git);
  if (!done.ok()) {
    if (core.anchor_failed != done.error().id)
      log::error("the ledger's checkpoint is not kept in git: {}", done.error().str());
    core.anchor_failed = done.error().id;
    core.anchor_after = time + kAnchorPause;
    // A decision is not undone for want of its anchor; the next try is after the pause.
    return {};
  }
  core.anchor_failed.clear();
  core.anchor_seen = size;
  return {};
}

Result<RestoreReply> restore_ledger(Core& core, const RestoreRequest& request, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(const auto person, proven_person(core, call, request.by));
  HEDDLE_ASSIGN_OR_RETURN(const auto reason, checked_reason(request.reason));
  // A user of the system is not enough here: what
  // counts is changed for everybody who verifies later.
  if (person.proof.how != "signature") {
    return Error{ErrorKind::kDenied, "restore-unsigned",
                 "that an older state counts is signed by a person",
                 "sign it: `--person NAME --key FILE`"};
  }
  if (!core.restores) {
    return Error{ErrorKind::kConflict, "restore-not-needed",
                 "a control plane has the project open: nothing keeps it from deciding",
                 "there is nothing to restore: `heddle audit verify` has more"};
  }
  ledger::Entry entry;
  entry.actor_type = "person";
  entry.actor = person.id;
  entry.reason = reason;
  entry.attributes = doc::Value::object({{"proof", person.proof.how},
                                         {"request_statement", person.proof.statement},
                                         {"request_signature", person.proof.signature}});
  HEDDLE_ASSIGN_OR_RETURN(const auto number, core.ledger->restore(*core.git, std::move(entry)));
  HEDDLE_ASSIGN_OR_RETURN(const auto size, core.ledger->size());
  core.anchor_seen = size;
  return RestoreReply{number, size};
}

}  // namespace heddle::control
