#pragma once

#include <memory>
#include <string>

#include "store/store.hpp"

namespace heddle::adapters {

/// store::State on one SQLite file: WAL, `synchronous=FULL`, one connection that alone writes and
/// checkpoints, no memory map. Older schemas are migrated step by step, each after a backup beside
/// the file (`state.db.v1.backup`); a newer one is refused
/// (`state-newer`). The log cannot be changed or shortened: triggers refuse it.
///
/// Thread-safe. Writers that wait together are committed together: one of the waiting threads runs
/// every waiting body, each in its own savepoint, and syncs once; so a body may run on another
/// thread than the one that called `write`, which blocks until it is durable. A body must not call
/// `write` or `read` of the same state (`state-nested`, never a deadlock). After a failed fsync
/// nothing more is accepted (`state-failed`): the process has to end. A full disk (`disk-full`)
/// rolls back and the next write may succeed.
[[nodiscard]] Result<std::unique_ptr<store::State>> open_sqlite_state(const std::string& path);

}  // namespace heddle::adapters
