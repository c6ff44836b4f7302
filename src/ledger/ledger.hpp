#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/file_port.hpp"
#include "base/signature.hpp"
#include "ledger/checkpoint.hpp"
#include "ledger/entry.hpp"
#include "ledger/tree.hpp"
#include "store/store.hpp"

namespace heddle::ledger {

/// What proves that an entry is in the ledger, checkable offline with the ledger's verifier key
/// alone.
struct Proof {
  std::uint64_t index = 0;
  std::string entry;           ///< its bytes
  std::vector<Digest> hashes;  ///< inclusion in the checkpoint's tree
  std::string checkpoint;      ///< signed note

  [[nodiscard]] std::string str() const;  ///< C2SP `.tlog-proof`
};

/// The tamper-evident log of decisions: an RFC 6962 tree over the log of a store::State. `append`
/// is part of the caller's transaction, so an entry and what it records are durable together;
/// everything under `directory` (tlog-tiles, checkpoint, signed history) is derived from committed
/// rows by `publish` and can be rebuilt. Thread-safe.
class Ledger {
 public:
  struct Options {
    std::string directory;         ///< `.heddle/tiles`
    std::string project;           ///< origin and key name: `heddle/<project>`
    Ed25519Key key;                ///< signs checkpoints
    const Clock* clock = nullptr;  ///< nullptr: the system's
    /// A person puts an older state in force: published files that it does not hold are set aside
    /// (`<directory>.abandoned-...`), and `restore` follows.
    bool restores = false;
    FilePort* files = &system_files();
  };

  /// Checks what is on disk against the state: kCorrupt `ledger-rolled-back` when the state holds
  /// less than the last signed checkpoint, `ledger-inconsistent` when it holds something else.
  /// What is missing of the published files, or damaged, is written again from the state, and an
  /// entry says so first (`ledger.damage`): `verify` fails until somebody asked for a `rebuild`.
  /// `state` must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<Ledger>> open(store::State& state, Options options);
  ~Ledger();

  /// Fills `seq` and `t`, appends, advances the tree; in `txn`, so it happens only if `txn`
  /// commits. Returns the number.
  [[nodiscard]] Result<std::uint64_t> append(store::Txn& txn, Entry entry);
  /// `append` in a transaction of its own.
  [[nodiscard]] Result<std::uint64_t> record(Entry entry);

  /// Writes the tiles of what was committed, then signs and writes the checkpoint, unless nothing
  /// is new. Never signs what does not contain the last signed one. Call it every second and after
  /// what matters (an approval, a release, a stop).
  [[nodiscard]] Result<Checkpoint> publish();
  /// What git knows of this ledger against what it holds (ledger/anchor.hpp). kCorrupt:
  /// `ledger-rolled-back`, `ledger-inconsistent` when git holds a checkpoint that this ledger does
  /// not contain, `ledger-anchor-missing` when there was one and there is none,
  /// `ledger-anchor-unreadable`. Call it at every opening. How many entries are anchored.
  [[nodiscard]] Result<std::uint64_t> check_anchor(store::Git& git);
  /// `publish`, `check_anchor`, then commits the checkpoint and the verifier key to `anchor_ref`.
  /// The first time an entry says so (`ledger.anchored`). Returns the commit.
  [[nodiscard]] Result<std::string> anchor(store::Git& git);
  /// Of a ledger that was opened with `restores`: `entry`, completed as `ledger.restore`, names
  /// the signed checkpoints that this state does not hold, so that they are looked for no more;
  /// then `anchor`. Returns its number.
  [[nodiscard]] Result<std::uint64_t> restore(store::Git& git, Entry entry);

  /// An entry `ledger.damage` for evidence beside the ledger that somebody removed: `part`
  /// (`journal`) of `target`. As for tiles, `verify` fails until a `rebuild`.
  [[nodiscard]] Result<void> record_missing(const std::string& part, const std::string& target);

  /// Writes every tile and the checkpoint again from the state, and records `entry` as
  /// `ledger.rebuild`: with it a person says that what was missing is known.
  [[nodiscard]] Result<Checkpoint> rebuild(Entry entry);

  /// Of a published entry, against the last checkpoint.
  [[nodiscard]] Result<Proof> prove(std::uint64_t index);

  /// Committed entries from `from` on, oldest first, until `visit` returns false.
  [[nodiscard]] Result<void> read(std::uint64_t from,
                                  const std::function<bool(const Entry&)>& visit);
  [[nodiscard]] Result<std::uint64_t> size();
  [[nodiscard]] std::optional<Checkpoint> last_checkpoint() const;
  [[nodiscard]] const VerifierKey& verifier_key() const;
  /// Never earlier than any entry: for expiry, so that a clock set back extends nothing.
  [[nodiscard]] Result<Micros> now(store::Txn& txn) const;

 private:
  struct Impl;
  explicit Ledger(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace heddle::ledger
