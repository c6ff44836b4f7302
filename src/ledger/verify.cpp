#include "ledger/verify.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <span>

#include "doc/items.hpp"
#include "ledger/anchor.hpp"
#include "ledger/approval_audit.hpp"
#include "ledger/entry.hpp"
#include "ledger/head.hpp"
#include "ledger/history.hpp"
#include "ledger/ledger.hpp"
#include "ledger/tiles.hpp"

namespace heddle::ledger {
namespace {

constexpr std::size_t kMostFindings = 20;

class Verifier {
 public:
  explicit Verifier(const VerifyOptions& options) : options_(options) {}

  Result<Audit> run() {
    if (options_.state != nullptr) {  // first: it is written last
      HEDDLE_TRY(options_.state->read([&](store::Txn& txn) -> Result<void> {
        HEDDLE_ASSIGN_OR_RETURN(mark_, read_mark(txn));
        return {};
      }));
    }
    HEDDLE_TRY(checkpoint());
    if (!checkpoint_) return audit_;
    HEDDLE_TRY(history());
    entries();
    for (const auto& [part, entry] : missing_) {
      audit_.findings.push_back(
          {fmt::format("ledger-{}-missing", part),
           fmt::format("entry {} found it missing or damaged; `heddle audit verify --rebuild` "
                       "records that you know of it",
                       entry)});
    }
    tree();
    if (failed_) return *failed_;
    if (options_.state != nullptr) HEDDLE_TRY(state());
    if (options_.git != nullptr) HEDDLE_TRY(anchor());
    if (more_ > 0) audit_.findings.push_back({"ledger-more", fmt::format("and {} more", more_)});
    return audit_;
  }

 private:
  template <class... Args>
  void find(const char* id, fmt::format_string<Args...> format, Args&&... args) {
    if (audit_.findings.size() < kMostFindings) {
      audit_.findings.push_back({id, fmt::format(format, std::forward<Args>(args)...)});
    } else {
      ++more_;
    }
  }

  /// A file that is not there is a finding; one that cannot be read now says nothing.
  void unread(const char* id, const Error& error) {
    if (error.kind == ErrorKind::kNotFound) return find(id, "{}", error.message);
    if (!failed_) failed_ = error;
  }

  Result<void> checkpoint() {
    auto note = read_file(*options_.files, options_.directory + "/checkpoint");
    if (!note) {
      if (note.error().kind != ErrorKind::kNotFound) return note.error();
      std::uint64_t rows = 0;
      if (options_.state != nullptr) {
        HEDDLE_TRY(options_.state->read([&](store::Txn& txn) -> Result<void> {
          HEDDLE_ASSIGN_OR_RETURN(rows, txn.log_size());
          return {};
        }));
      }
      audit_.unpublished = rows;
      if (mark_.notes > 0 || path_exists(*options_.files, options_.directory + "/history"))
        find("ledger-checkpoint-missing", "the checkpoint is gone");
      else if (rows == 0)
        return Error{ErrorKind::kNotFound, "ledger-empty", "there is no ledger yet",
                     "it begins with the first decision"};
      else
        find("ledger-checkpoint-missing", "no checkpoint was ever signed");
      return {};
    }
    auto opened = open_checkpoint(*note, options_.key);
    if (!opened) {
      find(opened.error().id.c_str(), "{}", opened.error().message);
      return {};
    }
    checkpoint_ = *opened;
    note_ = *note;
    audit_.entries = checkpoint_->size;
    audit_.root = checkpoint_->root;
    return {};
  }

  Result<void> history() {
    HEDDLE_ASSIGN_OR_RETURN(const auto history, read_history(*options_.files, options_.directory));
    // The first checkpoint of all may have been signed just before a crash: the next start adds it.
    if (history.notes.empty() && history.torn.empty())
      find("ledger-history-missing", "the history of signed checkpoints is gone");
    else if (!mark_.begins(history))
      find("ledger-history-missing", "the history holds {} checkpoints, and not the {} signed ones",
           history.notes.size(), mark_.notes);
    for (const auto& note : history.notes) {
      if (!add_to_history(note)) return {};
    }
    // A crash leaves a part of the newest checkpoint, which was written before it; nothing else.
    if (!(note_ + "\n").starts_with(history.torn))
      find("ledger-history-changed", "the end of the history is no checkpoint");
    if (!history_.empty() && history_.back().size > checkpoint_->size) {
      find("ledger-rolled-back", "the checkpoint covers {} entries, but one over {} was signed",
           checkpoint_->size, history_.back().size);
    }
    return {};
  }

  /// False where the history cannot be followed further.
  bool add_to_history(const std::string& note) {
    const auto opened = open_checkpoint(note, options_.key);
    if (!opened) {
      find("ledger-history-changed", "checkpoint {} of the history: {}", history_.size(),
           opened.error().message);
      return false;
    }
    if (!history_.empty() && opened->size <= history_.back().size) {
      find("ledger-history-changed", "the history goes from {} entries to {}", history_.back().size,
           opened->size);
      return false;
    }
    history_.push_back(*opened);
    return true;
  }

  /// Reads every bundle; fills `leaves_` with what the bytes hash to.
  void entries() {
    CompactRange range;
    std::size_t next = 0;
    Micros last_time = INT64_MIN;
    for (std::uint64_t n = 0; n * kTileWidth < checkpoint_->size; ++n) {
      const auto width = tile_width(0, n, checkpoint_->size);
      const auto path = entries_path(n, width);
      const auto bytes = read_file(*options_.files, options_.directory + "/" + path);
      if (!bytes) return unread("ledger-entries-missing", bytes.error());
      const auto entries = parse_entries(*bytes);
      if (!entries)
        return find("ledger-entries-changed", "`{}`: {}", path, entries.error().message);
      if (entries->size() != width) {
        return find("ledger-entry-removed", "`{}` holds {} entries, {} were signed", path,
                    entries->size(), width);
      }
      for (const auto entry : *entries) {
        const auto index = leaves_.size();
        check_entry(index, entry, last_time);
        if (const auto wrong = approvals_.observe(index, entry); !wrong.empty())
          find("ledger-approval-missing", "{}", wrong);
        observe_damage(index, entry);
        leaves_.push_back(leaf_hash(entry));
        range.append(leaves_.back());
        check_history(range, next);
      }
    }
    root_holds_ = range.root() == checkpoint_->root;
  }

  /// Holds the checkpoints of the history up to here, from `next` on, against the entries so far.
  void check_history(const CompactRange& range, std::size_t& next) {
    for (; next < history_.size() && history_[next].size <= range.size(); ++next) {
      ++audit_.checkpoints;
      if (history_[next].size == range.size() && history_[next].root != range.root()) {
        find("ledger-history-inconsistent",
             "the first {} entries are not those that were signed then", range.size());
      }
    }
  }

  void check_entry(std::uint64_t index, std::string_view entry, Micros& last_time) {
    // The first members have a fixed place (docs/formats/ledger.md), so that a million entries are
    // checked in a second.
    constexpr std::string_view kBegin = "{\"v\":1,\"seq\":";
    std::uint64_t seq = 0;
    const char* end = entry.data() + entry.size();
    if (!entry.starts_with(kBegin))
      return find("ledger-entry-malformed", "entry {} is no entry of version 1", index);
    const auto [rest, code] = std::from_chars(entry.data() + kBegin.size(), end, seq);
    constexpr std::string_view kTime = ",\"t\":\"";
    const std::string_view tail(rest, static_cast<std::size_t>(end - rest));
    const auto quote = tail.find('"', kTime.size());
    if (code != std::errc() || !tail.starts_with(kTime) || quote == std::string_view::npos) {
      return find("ledger-entry-malformed", "entry {} is no entry of version 1", index);
    }
    // Told where it begins, not for every entry after it.
    if (seq - index != shift_)
      find("ledger-entry-order", "at place {} stands the entry that says it is {}", index, seq);
    shift_ = seq - index;
    const auto t = parse_time(tail.substr(kTime.size(), quote - kTime.size()));
    if (!t) return find("ledger-entry-malformed", "entry {} has no time", index);
    if (*t < last_time)
      find("ledger-entry-order", "entry {} is older than the one before it", index);
    last_time = std::max(last_time, *t);
  }

  /// What the entries say of checkpoints outside.
  void observe_anchor(std::uint64_t index, const Entry& entry) {
    if (entry.action == kAnchoredAction) anchored_by_ = index;
    if (entry.action != kRestoreAction) return;
    const auto* list = entry.attributes.find("abandoned");
    if (list == nullptr || !list->is_array()) return;
    for (const auto& each : list->as_array()) {
      if (each.is_string()) abandoned_.insert(each.as_string());
    }
  }

  /// What was found missing counts until somebody asked for it to be written again.
  void observe_damage(std::uint64_t index, std::string_view json) {
    if (json.find("\"action\":\"ledger.") == std::string_view::npos) return;
    const auto entry = parse_entry(json);
    if (!entry.ok()) return;  // told by check_entry
    observe_anchor(index, *entry);
    if (entry->action == kRebuildAction) missing_.clear();
    if (entry->action != kDamageAction) return;
    for (const auto& part : doc::items_of(entry->attributes.find("missing")))
      missing_.emplace(doc::text_of(part), index);
  }

  /// Compares what the bytes hash to with the tiles of every level, and the root with the signed
  /// one.
  void tree() {
    std::vector<Digest> level = leaves_;
    for (int l = 0; l < 8; ++l) {
      const auto count = level_size(l, checkpoint_->size);
      if (count == 0) break;
      std::vector<Digest> above;
      for (std::uint64_t n = 0; n * kTileWidth < count; ++n) {
        const auto width = tile_width(l, n, checkpoint_->size);
        const auto begin = n * kTileWidth;
        if (level.size() > begin) compare(l, n, width, level);
        if (width == kTileWidth && level.size() >= begin + kTileWidth)
          above.push_back(fold(level.data() + begin, kTileWidth));
      }
      level = std::move(above);
    }
    if (root_holds_) return;
    if (leaves_.size() == checkpoint_->size)
      find("ledger-root-mismatch", "the {} entries do not have the signed root", leaves_.size());
  }

  void compare(int l, std::uint64_t n, std::uint64_t width, const std::vector<Digest>& level) {
    const auto path = tile_path(l, n, width);
    const auto bytes = read_file(*options_.files, options_.directory + "/" + path);
    if (!bytes) return unread("ledger-tile-missing", bytes.error());
    const auto hashes = parse_tile(*bytes);
    if (!hashes || hashes->size() != width)
      return find("ledger-tile-changed", "`{}` is no tile of {} hashes", path, width);
    const auto begin = n * kTileWidth;
    std::vector<std::uint64_t> wrong;
    for (std::uint64_t i = 0; i < width && begin + i < level.size(); ++i) {
      if ((*hashes)[i] != level[begin + i]) wrong.push_back(i);
    }
    if (wrong.empty()) return;
    // When the entries have the signed root it is the tile that lies.
    if (root_holds_ || l > 0)
      return find("ledger-tile-changed", "`{}` does not fit what is below it", path);
    find_changed(std::span(level).subspan(begin), *hashes, wrong, begin);
  }

  /// Entries whose hashes are not the signed ones; two that changed places are told as that.
  void find_changed(std::span<const Digest> here, const std::vector<Digest>& written,
                    const std::vector<std::uint64_t>& wrong, std::uint64_t begin) {
    if (wrong.size() == 2 && written[wrong[0]] == here[wrong[1]] &&
        written[wrong[1]] == here[wrong[0]]) {
      return find("ledger-entries-swapped", "entries {} and {} changed places", begin + wrong[0],
                  begin + wrong[1]);
    }
    for (const auto i : wrong)
      find("ledger-entry-changed", "entry {} is not what was signed", begin + i);
  }

  Result<void> state() {
    return options_.state->read([&](store::Txn& txn) -> Result<void> {
      HEDDLE_ASSIGN_OR_RETURN(const auto head, read_head(txn));
      HEDDLE_ASSIGN_OR_RETURN(const auto rows, txn.log_size());
      if (rows < checkpoint_->size)
        find("ledger-rolled-back", "the state holds {} entries, {} were signed", rows,
             checkpoint_->size);
      audit_.unpublished = rows > checkpoint_->size ? rows - checkpoint_->size : 0;
      CompactRange range;
      HEDDLE_TRY(txn.read_log(0, rows, [&](std::uint64_t number, std::string_view entry) {
        const auto hash = leaf_hash(entry);
        range.append(hash);
        if (number < leaves_.size() && hash != leaves_[number]) {
          find("ledger-state-differs", "entry {} of the state is not the published one", number);
        }
        return true;
      }));
      if (range != head.range)
        find("ledger-state-differs", "the state's rows are not those its head was committed with");
      return {};
    });
  }

  Result<void> anchor() {
    const auto anchors = read_anchors(*options_.git, options_.key);
    if (!anchors.ok()) {
      if (anchors.error().kind != ErrorKind::kCorrupt) return anchors.error();
      find("ledger-anchor-unreadable", "{}", anchors.error().message);
      return {};
    }
    if (anchors->empty() && anchored_by_) {
      find("ledger-anchor-missing", "entry {} says that checkpoints are kept in git: `{}` is gone",
           *anchored_by_, anchor_ref(options_.key));
    }
    for (const auto& anchored : *anchors) {
      if (!abandoned_.contains(abandoned_text(anchored))) check_anchored(anchored);
    }
    return {};
  }

  void check_anchored(const Checkpoint& anchored) {
    if (anchored.size > checkpoint_->size) {
      return find("ledger-rolled-back", "the checkpoint covers {} entries, the one in git {}",
                  checkpoint_->size, anchored.size);
    }
    audit_.anchored = std::max(audit_.anchored.value_or(0), anchored.size);
    if (leaves_.size() < anchored.size) return;  // told already
    CompactRange range;
    for (std::uint64_t i = 0; i < anchored.size; ++i) range.append(leaves_[i]);
    if (range.root() != anchored.root) {
      find("ledger-anchor-inconsistent",
           "the first {} entries are not those of the checkpoint in git", anchored.size);
    }
  }

  const VerifyOptions& options_;
  Audit audit_;
  std::string note_;
  std::optional<Checkpoint> checkpoint_;
  std::vector<Checkpoint> history_;
  std::vector<Digest> leaves_;
  std::uint64_t shift_ = 0;
  bool root_holds_ = false;
  ApprovalAudit approvals_;
  std::map<std::string, std::uint64_t> missing_;  ///< part of the published files, by its entry
  std::optional<std::uint64_t> anchored_by_;      ///< entry that says that it is kept in git
  std::set<std::string> abandoned_;               ///< checkpoints that restores named
  HistoryMark mark_;                              ///< what the state says was signed
  std::size_t more_ = 0;
  std::optional<Error> failed_;  ///< what could not be read
};

}  // namespace

Result<Audit> verify(const VerifyOptions& options) { return Verifier(options).run(); }

doc::Value Audit::to_value() const {
  auto list = doc::Value::array();
  for (const auto& finding : findings)
    list.push(doc::Value::object({{"id", finding.id}, {"message", finding.message}}));
  auto value = doc::Value::object({{"ok", ok()},
                                   {"entries", entries},
                                   {"unpublished", unpublished},
                                   {"root", root.str()},
                                   {"checkpoints", checkpoints}});
  value.set("anchored", anchored ? doc::Value(*anchored) : doc::Value());
  value.set("findings", std::move(list));
  return value;
}

std::string Audit::str() const {
  std::string text = fmt::format("{}: {} entries, root {}, {} checkpoints in the history\n",
                                 ok() ? "ok" : "FAILED", entries, root.short_str(), checkpoints);
  if (unpublished > 0)
    text += fmt::format("{} entries committed since the checkpoint\n", unpublished);
  text += anchored ? fmt::format("anchored in git at {} entries\n", *anchored)
                   : std::string("not anchored in git\n");
  for (const auto& finding : findings)
    text += fmt::format("error[{}]: {}\n", finding.id, finding.message);
  return text;
}

}  // namespace heddle::ledger
