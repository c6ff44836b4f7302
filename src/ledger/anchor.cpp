#include "ledger/anchor.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace heddle::ledger {
namespace {

constexpr const char* kRefOfBefore = "refs/heddle/checkpoints";  ///< one a repository
constexpr int kMostMoves = 32;

Error unreadable(const std::string& ref, std::string_view why) {
  return {ErrorKind::kCorrupt, "ledger-anchor-unreadable",
          fmt::format("the ledger's anchor `{}` cannot be read: {}", ref, why),
          fmt::format("see `git fsck`: once it can be read, all goes on. Where it is lost, take it "
                      "away (`git update-ref -d {0}`, or the file `.git/{0}`), and a person says "
                      "that it goes on without: `heddle audit restore --reason TEXT --person NAME "
                      "--key FILE`",
                      ref)};
}

Result<Checkpoint> checkpoint_at(store::Git& git, const std::string& revision,
                                 const VerifierKey& key) {
  HEDDLE_ASSIGN_OR_RETURN(const auto note, git.read(revision, "checkpoint"));
  return open_checkpoint(note, key);
}

}  // namespace

std::string anchor_ref(const VerifierKey& key) {
  return fmt::format("refs/heddle/anchor/{:08x}", key.id());
}

namespace {

/// The checkpoints that the ref has, or had; none where there is no ref.
Result<std::vector<Checkpoint>> read_ref(store::Git& git, const VerifierKey& key) {
  std::vector<Checkpoint> all;
  const std::string ref = anchor_ref(key);
  const auto tip = git.resolve(ref);
  // An anchor that cannot be read is no missing one: without it a ledger that was cut would pass.
  if (!tip.ok() && tip.error().kind != ErrorKind::kNotFound)
    return unreadable(ref, tip.error().message);
  if (!tip.ok()) return all;
  auto newest = checkpoint_at(git, *tip, key);
  if (!newest.ok()) return unreadable(ref, newest.error().message);
  all.push_back(*std::move(newest));
  // Where the ref was moved back by hand, git's log of it says where it stood.
  for (int i = 0; i < kMostMoves; ++i) {
    const auto before = git.resolve(fmt::format("{}@{{{}}}", ref, i));
    // No more moves are kept, or git keeps none: the ref as it stands is all that is known.
    if (!before.ok()) break;
    const auto found = checkpoint_at(git, *before, key);
    if (found.ok() && std::find(all.begin(), all.end(), *found) == all.end()) all.push_back(*found);
  }
  return all;
}

}  // namespace

Result<std::vector<Checkpoint>> read_anchors(store::Git& git, const VerifierKey& key) {
  HEDDLE_ASSIGN_OR_RETURN(std::vector<Checkpoint> all, read_ref(git, key));
  // The ref of older versions, one for all work trees of a repository.
  const auto earlier = git.read(kRefOfBefore, "checkpoint");
  if (!earlier.ok()) {
    if (earlier.error().kind == ErrorKind::kNotFound) return all;
    return unreadable(kRefOfBefore, earlier.error().message);
  }
  const auto opened = open_checkpoint(*earlier, key);
  if (opened.ok()) {
    all.push_back(*opened);
  } else if (opened.error().id != "checkpoint-unsigned") {  // by another key: of another work tree
    return unreadable(kRefOfBefore, opened.error().message);
  }
  return all;
}

std::string abandoned_text(const Checkpoint& checkpoint) {
  return fmt::format("{} {}", checkpoint.size, checkpoint.root.str());
}

}  // namespace heddle::ledger
