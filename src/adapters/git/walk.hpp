#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "adapters/git/handles.hpp"
#include "store/store.hpp"

namespace heddle::adapters {

/// What stands at `path`, relative to the tree's top, in a commit's tree. Symbolic links are
/// followed inside the tree, as the file system would follow them in a checkout. Errors as
/// `store::Git::read` says; `shown` is the path as the caller named it.
[[nodiscard]] Result<store::Git::Entry> find_in_tree(git_repository* repository,
                                                     const git_tree* top, std::string_view path,
                                                     std::string_view shown);

/// The entries of one tree, in git's order.
[[nodiscard]] std::vector<store::Git::Entry> entries_of(const git_tree* tree);

/// libgit2 reads a loose object whose file was cut short for ever (seen with 1.5.1): that is asked
/// before. An error `git-failed` then.
[[nodiscard]] Result<void> check_whole(git_repository* repository, const std::string& id);

[[nodiscard]] Result<std::string> blob_bytes(git_repository* repository, const std::string& id);
[[nodiscard]] Result<Tree> tree_by_id(git_repository* repository, const std::string& id);

}  // namespace heddle::adapters
