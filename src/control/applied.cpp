#include "control/applied.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "doc/signed_text.hpp"
#include "ledger/entry.hpp"
#include "plane/route.hpp"
#include "store/stored_number.hpp"

namespace heddle::control {
namespace {

constexpr std::size_t kNamed = 3;  ///< errors that a message names

Error unsigned_(const std::string& path) {
  return {ErrorKind::kCorrupt, "applied-unsigned",
          fmt::format("`{}` is not signed by the control plane's key", path),
          "somebody else wrote it, or the key changed: `heddle up --only control` writes it anew"};
}

Result<Ed25519Public> verifier_of(const Home& home) {
  HEDDLE_ASSIGN_OR_RETURN(auto text, read_file(home.control_public_key()));
  // The file ends in a newline, as a text file does; the key is the hex before it.
  while (!text.empty() && text.back() == '\n') text.pop_back();
  HEDDLE_ASSIGN_OR_RETURN(const auto bytes, hex_decode(text));
  Ed25519Public key{};
  if (bytes.size() != key.size()) return unsigned_(home.applied());
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

/// The first errors of definitions that are refused, for a message: `heddle check` looks at the
/// work tree, not at a commit.
std::string errors_of(const spec::Loaded& loaded) {
  std::vector<std::string> texts;
  std::size_t more = 0;
  // Every error is counted and only the first ones are named: a message is read in a terminal.
  for (const auto& diagnostic : loaded.diagnostics) {
    if (diagnostic.severity != doc::Severity::kError) continue;
    if (texts.size() == kNamed) {
      ++more;
      continue;
    }
    texts.push_back(
        fmt::format("{}:{}: {}", diagnostic.file, diagnostic.position.line, diagnostic.message));
  }
  return fmt::format("{}{}", fmt::join(texts, "; "),
                     more == 0 ? "" : fmt::format("; and {} more", more));
}

Error not_by_us(std::string_view what) {
  return {ErrorKind::kCorrupt, "applied-not-decided",
          fmt::format("the state says which commit runs, and has {}", what),
          "something else than `heddle apply` changed `.heddle/state.db`: bring it back from a "
          "backup"};
}

/// One of the three rows that say what was applied: one without the others was not written by us.
Result<std::string> applied_row(store::Txn& txn, const std::string& key) {
  HEDDLE_ASSIGN_OR_RETURN(const auto text, txn.get("control", key));
  if (text) return *text;
  return not_by_us(fmt::format("no `{}`", key));
}

}  // namespace

const doc::Schema<Applied>& applied_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<Applied>::record("`applied.json`", "what was applied last");
    t.of_format("heddle.applied/1")
        .refused_as(ErrorKind::kCorrupt, "applied-unsigned",
                    "`heddle up --only control` writes it anew");
    t.text("commit", &Applied::commit, "the commit's full id").filled();
    t.digest("definitions", &Applied::definitions, "SHA-256 over the definitions").filled();
    t.integer("entry", &Applied::entry, "number of the ledger entry that decided it");
    return t;
  }();
  return schema;
}

Result<std::optional<Applied>> applied_of(store::State& state) {
  std::optional<Applied> applied;
  HEDDLE_TRY(state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto commit, txn.get("control", "applied"));
    if (!commit) return {};
    applied.emplace();
    applied->commit = *commit;
    HEDDLE_ASSIGN_OR_RETURN(const auto digest, applied_row(txn, "applied-digest"));
    // A digest that does not parse was not written by an apply:
    // it is told as tampering and not as a fault of the reader.
    auto definitions = Digest::parse(digest);
    if (!definitions.ok()) return not_by_us("no digest in `applied-digest`");
    applied->definitions = *definitions;
    HEDDLE_ASSIGN_OR_RETURN(const auto entry, applied_row(txn, "applied-entry"));
    HEDDLE_ASSIGN_OR_RETURN(applied->entry, store::stored_number(entry, "control/applied-entry"));
    return {};
  }));
  return applied;
}

namespace {

/// The newest entry from number `from` on that made definitions what runs.
Result<std::optional<ledger::Entry>> newest_apply(store::State& state, std::uint64_t from) {
  // Most entries of a long ledger are something else, and are not parsed.
  const auto marked = fmt::format("\"action\":\"{}\"", kApplyAction);
  std::optional<ledger::Entry> newest;
  HEDDLE_TRY(state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto size, txn.log_size());
    // All of them are read, for the newest counts; the
    // caller starts at the entry that the state names.
    return txn.read_log(from, size, [&](std::uint64_t, std::string_view text) {
      if (text.find(marked) == std::string_view::npos) return true;
      auto entry = ledger::parse_entry(text);
      // One that cannot be read is told by `audit verify`: it decided nothing.
      if (entry.ok() && entry->action == kApplyAction && entry->result == "applied")
        newest = std::move(*entry);
      return true;
    });
  }));
  return newest;
}

bool is_of(const ledger::Entry& entry, const Applied& applied) {
  const auto about = std::pair<std::string, Digest>("definitions", applied.definitions);
  return entry.seq == applied.entry && entry.attributes.string_or("commit") == applied.commit &&
         std::find(entry.subjects.begin(), entry.subjects.end(), about) != entry.subjects.end();
}

}  // namespace

Result<void> check_applied(store::State& state, const std::optional<Applied>& applied) {
  // From the entry that the state names: an older apply cannot be the newest one.
  HEDDLE_ASSIGN_OR_RETURN(const auto newest, newest_apply(state, applied ? applied->entry : 0));
  if (!applied && !newest) return {};
  // Number, commit and digest must all agree: each row
  // can be changed alone by who can write the file.
  if (applied && newest && is_of(*newest, *applied)) return {};
  const auto by_state = applied ? fmt::format("commit {} runs since entry {}",
                                              applied->commit.substr(0, 12), applied->entry)
                                : std::string("nothing was applied");
  const auto by_ledger = newest
                             ? fmt::format("entry {} of the ledger applied commit {}", newest->seq,
                                           newest->attributes.string_or("commit").substr(0, 12))
                             : std::string("no entry of the ledger did that");
  return Error{
      ErrorKind::kCorrupt, "applied-not-decided",
      fmt::format("the state says that {}, and {}", by_state, by_ledger),
      "something else than `heddle apply` changed `.heddle/state.db`: bring it back from a "
      "backup; until then what was released is served, and nothing is decided"};
}

Result<void> publish_applied(const Home& home, store::Git& git, const Ed25519Key& key,
                             const Applied& applied) {
  // One ref for each commit: the ledger names them all, and what decided then has to stay readable.
  const std::string ref = "refs/heddle/applied/" + applied.commit;
  if (const auto kept = git.resolve(ref); !kept.ok() || *kept != applied.commit) {
    // Git that cannot be written must not keep the planes from starting. The commit is there as
    // long as nobody cleans the repository up, and each start tries again.
    if (const auto done = git.keep(ref, applied.commit); !done.ok()) {
      log::error("a clean-up of the repository could remove commit {}, which runs: {}",
                 applied.commit.substr(0, 12), done.error().str());
    }
  }
  const std::string text =
      doc::sign_text(doc::to_canonical_json(applied_schema().print(applied)), key);
  // Not written again where it stands: a full disk must not keep the planes from starting.
  if (const auto there = read_file(home.applied()); there.ok() && *there == text) return {};
  return write_file_atomic(home.applied(), text);
}

Result<Applied> read_applied(const Home& home) {
  const std::string path = home.applied();
  const auto text = read_file(path);
  if (!text.ok()) {
    if (text.error().kind != ErrorKind::kNotFound) return text.error();
    return Error{ErrorKind::kNotFound, "nothing-applied", "no definitions were applied yet",
                 "commit the project, then run `heddle apply`; `heddle up` does so by itself the "
                 "first time"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto key, verifier_of(home));
  const auto payload = doc::open_signed_text(*text, key);
  if (!payload.ok()) return unsigned_(path);
  return applied_schema().parse_text(*payload, {.max_depth = 4, .max_bytes = 1 << 16});
}

Result<std::map<std::string, Digest>> released_primaries(const Home& home,
                                                         const spec::Project& project) {
  // The signed tables and not the state: this runs in processes that do not open the state.
  std::map<std::string, Digest> primaries;
  for (const auto& [name, service] : project.services) {
    if (!path_exists(home.route(name))) continue;  // nothing was ever released
    HEDDLE_ASSIGN_OR_RETURN(const auto key, verifier_of(home));
    HEDDLE_ASSIGN_OR_RETURN(const auto route, plane::read_route(home.route(name), key));
    if (!route.primary.empty()) primaries[name] = route.primary;
  }
  return primaries;
}

Result<spec::Loaded> load_applied(store::Git& git, const std::string& root,
                                  const std::string& commit) {
  // A shallow clone, or one from before the apply, lacks
  // the commit; the error of git would not say what to do.
  if (!git.resolve(commit).ok()) {
    return Error{ErrorKind::kNotFound, "applied-missing",
                 fmt::format("the repository of `{}` does not have the commit {} that was applied",
                             root, commit),
                 fmt::format("bring it back, for example with `git fetch origin {}`", commit)};
  }
  HEDDLE_ASSIGN_OR_RETURN(auto loaded, spec::load_commit(git, root, commit));
  if (loaded.has_errors()) {
    return Error{ErrorKind::kUnprocessable, "applied-invalid",
                 fmt::format("the definitions of commit {} have errors: {}", commit.substr(0, 12),
                             errors_of(loaded)),
                 "correct them, commit, and run `heddle apply`"};
  }
  return loaded;
}

Result<spec::Project> applied_project(const Home& home, const Wiring& wiring) {
  HEDDLE_ASSIGN_OR_RETURN(const auto applied, read_applied(home));
  HEDDLE_ASSIGN_OR_RETURN(const auto git, wiring.open_git(home.root()));
  HEDDLE_ASSIGN_OR_RETURN(auto loaded, load_applied(*git, home.root(), applied.commit));
  return std::move(loaded.project);
}

}  // namespace heddle::control
