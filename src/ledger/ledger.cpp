#include "ledger/ledger.hpp"

#include <mutex>

#include "base/encoding.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "ledger/anchor.hpp"
#include "ledger/head.hpp"
#include "ledger/history.hpp"
#include "ledger/tiles.hpp"

namespace heddle::ledger {

Result<Head> read_head(store::Txn& txn) {
  HEDDLE_ASSIGN_OR_RETURN(const auto bytes, txn.get("ledger", "head"));
  Head head;
  if (!bytes) return head;
  if (bytes->size() < 8)
    return Error{ErrorKind::kCorrupt, "ledger-range-malformed", "the ledger's head is too short"};
  std::uint64_t t = 0;
  for (std::size_t i = 0; i < 8; ++i) t = t << 8 | static_cast<unsigned char>((*bytes)[i]);
  head.t = static_cast<Micros>(t);
  HEDDLE_ASSIGN_OR_RETURN(head.range, CompactRange::from_bytes(std::string_view(*bytes).substr(8)));
  return head;
}

namespace {

constexpr const char* kCollection = "ledger";
constexpr const char* kAnchored = "anchored";    ///< key: number of the entry that says so
constexpr const char* kAbandoned = "abandoned";  ///< key: `SIZE ROOT` lines, of restores
constexpr const char* kSetAside = "set_aside";   ///< key: folder that the next restore names

Error rolled_back(std::uint64_t have, std::uint64_t known, std::string_view where) {
  return {ErrorKind::kCorrupt, "ledger-rolled-back",
          fmt::format("the ledger holds {} entries, but {} were signed ({})", have, known, where),
          "an older copy of the state was put back: bring the newest one back. Where it is lost, a "
          "person says that this one counts: `heddle audit restore --reason TEXT --person NAME "
          "--key FILE`"};
}

Error inconsistent(std::uint64_t size, std::string_view where) {
  return {ErrorKind::kCorrupt, "ledger-inconsistent",
          fmt::format("the first {} entries are not those that were signed ({})", size, where),
          "entries were changed after they were signed: run `heddle audit verify` to see which"};
}

}  // namespace

struct Ledger::Impl {
  Impl(store::State& state_in, Options options_in)
      : state(state_in),
        options(std::move(options_in)),
        clock(options.clock != nullptr ? *options.clock : system_clock()),
        key{"heddle/" + options.project, options.key.public_key},
        files(*options.files),
        tiles(files, options.directory) {}

  store::State& state;
  Options options;
  const Clock& clock;
  VerifierKey key;
  FilePort& files;

  std::mutex publishing;  ///< guards what follows up to `checkpoint_mutex`; taken before the state,
                          ///< never inside it
  TileWriter tiles;
  bool loaded = false;  ///< `tiles` stands at the last checkpoint
  std::size_t history_bytes = 0;
  HistoryMark mark;         ///< of the checkpoints in the history
  std::string set_aside;    ///< folder of the published files that a restore found too new
  bool tiles_told = false;  ///< that the tiles do not load is recorded once, not every second

  mutable std::mutex checkpoint_mutex;
  std::optional<Checkpoint> checkpoint;
  std::string note;

  [[nodiscard]] std::uint64_t signed_size() const {
    const std::lock_guard lock(checkpoint_mutex);
    return checkpoint ? checkpoint->size : 0;
  }

  Result<std::uint64_t> append(store::Txn& txn, Entry entry) {
    HEDDLE_ASSIGN_OR_RETURN(auto head, read_head(txn));
    entry.seq = head.range.size();
    // Never back: entries stay in order of time when the clock is set back.
    entry.t = head.t = std::max(clock.wall(), head.t);
    HEDDLE_ASSIGN_OR_RETURN(const auto json, to_json(entry));
    HEDDLE_ASSIGN_OR_RETURN(const auto number, txn.append(json));
    // The log and the head are one: another number means that one of the two was changed.
    if (number != entry.seq) return inconsistent(number, "the state's own head");
    head.range.append(leaf_hash(json));
    std::string bytes;
    for (int shift = 56; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<char>(static_cast<std::uint64_t>(head.t) >> shift & 0xff));
    HEDDLE_TRY(txn.put("ledger", "head", bytes + head.range.bytes()));
    return number;
  }

  /// An entry for what is gone, before it is written again: else nobody would know that it was
  /// gone.
  Result<void> record_damage(const std::vector<std::string>& missing,
                             const std::string& target = "ledger") {
    if (missing.empty()) return {};
    auto list = doc::Value::array();
    for (const auto& each : missing) list.push(each);
    return state.write([&](store::Txn& txn) -> Result<void> {
      HEDDLE_ASSIGN_OR_RETURN(const auto rows, txn.log_size());
      Entry entry;
      entry.op_id = fmt::format("{}/{}", kDamageAction, rows);
      entry.actor = "system:ledger";
      entry.action = kDamageAction;
      entry.target = target;
      entry.attributes = doc::Value::object({{"missing", list}});
      entry.result = "found";
      entry.reason = fmt::format("missing or damaged: {}", fmt::join(missing, ", "));
      log::error(
          "{}: missing or damaged: {}; `heddle audit verify` fails until `heddle audit "
          "verify --rebuild`",
          target, fmt::join(missing, ", "));
      HEDDLE_TRY(append(txn, std::move(entry)));
      return {};
    });
  }

  /// Looks for what was deleted since it was written.
  Result<void> look() {
    std::vector<std::string> missing;
    if (signed_size() > 0 && !path_exists(files, options.directory + "/checkpoint"))
      missing.emplace_back("checkpoint");
    const auto size = signed_size();
    if (loaded && size > 0) {
      const auto last = (size - 1) / kTileWidth;
      const auto newest = entries_path(last, tile_width(0, last, size));
      // Loading finds what is gone, says so and writes it again.
      if (!path_exists(files, options.directory + "/" + newest)) loaded = false;
    }
    // By its size only: it grows for years, and `verify` reads it whole.
    const auto path = options.directory + "/history";
    const std::int64_t bytes = files.size(path.c_str());
    const bool shorter = bytes >= 0 && static_cast<std::size_t>(bytes) < history_bytes;
    if (history_bytes > 0 && (shorter || !path_exists(files, path))) {
      missing.emplace_back("history");
      HEDDLE_ASSIGN_OR_RETURN(const auto history, read_history(files, options.directory));
      follow(history);
    }
    return record_damage(missing);
  }

  /// Goes on from the history as it lies there.
  void follow(const History& history) {
    history_bytes = history.whole_bytes;
    mark = {};
    for (const auto& each : history.notes) mark.add(each);
  }

  /// Feeds committed entries to the tiles until all of them are there; the state is never held
  /// while a file is written.
  Result<Head> feed() {
    Head head;
    for (;;) {
      std::vector<std::string> entries;
      const auto from = tiles.size();
      HEDDLE_TRY(state.read([&](store::Txn& txn) -> Result<void> {
        HEDDLE_ASSIGN_OR_RETURN(head, read_head(txn));
        // In portions, so that a long ledger is never in memory as a whole.
        return txn.read_log(from, std::min(head.range.size(), from + 1024),
                            [&](std::uint64_t, std::string_view entry) {
                              entries.emplace_back(entry);
                              return true;
                            });
      }));
      for (const auto& entry : entries) HEDDLE_TRY(tiles.append(entry));
      if (tiles.size() >= head.range.size() || entries.empty()) return head;
    }
  }

  /// Brings `tiles` to the last checkpoint: from disk, else from the state's rows.
  Result<void> load() {
    const auto size = signed_size();
    const auto done = tiles.load(size);
    if (done.ok() && (size == 0 || tiles.range().root() == checkpoint->root)) {
      loaded = true;
      tiles_told = false;
      return {};
    }
    // What cannot be read at this moment (a disk that fails, no descriptor left) is not gone.
    if (!done.ok() && done.error().kind == ErrorKind::kIo) return done.error();
    if (size > 0 && !tiles_told) {
      HEDDLE_TRY(record_damage({"tiles"}));
      tiles_told = true;
    }
    return rewrite();
  }

  /// Writes the tiles of the last checkpoint from the state's rows.
  Result<void> rewrite() {
    const auto size = signed_size();
    tiles = TileWriter(files, options.directory);
    std::vector<std::string> entries;
    while (tiles.size() < size) {
      entries.clear();
      HEDDLE_TRY(state.read([&](store::Txn& txn) {
        return txn.read_log(tiles.size(), std::min(size, tiles.size() + 1024),
                            [&](std::uint64_t, std::string_view entry) {
                              entries.emplace_back(entry);
                              return true;
                            });
      }));
      if (entries.empty()) return rolled_back(tiles.size(), size, "the last checkpoint");
      for (const auto& entry : entries) HEDDLE_TRY(tiles.append(entry));
    }
    if (size > 0 && tiles.range().root() != checkpoint->root)
      return inconsistent(size, "the last checkpoint");
    HEDDLE_TRY(tiles.flush());
    loaded = true;
    return {};
  }

  /// What a file holds; kNotFound is an answer. Read, not asked for first: what a failing disk says
  /// of one call it may deny at the next.
  Result<std::optional<std::string>> read_published(const std::string& name) {
    auto text = read_file(files, options.directory + "/" + name);
    if (text.ok()) return std::optional(std::move(*text));
    if (text.error().kind != ErrorKind::kNotFound) return text.error();
    return std::optional<std::string>();
  }

  /// Takes up the checkpoint beside the history, and names what is missing of the two.
  Result<void> take_checkpoint(const History& history, const std::optional<std::string>& published,
                               bool was_signed, std::vector<std::string>& missing) {
    std::optional<Checkpoint> last;
    if (!history.notes.empty()) {
      note = history.notes.back();
      HEDDLE_ASSIGN_OR_RETURN(last, open_checkpoint(note, key));
    }
    if (published) {
      HEDDLE_ASSIGN_OR_RETURN(const auto newest, open_checkpoint(*published, key));
      if (!last || newest.size > last->size) {
        // Signed and written, and then a crash before the history: it counts.
        HEDDLE_TRY(append_history(files, options.directory, history_bytes, *published));
        history_bytes += published->size() + 1;
        mark.add(*published);
        last = newest;
        note = *published;
      } else if (newest.size < last->size) {
        missing.emplace_back("checkpoint");  // it is written before the history, so never behind it
      }
    } else if (last || was_signed) {
      missing.emplace_back("checkpoint");
    }
    checkpoint = last;
    return {};
  }

  Result<void> open() {
    HEDDLE_TRY(make_dirs(files, options.directory));
    const std::string path = options.directory + "/checkpoint";
    HEDDLE_ASSIGN_OR_RETURN(const auto published, read_published("checkpoint"));
    HEDDLE_ASSIGN_OR_RETURN(const auto there, read_published("vkey"));
    // Until something is signed the project may still get another name.
    if (!there || (!published && *there != key.str() + "\n"))
      HEDDLE_TRY(write_file_atomic(files, options.directory + "/vkey", key.str() + "\n"));
    HEDDLE_ASSIGN_OR_RETURN(const auto history, read_history(files, options.directory));
    follow(history);
    std::vector<std::string> missing;
    HistoryMark known;
    HEDDLE_TRY(state.read([&](store::Txn& txn) -> Result<void> {
      HEDDLE_ASSIGN_OR_RETURN(known, read_mark(txn));
      return {};
    }));
    if (!known.begins(history)) missing.emplace_back("history");
    HEDDLE_TRY(take_checkpoint(history, published, known.notes > 0, missing));

    Head head;
    std::uint64_t rows = 0;
    const auto read_rows = [&] {
      return state.read([&](store::Txn& txn) -> Result<void> {
        HEDDLE_ASSIGN_OR_RETURN(head, read_head(txn));
        HEDDLE_ASSIGN_OR_RETURN(rows, txn.log_size());
        return {};
      });
    };
    HEDDLE_TRY(read_rows());
    if (rows != head.range.size()) return inconsistent(head.range.size(), "the state's own head");
    if (rows < signed_size()) return rolled_back(rows, signed_size(), "the last checkpoint");
    HEDDLE_TRY(record_damage(missing));
    if (checkpoint) HEDDLE_TRY(write_file_atomic(files, path, note));
    HEDDLE_TRY(load());
    HEDDLE_TRY(read_rows());  // with what was recorded meanwhile
    // What was committed after the checkpoint, against the head that was committed with it.
    CompactRange range = tiles.range();
    HEDDLE_TRY(state.read([&](store::Txn& txn) {
      return txn.read_log(range.size(), rows, [&](std::uint64_t, std::string_view entry) {
        range.append(leaf_hash(entry));
        return true;
      });
    }));
    if (range != head.range) return inconsistent(rows, "the state's own head");
    return {};
  }

  /// The root of the first entries: from the tiles, or from the state's rows where the tiles do not
  /// reach. Nothing is signed for it.
  Result<Digest> root_at(std::uint64_t size) {
    const auto published = signed_size();
    if (size <= published) {
      TileReader reader(files, options.directory, published);
      return root_of(size, reader.reader());
    }
    CompactRange range;
    HEDDLE_TRY(state.read([&](store::Txn& txn) {
      return txn.read_log(0, size, [&](std::uint64_t, std::string_view entry) {
        range.append(leaf_hash(entry));
        return true;
      });
    }));
    return range.root();
  }

  /// What git holds that is not of this ledger, and what that means.
  struct Strange {
    std::uint64_t anchored = 0;  ///< entries
    bool exists = false;
    std::vector<Checkpoint> checkpoints{};
    std::optional<Error> error{};
    std::string known{};  ///< those that restores named
  };
  /// One checkpoint of git beside the first `size` entries.
  Result<void> examine(const Checkpoint& each, std::uint64_t size, Strange& strange) {
    strange.exists = true;
    if (strange.known.find(abandoned_text(each) + "\n") != std::string::npos) return {};
    if (each.size <= size) {
      HEDDLE_ASSIGN_OR_RETURN(const auto root, root_at(each.size));
      if (root == each.root) {
        strange.anchored = std::max(strange.anchored, each.size);
        return {};
      }
      strange.error = inconsistent(each.size, "the checkpoint in git");
    } else if (!strange.error || strange.error->id != "ledger-rolled-back") {
      strange.error = rolled_back(size, each.size, "the checkpoint in git");
    }
    strange.checkpoints.push_back(each);
    return {};
  }

  Result<Strange> strange_anchors(store::Git& git) {
    Strange strange;
    std::optional<std::string> anchored;
    HEDDLE_TRY(state.read([&](store::Txn& txn) -> Result<void> {
      HEDDLE_ASSIGN_OR_RETURN(anchored, txn.get(kCollection, kAnchored));
      HEDDLE_ASSIGN_OR_RETURN(const auto known, txn.get(kCollection, kAbandoned));
      strange.known = known.value_or("");
      return {};
    }));
    const auto anchors = read_anchors(git, key);
    if (!anchors.ok()) {
      if (anchors.error().kind != ErrorKind::kCorrupt) return anchors.error();
      strange.error = anchors.error();
      return strange;
    }
    std::uint64_t size = 0;
    HEDDLE_TRY(state.read([&](store::Txn& txn) -> Result<void> {
      HEDDLE_ASSIGN_OR_RETURN(size, txn.log_size());
      return {};
    }));
    for (const auto& each : *anchors) HEDDLE_TRY(examine(each, size, strange));
    if (!strange.exists && anchored) {
      strange.error =
          Error{ErrorKind::kCorrupt, "ledger-anchor-missing",
                fmt::format("entry {} says that checkpoints are kept in git, and `{}` is gone",
                            *anchored, anchor_ref(key)),
                "bring the ref back, for example from a clone (`git fetch REMOTE "
                "'+refs/heddle/*:refs/heddle/*'`). Where it is lost, a person says so: `heddle "
                "audit restore --reason TEXT --person NAME --key FILE`"};
    }
    return strange;
  }

  Result<Checkpoint> publish() {
    HEDDLE_TRY(look());
    if (!loaded) HEDDLE_TRY(load());
    loaded = false;  // until all of it is done: what fails half-way is loaded again
    HEDDLE_ASSIGN_OR_RETURN(const auto head, feed());
    const auto size = tiles.size();
    if (size != head.range.size() || tiles.range() != head.range)
      return inconsistent(size, "the state's own head");
    const Checkpoint next{key.name, size, head.range.root()};
    const auto last = [&] {
      const std::lock_guard lock(checkpoint_mutex);
      return checkpoint;
    }();
    if (last && last->size == size) {
      loaded = true;
      return *last;
    }
    HEDDLE_TRY(tiles.flush());
    if (last) {
      // From the bytes that others will read, so that nothing is signed that they could not follow.
      TileReader reader(files, options.directory, size);
      HEDDLE_ASSIGN_OR_RETURN(const auto proof,
                              consistency_proof(last->size, size, reader.reader()));
      if (!verify_consistency(last->size, size, last->root, next.root, proof))
        return inconsistent(last->size, "the last checkpoint");
    }
    const auto text = sign_checkpoint(next, options.key, key.name);
    HEDDLE_TRY(write_file_atomic(files, options.directory + "/checkpoint", text));
    HEDDLE_TRY(append_history(files, options.directory, history_bytes, text));
    history_bytes += text.size() + 1;
    tiles.sweep();
    {
      const std::lock_guard lock(checkpoint_mutex);
      checkpoint = next;
      note = text;
    }
    mark.add(text);
    HEDDLE_TRY(state.write([&](store::Txn& txn) { return write_mark(txn, mark); }));
    loaded = true;
    return next;
  }
};

Ledger::Ledger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>> Ledger::open(store::State& state, Options options) {
  if (options.project.empty() || options.project.find_first_of(" \t\r\n+") != std::string::npos) {
    return Error{ErrorKind::kInvalid, "ledger-origin",
                 fmt::format("`{}` cannot name a ledger", options.project),
                 "use a project name without spaces and `+`"};
  }
  auto impl = std::make_unique<Impl>(state, options);
  auto opened = impl->open();
  const bool too_new =
      !opened.ok() && options.restores &&
      (opened.error().id == "ledger-rolled-back" || opened.error().id == "ledger-inconsistent");
  if (too_new) {
    const auto aside = fmt::format("{}.abandoned-{}", options.directory, uuid7());
    // Named before it is moved: who comes after a crash in between finds it by that name.
    HEDDLE_TRY(state.write([&](store::Txn& txn) -> Result<void> {
      HEDDLE_TRY(txn.erase(kCollection, "history"));
      return txn.put(kCollection, kSetAside, aside.substr(aside.find_last_of('/') + 1));
    }));
    if (options.files->rename(options.directory.c_str(), aside.c_str()) != 0)
      return file_error("rename", options.directory);
    impl = std::make_unique<Impl>(state, options);
    opened = impl->open();
  }
  HEDDLE_TRY(std::move(opened));
  HEDDLE_TRY(state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto name, txn.get(kCollection, kSetAside));
    impl->set_aside = name.value_or("");
    return {};
  }));
  return std::unique_ptr<Ledger>(new Ledger(std::move(impl)));
}

Result<std::uint64_t> Ledger::append(store::Txn& txn, Entry entry) {
  return impl_->append(txn, std::move(entry));
}

Result<std::uint64_t> Ledger::record(Entry entry) {
  std::uint64_t number = 0;
  HEDDLE_TRY(impl_->state.write([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(number, append(txn, entry));
    return {};
  }));
  return number;
}

Result<Checkpoint> Ledger::publish() {
  const std::lock_guard lock(impl_->publishing);
  return impl_->publish();
}

Result<std::uint64_t> Ledger::check_anchor(store::Git& git) {
  const std::lock_guard lock(impl_->publishing);
  HEDDLE_ASSIGN_OR_RETURN(const auto strange, impl_->strange_anchors(git));
  if (strange.error) return *strange.error;
  return strange.anchored;
}

Result<std::string> Ledger::anchor(store::Git& git) {
  const std::lock_guard lock(impl_->publishing);
  HEDDLE_ASSIGN_OR_RETURN(const auto checkpoint, impl_->publish());
  HEDDLE_ASSIGN_OR_RETURN(const auto strange, impl_->strange_anchors(git));
  if (strange.error) return *strange.error;
  const std::string ref = anchor_ref(impl_->key);
  HEDDLE_ASSIGN_OR_RETURN(
      auto commit,
      git.commit(ref, "", {{"checkpoint", impl_->note}, {"vkey", impl_->key.str() + "\n"}},
                 fmt::format("checkpoint of {} entries\n", checkpoint.size)));
  HEDDLE_TRY(impl_->state.write([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto known, txn.get(kCollection, kAnchored));
    if (known) return {};
    Entry entry;
    entry.op_id = fmt::format("{}/{}", kAnchoredAction, checkpoint.size);
    entry.actor = "system:ledger";
    entry.action = kAnchoredAction;
    entry.target = "ledger";
    entry.attributes =
        doc::Value::object({{"ref", ref}, {"size", checkpoint.size}, {"commit", commit}});
    entry.result = "done";
    entry.reason = "checkpoints are kept in git from now on";
    HEDDLE_ASSIGN_OR_RETURN(const auto number, impl_->append(txn, std::move(entry)));
    return txn.put(kCollection, kAnchored, fmt::to_string(number));
  }));
  return commit;
}

Result<std::uint64_t> Ledger::restore(store::Git& git, Entry entry) {
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(impl_->publishing);
    HEDDLE_TRY(impl_->publish());
    HEDDLE_ASSIGN_OR_RETURN(const auto strange, impl_->strange_anchors(git));
    if (!strange.error && impl_->set_aside.empty()) {
      return Error{ErrorKind::kConflict, "restore-not-needed",
                   "the state holds every checkpoint that was signed",
                   "there is nothing to restore: `heddle audit verify` has more"};
    }
    auto abandoned = doc::Value::array();
    for (const auto& each : strange.checkpoints) abandoned.push(abandoned_text(each));
    entry.op_id = fmt::format("{}/{}", kRestoreAction, impl_->tiles.size());
    entry.action = kRestoreAction;
    entry.target = "ledger";
    entry.result = "done";
    entry.attributes.set("abandoned", std::move(abandoned));
    if (!impl_->set_aside.empty()) entry.attributes.set("set_aside", impl_->set_aside);
    if (strange.error) entry.attributes.set("found", strange.error->id);
    HEDDLE_TRY(impl_->state.write([&](store::Txn& txn) -> Result<void> {
      // Before the entry: an anchor that is gone, or that cannot be read, is made anew after it.
      HEDDLE_TRY(txn.erase(kCollection, kAnchored));
      HEDDLE_TRY(txn.erase(kCollection, kSetAside));
      HEDDLE_ASSIGN_OR_RETURN(number, impl_->append(txn, entry));
      auto known = strange.known;
      for (const auto& each : strange.checkpoints) known += abandoned_text(each) + "\n";
      return txn.put(kCollection, kAbandoned, known);
    }));
    impl_->set_aside.clear();
  }
  // The person's word counts from its entry on. Where git cannot be written the anchor follows as
  // soon as it can, as after any other decision.
  if (const auto anchored = anchor(git); !anchored.ok()) {
    if (anchored.error().kind == ErrorKind::kCorrupt) return anchored.error();
    log::error("the ledger's checkpoint is not kept in git: {}", anchored.error().str());
  }
  return number;
}

Result<void> Ledger::record_missing(const std::string& part, const std::string& target) {
  return impl_->record_damage({part}, target);
}

Result<Checkpoint> Ledger::rebuild(Entry entry) {
  const std::lock_guard lock(impl_->publishing);
  HEDDLE_TRY(impl_->look());
  HEDDLE_TRY(impl_->rewrite());
  if (impl_->signed_size() > 0)
    HEDDLE_TRY(
        write_file_atomic(impl_->files, impl_->options.directory + "/checkpoint", impl_->note));
  entry.action = kRebuildAction;
  entry.target = "ledger";
  entry.result = "done";
  HEDDLE_TRY(record(std::move(entry)));
  return impl_->publish();
}

Result<Proof> Ledger::prove(std::uint64_t index) {
  const std::lock_guard lock(impl_->publishing);
  Proof proof;
  proof.index = index;
  const auto size = impl_->signed_size();
  proof.checkpoint = impl_->note;
  TileReader reader(impl_->files, impl_->options.directory, size);
  HEDDLE_ASSIGN_OR_RETURN(proof.hashes, inclusion_proof(index, size, reader.reader()));
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) {
    return txn.read_log(index, index + 1, [&](std::uint64_t, std::string_view entry) {
      proof.entry = entry;
      return true;
    });
  }));
  return proof;
}

Result<void> Ledger::read(std::uint64_t from, const std::function<bool(const Entry&)>& visit) {
  Result<void> parsed;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) {
    return txn.read_log(from, UINT64_MAX, [&](std::uint64_t, std::string_view bytes) {
      const auto entry = parse_entry(bytes);
      if (!entry) {
        parsed = entry.error();
        return false;
      }
      return visit(*entry);
    });
  }));
  return parsed;
}

Result<std::uint64_t> Ledger::size() {
  std::uint64_t size = 0;
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(size, txn.log_size());
    return {};
  }));
  return size;
}

std::optional<Checkpoint> Ledger::last_checkpoint() const {
  const std::lock_guard lock(impl_->checkpoint_mutex);
  return impl_->checkpoint;
}

const VerifierKey& Ledger::verifier_key() const { return impl_->key; }

Result<Micros> Ledger::now(store::Txn& txn) const {
  HEDDLE_ASSIGN_OR_RETURN(const auto head, read_head(txn));
  return std::max(impl_->clock.wall(), head.t);
}

std::string Proof::str() const {
  std::string text = fmt::format("c2sp.org/tlog-proof@v1\nindex {}\n", index);
  for (const auto& hash : hashes) {
    text +=
        base64_encode({reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size()}) + "\n";
  }
  return text + "\n" + checkpoint;
}

}  // namespace heddle::ledger
