#pragma once

#include <git2.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace heddle::adapters {

/// libgit2's objects, freed by their own functions. Private to this adapter.
template <class T, void (*free_it)(T*)>
struct Free {
  void operator()(T* object) const noexcept { free_it(object); }
};
using Repository = std::unique_ptr<git_repository, Free<git_repository, git_repository_free>>;
using Object = std::unique_ptr<git_object, Free<git_object, git_object_free>>;
using Tree = std::unique_ptr<git_tree, Free<git_tree, git_tree_free>>;
using Commit = std::unique_ptr<git_commit, Free<git_commit, git_commit_free>>;
using Blob = std::unique_ptr<git_blob, Free<git_blob, git_blob_free>>;
using Builder = std::unique_ptr<git_treebuilder, Free<git_treebuilder, git_treebuilder_free>>;
using Signature = std::unique_ptr<git_signature, Free<git_signature, git_signature_free>>;

/// What libgit2 said last, as an error of ours.
[[nodiscard]] Error git_failure(std::string_view what);
[[nodiscard]] std::string hex(const git_oid& id);

}  // namespace heddle::adapters
