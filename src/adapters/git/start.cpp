#include "adapters/git/start.hpp"

#include <unistd.h>

#include <memory>

#include <fmt/format.h>

#include "adapters/git/handles.hpp"
#include "base/os_user.hpp"

namespace heddle::adapters {
namespace {

using Index = std::unique_ptr<git_index, Free<git_index, git_index_free>>;

/// libgit2 as long as this is there.
class Library {
 public:
  Library() { git_libgit2_init(); }
  ~Library() { git_libgit2_shutdown(); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
};

Result<Signature> author_of(git_repository* repository, const Clock& clock) {
  git_signature* raw = nullptr;
  // Whom git's configuration names, else the user of the system.
  if (git_signature_default(&raw, repository) == 0) return Signature(raw);
  const std::string user = os_user_name(::geteuid());
  if (git_signature_new(&raw, user.c_str(), fmt::format("{}@localhost", user).c_str(),
                        clock.wall() / kSecond, 0) != 0)
    return git_failure("name the author");
  return Signature(raw);
}

}  // namespace

Result<std::string> start_git(const std::string& directory, std::span<const std::string> paths,
                              const std::string& message, const Clock& clock) {
  const Library library;
  git_repository* raw = nullptr;
  if (git_repository_init(&raw, directory.c_str(), 0) != 0)
    return git_failure(fmt::format("make a repository in `{}`", directory));
  const Repository repository(raw);
  git_index* index_raw = nullptr;
  if (git_repository_index(&index_raw, repository.get()) != 0) return git_failure("open the index");
  const Index index(index_raw);
  for (const auto& path : paths) {
    if (git_index_add_bypath(index.get(), path.c_str()) != 0)
      return git_failure(fmt::format("add `{}`", path));
  }
  git_oid tree_id;
  if (git_index_write(index.get()) != 0 || git_index_write_tree(&tree_id, index.get()) != 0)
    return git_failure("write the index");
  git_tree* tree_raw = nullptr;
  if (git_tree_lookup(&tree_raw, repository.get(), &tree_id) != 0)
    return git_failure("read back a tree");
  const Tree tree(tree_raw);
  HEDDLE_ASSIGN_OR_RETURN(const auto author, author_of(repository.get(), clock));
  git_oid id;
  if (git_commit_create(&id, repository.get(), "HEAD", author.get(), author.get(), "UTF-8",
                        message.c_str(), tree.get(), 0, nullptr) != 0)
    return git_failure("write a commit");
  return hex(id);
}

}  // namespace heddle::adapters
