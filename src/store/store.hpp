#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"

namespace heddle::store {

/// One transaction over the state: named collections of key -> bytes, ordered by key, and one
/// append-only log of entries (the ledger's rows). Valid only inside the callback that received it.
class Txn {
 public:
  virtual ~Txn() = default;
  [[nodiscard]] virtual Result<std::optional<std::string>> get(std::string_view collection,
                                                               std::string_view key) = 0;
  [[nodiscard]] virtual Result<void> put(std::string_view collection, std::string_view key,
                                         std::string_view value) = 0;
  [[nodiscard]] virtual Result<void> erase(std::string_view collection, std::string_view key) = 0;
  /// Keys that begin with `prefix`, ascending; `visit` returns false to stop.
  [[nodiscard]] virtual Result<void> scan(
      std::string_view collection, std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;
  /// Appends to the log; the first entry has number 0. There is no way to change or remove one.
  [[nodiscard]] virtual Result<std::uint64_t> append(std::string_view entry) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> log_size() = 0;
  /// Entries [begin, end) in order.
  [[nodiscard]] virtual Result<void> read_log(
      std::uint64_t begin, std::uint64_t end,
      const std::function<bool(std::uint64_t, std::string_view)>& visit) = 0;
};

/// The state of a project. One process has it open (DESIGN 4). Thread-safe: writers take turns,
/// each `write` is one durable transaction: all of it or nothing, kept after a power loss once it
/// returned ok.
class State {
 public:
  virtual ~State() = default;
  /// Commits when `body` returns ok, else rolls back and passes its error on.
  [[nodiscard]] virtual Result<void> write(const std::function<Result<void>(Txn&)>& body) = 0;
  [[nodiscard]] virtual Result<void> read(const std::function<Result<void>(Txn&)>& body) = 0;
  /// Why it takes nothing more until it is opened again, without waiting for anybody; ok: it does.
  [[nodiscard]] virtual Result<void> usable() const = 0;
};

/// Content-addressed blobs and the manifests that tie them, in OCI image layout. Thread-safe;
/// nothing half-written is ever visible.
class Objects {
 public:
  virtual ~Objects() = default;
  [[nodiscard]] virtual Result<Digest> put(std::string_view bytes) = 0;
  /// Verified against the digest while reading: kCorrupt when they differ, kNotFound when there is
  /// none.
  [[nodiscard]] virtual Result<std::string> get(const Digest& digest) = 0;
  [[nodiscard]] virtual bool has(const Digest& digest) = 0;
  /// Makes an object of a file. The file may become the object itself (a link), so nobody may write
  /// to it afterwards; its name stays the caller's. By default its bytes are `put`.
  [[nodiscard]] virtual Result<Digest> add_file(const std::string& path);
  /// Makes the file `path`, which must not be there, with an object's bytes, for reading only. It
  /// may be the object itself (a link): then its bytes are not looked at, while a copy is held
  /// against the digest (kCorrupt). kNotFound when there is no such object. By default a copy.
  [[nodiscard]] virtual Result<void> place(const Digest& digest, const std::string& path);
  /// Names a manifest in `index.json` with a tag; the newest wins.
  [[nodiscard]] virtual Result<void> tag(std::string_view name, const Digest& manifest,
                                         std::string_view media_type, std::uint64_t size) = 0;
  [[nodiscard]] virtual Result<std::vector<std::pair<std::string, Digest>>> tags() = 0;
};

/// The project's git repository: Heddle writes objects and refs only, never an index or a work tree
/// (DESIGN 4, Git).
class Git {
 public:
  virtual ~Git() = default;
  struct File {
    std::string path;  ///< relative to the project
    std::string bytes;
  };
  /// What stands in a commit's tree.
  struct Entry {
    enum class Kind { kFile, kFolder, kLink, kModule };
    std::string name;  ///< its last component
    std::string id;    ///< of the object, hex
    Kind kind = Kind::kFile;
    bool executable = false;
  };

  /// The commit HEAD names, hex; kNotFound in a repository without one.
  [[nodiscard]] virtual Result<std::string> head() = 0;
  /// The commit that a revision (a branch, a tag, `HEAD~2`, a commit) names, hex; kNotFound
  /// `git-revision-not-found`.
  [[nodiscard]] virtual Result<std::string> resolve(std::string_view revision) = 0;
  /// The blob id git gives to these bytes, without writing it.
  [[nodiscard]] virtual std::string blob_id(std::string_view bytes) = 0;
  /// A file as of a revision (`HEAD`, a branch, a commit). Symbolic links are followed as far as
  /// the commit's own tree goes: kUnprocessable `git-link-outside` where one leads out of the
  /// repository, `git-submodule` where the path is in a submodule. kNotFound `git-file-not-found`
  /// when there is no such file.
  [[nodiscard]] virtual Result<std::string> read(std::string_view revision,
                                                 std::string_view path) = 0;
  /// What stands at `path` as of a revision, with the errors of `read`; links on the way and at its
  /// end are followed.
  [[nodiscard]] virtual Result<Entry> find(std::string_view revision, std::string_view path) = 0;
  /// What a folder holds as of a revision, by name; empty when there is no such folder. A link in
  /// it stays `kLink`.
  [[nodiscard]] virtual Result<std::vector<Entry>> list(std::string_view revision,
                                                        std::string_view folder) = 0;
  /// Whether the file at `path` of the work tree is what git would write there for this blob: its
  /// bytes, their form before the line-end filters, or the content that a Git LFS pointer names.
  /// False when there is no file.
  [[nodiscard]] virtual Result<bool> same_on_disk(std::string_view blob, std::string_view path) = 0;
  /// Lets `ref` (`refs/heddle/...`) name `commit`, so that no clean-up of the repository removes
  /// it.
  [[nodiscard]] virtual Result<void> keep(const std::string& ref, std::string_view commit) = 0;
  /// Adds one commit to `ref` (`refs/heads/heddle/...`) with `files` over the tree of its tip; a
  /// new ref begins at `base` (a revision; empty: without a parent). Returns the commit id. The
  /// same call twice gives one commit more only if trees differ.
  [[nodiscard]] virtual Result<std::string> commit(const std::string& ref, const std::string& base,
                                                   const std::vector<File>& files,
                                                   const std::string& message) = 0;
};

}  // namespace heddle::store
