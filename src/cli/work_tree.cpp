#include "cli/work_tree.hpp"

#include "cli/session.hpp"
#include "control/applied.hpp"
#include "spec/difference.hpp"

namespace heddle::cli {
namespace {

constexpr std::size_t kNamed = 3;  ///< changes that a message names

}  // namespace

doc::Value WorkTreeNote::to_value() const {
  auto list = doc::Value::array();
  for (const auto& change : changes) list.push(change);
  return doc::Value::object(
      {{"differs", !changes.empty()}, {"changes", std::move(list)}, {"next", next}});
}

void WorkTreeNote::tell(const Console& console) const {
  if (changes.empty()) return;
  std::vector<std::string> named(
      changes.begin(),
      changes.begin() + static_cast<std::ptrdiff_t>(std::min(kNamed, changes.size())));
  const std::size_t more = changes.size() - named.size();
  console.message(fmt::format("note: what runs is commit {}; the work tree differs: {}{}",
                              applied.substr(0, 12), fmt::join(named, ", "),
                              more == 0 ? "" : fmt::format(", and {} more", more)));
  console.message(fmt::format("      to make it what runs: {}", next));
}

WorkTreeNote compare_with_applied(const Invocation& invocation, const std::string& applied) {
  WorkTreeNote note;
  note.applied = applied;
  const auto root = find_project(invocation.project);
  if (!root.ok() || applied.empty()) return note;
  const auto git = invocation.wiring->open_git(*root);
  const auto work = spec::load_project(*root);
  if (!git.ok()) return note;
  // Without heddle.yaml there is nothing to compare.
  if (!work.ok()) {
    note.changes.push_back(work.error().message);
    note.next = "git restore heddle.yaml";
    return note;
  }
  const auto changes = spec::differences(*work, **git, applied);
  if (!changes.ok()) return note;
  for (const auto& change : *changes) note.changes.push_back(change.text());
  if (note.changes.empty()) return note;
  // Committed already, or still to be.
  const auto head = (*git)->head();
  const auto ahead = head.ok() ? spec::differences(*work, **git, *head)
                               : Result<std::vector<spec::Difference>>(head.error());
  note.next =
      ahead.ok() && ahead->empty() ? "heddle apply" : "git add -A && git commit, then heddle apply";
  return note;
}

WorkTreeNote compare_with_applied(const Invocation& invocation) {
  const auto root = find_project(invocation.project);
  if (!root.ok()) return {};
  const auto applied = control::read_applied(control::Home(*root));
  return compare_with_applied(invocation, applied.ok() ? applied->commit : "");
}

}  // namespace heddle::cli
