#include "ledger/ledger.hpp"

#include <sys/stat.h>

#include <mutex>

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
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

Error rolled_back(std::uint64_t have, std::uint64_t known, std::string_view where) {
  return {ErrorKind::kCorrupt, "ledger-rolled-back",
          fmt::format("the ledger holds {} entries, but {} were signed ({})", have, known, where),
          "an older copy of the state was put back: restore the newest one, then run `heddle audit "
          "verify`"};
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
        tiles(options.directory) {}

  store::State& state;
  Options options;
  const Clock& clock;
  VerifierKey key;

  std::mutex publishing;  ///< guards what follows up to `checkpoint_mutex`; taken before the state,
                          ///< never inside it
  TileWriter tiles;
  bool loaded = false;  ///< `tiles` stands at the last checkpoint
  std::size_t history_bytes = 0;
  HistoryMark mark;         ///< of the checkpoints in the history
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
    entry.t = head.t = std::max(clock.wall(), head.t);
    HEDDLE_ASSIGN_OR_RETURN(const auto json, to_json(entry));
    HEDDLE_ASSIGN_OR_RETURN(const auto number, txn.append(json));
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
  Result<void> record_damage(const std::vector<std::string>& missing) {
    if (missing.empty()) return {};
    auto list = doc::Value::array();
    for (const auto& each : missing) list.push(each);
    return state.write([&](store::Txn& txn) -> Result<void> {
      HEDDLE_ASSIGN_OR_RETURN(const auto rows, txn.log_size());
      Entry entry;
      entry.op_id = fmt::format("{}/{}", kDamageAction, rows);
      entry.actor = "system:ledger";
      entry.action = kDamageAction;
      entry.target = "ledger";
      entry.attributes = doc::Value::object({{"missing", list}});
      entry.result = "found";
      entry.reason = fmt::format("missing or damaged: {}", fmt::join(missing, ", "));
      log::error(
          "ledger: missing or damaged: {}; `heddle audit verify` fails until `heddle audit "
          "verify --rebuild`",
          fmt::join(missing, ", "));
      HEDDLE_TRY(append(txn, std::move(entry)));
      return {};
    });
  }

  /// Looks for what was deleted since it was written.
  Result<void> look() {
    std::vector<std::string> missing;
    if (signed_size() > 0 && !path_exists(options.directory + "/checkpoint"))
      missing.emplace_back("checkpoint");
    // By its size only: it grows for years, and `verify` reads it whole.
    struct stat info{};
    const auto path = options.directory + "/history";
    const bool shorter =
        ::stat(path.c_str(), &info) == 0 && static_cast<std::size_t>(info.st_size) < history_bytes;
    if (history_bytes > 0 && (shorter || !path_exists(path))) {
      missing.emplace_back("history");
      HEDDLE_ASSIGN_OR_RETURN(const auto history, read_history(options.directory));
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
    tiles = TileWriter(options.directory);
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

  Result<void> open() {
    HEDDLE_TRY(make_dirs(options.directory));
    const std::string vkey_path = options.directory + "/vkey";
    // Until something is signed the project may still get another name.
    const auto there = read_file(vkey_path);
    const bool is_signed = path_exists(options.directory + "/checkpoint");
    if (!there.ok() || (!is_signed && *there != key.str() + "\n"))
      HEDDLE_TRY(write_file_atomic(vkey_path, key.str() + "\n"));
    HEDDLE_ASSIGN_OR_RETURN(const auto history, read_history(options.directory));
    follow(history);
    std::vector<std::string> missing;
    HistoryMark known;
    HEDDLE_TRY(state.read([&](store::Txn& txn) -> Result<void> {
      HEDDLE_ASSIGN_OR_RETURN(known, read_mark(txn));
      return {};
    }));
    if (!known.begins(history)) missing.emplace_back("history");
    std::optional<Checkpoint> last;
    if (!history.notes.empty()) {
      note = history.notes.back();
      HEDDLE_ASSIGN_OR_RETURN(last, open_checkpoint(note, key));
    }
    const std::string path = options.directory + "/checkpoint";
    if (path_exists(path)) {
      HEDDLE_ASSIGN_OR_RETURN(const auto text, read_file(path));
      HEDDLE_ASSIGN_OR_RETURN(const auto newest, open_checkpoint(text, key));
      if (!last || newest.size > last->size) {
        // Signed and written, and then a crash before the history: it counts.
        HEDDLE_TRY(append_history(options.directory, history_bytes, text));
        history_bytes += text.size() + 1;
        mark.add(text);
        last = newest;
        note = text;
      } else if (newest.size < last->size) {
        missing.emplace_back("checkpoint");  // it is written before the history, so never behind it
      }
    } else if (last || known.notes > 0) {
      missing.emplace_back("checkpoint");
    }
    checkpoint = last;

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
    if (last) HEDDLE_TRY(write_file_atomic(path, note));
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
      TileReader reader(options.directory, size);
      HEDDLE_ASSIGN_OR_RETURN(const auto proof,
                              consistency_proof(last->size, size, reader.reader()));
      if (!verify_consistency(last->size, size, last->root, next.root, proof))
        return inconsistent(last->size, "the last checkpoint");
    }
    const auto text = sign_checkpoint(next, options.key, key.name);
    HEDDLE_TRY(write_file_atomic(options.directory + "/checkpoint", text));
    HEDDLE_TRY(append_history(options.directory, history_bytes, text));
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
  auto impl = std::make_unique<Impl>(state, std::move(options));
  HEDDLE_TRY(impl->open());
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

Result<std::string> Ledger::anchor(store::Git& git) {
  const std::lock_guard lock(impl_->publishing);
  HEDDLE_ASSIGN_OR_RETURN(const auto checkpoint, impl_->publish());
  auto found = git.read(kAnchorRef, "checkpoint");
  if (found) {
    HEDDLE_ASSIGN_OR_RETURN(const auto anchored, open_checkpoint(*found, impl_->key));
    if (anchored.size > checkpoint.size)
      return rolled_back(checkpoint.size, anchored.size, "the checkpoint in git");
    TileReader reader(impl_->options.directory, checkpoint.size);
    HEDDLE_ASSIGN_OR_RETURN(const auto root, root_of(anchored.size, reader.reader()));
    if (root != anchored.root) return inconsistent(anchored.size, "the checkpoint in git");
  } else if (found.error().kind != ErrorKind::kNotFound) {
    return found.error();
  }
  return git.commit(kAnchorRef, "",
                    {{"checkpoint", impl_->note}, {"vkey", impl_->key.str() + "\n"}},
                    fmt::format("checkpoint of {} entries\n", checkpoint.size));
}

Result<Checkpoint> Ledger::rebuild(Entry entry) {
  const std::lock_guard lock(impl_->publishing);
  HEDDLE_TRY(impl_->look());
  HEDDLE_TRY(impl_->rewrite());
  if (impl_->signed_size() > 0)
    HEDDLE_TRY(write_file_atomic(impl_->options.directory + "/checkpoint", impl_->note));
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
  TileReader reader(impl_->options.directory, size);
  HEDDLE_ASSIGN_OR_RETURN(proof.hashes, inclusion_proof(index, size, reader.reader()));
  HEDDLE_TRY(impl_->state.read([&](store::Txn& txn) {
    return txn.read_log(index, index + 1, [&](std::uint64_t, std::string_view entry) {
      proof.entry = entry;
      return true;
    });
  }));
  return proof;
}

Result<std::vector<Digest>> Ledger::prove_consistency(std::uint64_t old_size, std::uint64_t size) {
  const std::lock_guard lock(impl_->publishing);
  const auto published = impl_->signed_size();
  if (size > published) {
    return Error{ErrorKind::kInvalid, "ledger-proof-range",
                 fmt::format("{} of {} entries are not published", size - published, size)};
  }
  TileReader reader(impl_->options.directory, published);
  return consistency_proof(old_size, size, reader.reader());
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
