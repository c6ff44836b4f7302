#include "adapters/git/repository.hpp"

#include <sys/stat.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>

#include "adapters/git/handles.hpp"
#include "adapters/git/ref_lock.hpp"
#include "adapters/git/walk.hpp"
#include "base/digest.hpp"

namespace heddle::adapters {

std::string hex(const git_oid& id) {
  std::string text(GIT_OID_HEXSZ, '\0');
  git_oid_fmt(text.data(), &id);
  return text;
}

namespace {

/// The content that a Git LFS pointer stands for; nullopt when `bytes` is none.
std::optional<Digest> lfs_content(std::string_view bytes) {
  constexpr std::string_view kVersion = "version https://git-lfs.github.com/spec/v1\n";
  constexpr std::string_view kOid = "\noid sha256:";
  // The specification of Git LFS bounds a pointer by this size.
  if (bytes.size() > 1024 || !bytes.starts_with(kVersion)) return std::nullopt;
  const auto at = bytes.find(kOid);
  if (at == std::string_view::npos) return std::nullopt;
  const auto content = Digest::parse("sha256:" + std::string(bytes.substr(at + kOid.size(), 64)));
  return content.ok() ? std::optional(*content) : std::nullopt;
}

/// New files over a tree, folder by folder.
struct Folder {
  std::map<std::string, git_oid> files;
  std::map<std::string, Folder> folders;
};

class GitRepository final : public store::Git {
 public:
  GitRepository(Repository repository, std::string directory, std::string prefix,
                const Clock& clock, std::chrono::milliseconds lock_patience)
      : repository_(std::move(repository)),
        directory_(std::move(directory)),
        prefix_(std::move(prefix)),
        clock_(clock),
        lock_patience_(lock_patience) {}
  ~GitRepository() override {
    repository_.reset();
    git_libgit2_shutdown();
  }

  Result<std::string> head() override {
    const std::lock_guard lock(mutex_);
    git_oid id;
    if (git_reference_name_to_id(&id, repository_.get(), "HEAD") != 0) {
      return Error{ErrorKind::kNotFound, "git-no-commit",
                   "the project's repository has no commit yet",
                   "commit the project: `git add -A && git commit`"};
    }
    return hex(id);
  }

  std::string blob_id(std::string_view bytes) override {
    git_oid id;
    HEDDLE_CHECK(git_odb_hash(&id, bytes.data(), bytes.size(), GIT_OBJECT_BLOB) == 0,
                 "git_odb_hash");
    return hex(id);
  }

  Result<std::string> resolve(std::string_view revision) override {
    const std::lock_guard lock(mutex_);
    HEDDLE_ASSIGN_OR_RETURN(const auto object, object_of(std::string(revision)));
    return hex(*git_object_id(object.get()));
  }

  Result<std::string> read(std::string_view revision, std::string_view path) override {
    const std::lock_guard lock(mutex_);
    HEDDLE_ASSIGN_OR_RETURN(const auto entry, entry_at(revision, path));
    if (entry.kind != Entry::Kind::kFile) {
      return Error{ErrorKind::kNotFound, "git-file-not-found",
                   fmt::format("`{}` in `{}` is no file", path, revision)};
    }
    return blob_bytes(repository_.get(), entry.id);
  }

  Result<Entry> find(std::string_view revision, std::string_view path) override {
    const std::lock_guard lock(mutex_);
    return entry_at(revision, path);
  }

  Result<std::vector<Entry>> list(std::string_view revision, std::string_view folder) override {
    const std::lock_guard lock(mutex_);
    const auto entry = entry_at(revision, folder);
    // A folder that is not there holds nothing; git keeps no empty ones.
    if (!entry.ok() && entry.error().id == "git-file-not-found") return std::vector<Entry>{};
    HEDDLE_TRY(entry);
    if (entry->kind != Entry::Kind::kFolder) return std::vector<Entry>{};
    HEDDLE_ASSIGN_OR_RETURN(const auto tree, tree_by_id(repository_.get(), entry->id));
    return entries_of(tree.get());
  }

  Result<bool> same_on_disk(std::string_view blob, std::string_view path) override {
    const std::lock_guard lock(mutex_);
    const std::string full = directory_ + "/" + std::string(path);
    struct stat info{};
    if (::stat(full.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
    git_oid id;
    // By the filters that git would apply to this path, such as line ends.
    const std::string in_repository = prefix_ + std::string(path);
    if (git_repository_hashfile(&id, repository_.get(), full.c_str(), GIT_OBJECT_BLOB,
                                in_repository.c_str()) != 0) {
      return git_failure(fmt::format("read `{}`", path));
    }
    // Else the file may be the content of a pointer that the commit holds.
    if (hex(id) == blob) return true;
    HEDDLE_ASSIGN_OR_RETURN(const auto bytes, blob_bytes(repository_.get(), std::string(blob)));
    const auto content = lfs_content(bytes);
    if (!content) return false;
    HEDDLE_ASSIGN_OR_RETURN(const auto there, sha256_file(full));
    return there == *content;
  }

  Result<void> keep(const std::string& ref, std::string_view commit) override {
    const std::lock_guard lock(mutex_);
    // Branches of people are theirs.
    if (!ref.starts_with("refs/heddle/")) return ref_refused(ref);
    HEDDLE_ASSIGN_OR_RETURN(const auto object, object_of(std::string(commit)));
    HEDDLE_ASSIGN_OR_RETURN(const int code, write_ref(repository_.get(), ref, lock_patience_, [&] {
                              git_reference* made = nullptr;
                              const int done = git_reference_create(
                                  &made, repository_.get(), ref.c_str(),
                                  git_object_id(object.get()), 1, "kept by Heddle");
                              git_reference_free(made);
                              return done;
                            }));
    if (code != 0) return git_failure(fmt::format("write `{}`", ref));
    return {};
  }

  Result<std::string> commit(const std::string& ref, const std::string& base,
                             const std::vector<File>& files, const std::string& message) override {
    const std::lock_guard lock(mutex_);
    int valid = 0;
    if ((!ref.starts_with("refs/heads/heddle/") && !ref.starts_with("refs/heddle/")) ||
        git_reference_name_is_valid(&valid, ref.c_str()) != 0 || valid == 0) {
      return ref_refused(ref);
    }
    git_oid tip;
    const int found = git_reference_name_to_id(&tip, repository_.get(), ref.c_str());
    if (found != 0 && found != GIT_ENOTFOUND) return git_failure(fmt::format("read `{}`", ref));
    Commit parent;
    if (found == 0) {
      HEDDLE_ASSIGN_OR_RETURN(parent, commit_of(tip));
    } else if (!base.empty()) {
      // A new branch grows from its base, so that it can be merged.
      HEDDLE_ASSIGN_OR_RETURN(const auto object, object_of(base));
      HEDDLE_ASSIGN_OR_RETURN(parent, commit_of(*git_object_id(object.get())));
    }
    // A branch that is there goes on from its own tip: what others put on it stays, and nothing of
    // `base` gets in as if it were this commit's.
    Tree under;
    if (parent) {
      git_tree* raw = nullptr;
      if (git_commit_tree(&raw, parent.get()) != 0) return git_failure("read the tree of a commit");
      under.reset(raw);
    }
    Folder root;
    for (const auto& file : files) HEDDLE_TRY(place(root, prefix_ + file.path, file.bytes));
    HEDDLE_ASSIGN_OR_RETURN(const git_oid tree_id, write_tree(root, under.get()));
    // The branch says all of it already: another commit would tell nothing.
    if (found == 0 && git_oid_equal(&tree_id, git_commit_tree_id(parent.get())) != 0)
      return hex(tip);
    git_tree* tree_raw = nullptr;
    if (git_tree_lookup(&tree_raw, repository_.get(), &tree_id) != 0)
      return git_failure("read back a tree");
    const Tree tree(tree_raw);
    git_signature* signature_raw = nullptr;
    if (git_signature_new(&signature_raw, "Heddle", "heddle@localhost", clock_.wall() / kSecond,
                          0) != 0) {
      return git_failure("name the author");
    }
    const Signature signature(signature_raw);
    const git_commit* parents[] = {parent.get()};
    git_oid id;
    if (git_commit_create(&id, repository_.get(), nullptr, signature.get(), signature.get(),
                          "UTF-8", message.c_str(), tree.get(), parent ? 1 : 0, parents) != 0) {
      return git_failure("write a commit");
    }
    // Git's own log of the ref: where it stood stays known when it is moved back by hand.
    if (ref.starts_with("refs/heddle/")) {
      if (git_reference_ensure_log(repository_.get(), ref.c_str()) != 0)
        return git_failure(fmt::format("begin the log of `{}`", ref));
    }
    // Only if nobody moved the ref meanwhile.
    const git_oid none{};
    const git_oid* before = found == 0 ? &tip : &none;
    HEDDLE_ASSIGN_OR_RETURN(const int code, write_ref(repository_.get(), ref, lock_patience_, [&] {
                              git_reference* moved = nullptr;
                              const int done = git_reference_create_matching(
                                  &moved, repository_.get(), ref.c_str(), &id, 1, before,
                                  message.c_str());
                              git_reference_free(moved);
                              return done;
                            }));
    if (code == GIT_EMODIFIED || code == GIT_EEXISTS) {
      return Error{ErrorKind::kConflict, "git-ref-moved",
                   fmt::format("`{}` was moved by somebody else meanwhile", ref), "try again"};
    }
    if (code != 0) return git_failure(fmt::format("move `{}`", ref));
    return hex(id);
  }

 private:
  static Error ref_refused(const std::string& ref) {
    return {ErrorKind::kDenied, "git-ref-refused", fmt::format("Heddle does not write `{}`", ref),
            "it writes `refs/heads/heddle/...` and `refs/heddle/...` only"};
  }

  /// What stands at `path` of the project as of `revision`.
  Result<Entry> entry_at(std::string_view revision, std::string_view path) {
    HEDDLE_ASSIGN_OR_RETURN(const auto tree, tree_of(std::string(revision)));
    return find_in_tree(repository_.get(), tree.get(), prefix_ + std::string(path), path);
  }

  Result<Object> object_of(const std::string& revision) {
    git_object* raw = nullptr;
    git_oid id;
    const bool is_head =
        revision == "HEAD" && git_reference_name_to_id(&id, repository_.get(), "HEAD") == 0;
    if (is_head ||
        (revision.size() == GIT_OID_HEXSZ && git_oid_fromstr(&id, revision.c_str()) == 0))
      HEDDLE_TRY(check_whole(repository_.get(), hex(id)));
    // A ref that is there and cannot be read is not one that is not there.
    if (revision.starts_with("refs/") && revision.find("@{") == std::string::npos) {
      const int code = git_reference_name_to_id(&id, repository_.get(), revision.c_str());
      if (code != 0 && code != GIT_ENOTFOUND && code != GIT_EINVALIDSPEC)
        return git_failure(fmt::format("read `{}`", revision));
      if (code == 0) {
        HEDDLE_TRY(check_whole(repository_.get(), hex(id)));
        HEDDLE_TRY(commit_of(id));
      }
    }
    const std::string spec = revision + "^{commit}";
    if (git_revparse_single(&raw, repository_.get(), spec.c_str()) != 0) {
      return Error{ErrorKind::kNotFound, "git-revision-not-found",
                   fmt::format("no revision `{}` in the project's repository", revision),
                   "`git log --oneline --all` lists the commits there are"};
    }
    return Object(raw);
  }

  Result<Commit> commit_of(const git_oid& id) {
    git_commit* raw = nullptr;
    if (git_commit_lookup(&raw, repository_.get(), &id) != 0) return git_failure("read a commit");
    return Commit(raw);
  }

  Result<Tree> tree_of(const std::string& revision) {
    HEDDLE_ASSIGN_OR_RETURN(const auto object, object_of(revision));
    const auto* commit = reinterpret_cast<const git_commit*>(object.get());
    HEDDLE_TRY(check_whole(repository_.get(), hex(*git_commit_tree_id(commit))));
    git_object* raw = nullptr;
    if (git_object_peel(&raw, object.get(), GIT_OBJECT_TREE) != 0)
      return git_failure("read a tree");
    return Tree(reinterpret_cast<git_tree*>(raw));
  }

  Result<void> place(Folder& root, std::string_view path, std::string_view bytes) {
    const auto refuse = [&] {
      return Error{ErrorKind::kInvalid, "git-path-refused",
                   fmt::format("`{}` is no path inside the project", path)};
    };
    Folder* folder = &root;
    for (auto rest = path;;) {
      const auto slash = rest.find('/');
      const std::string name(rest.substr(0, slash));
      // Whoever checks the commit out must not have a file written anywhere else, nor a hook.
      if (name.empty() || name == "." || name == ".." || name == ".git" ||
          name.find('\0') != std::string::npos)
        return refuse();
      if (slash != std::string_view::npos) {
        folder = &folder->folders[name];
        rest.remove_prefix(slash + 1);
        continue;
      }
      git_oid id;
      if (git_blob_create_from_buffer(&id, repository_.get(), bytes.data(), bytes.size()) != 0) {
        return git_failure(fmt::format("write `{}`", path));
      }
      folder->files[name] = id;
      return {};
    }
  }

  Result<git_oid> write_tree(const Folder& folder, const git_tree* under) {
    git_treebuilder* raw = nullptr;
    if (git_treebuilder_new(&raw, repository_.get(), under) != 0)
      return git_failure("build a tree");
    const Builder builder(raw);
    for (const auto& [name, child] : folder.folders) {
      Tree below;
      const git_tree_entry* entry =
          under != nullptr ? git_tree_entry_byname(under, name.c_str()) : nullptr;
      if (entry != nullptr && git_tree_entry_type(entry) == GIT_OBJECT_TREE) {
        git_tree* tree = nullptr;
        if (git_tree_lookup(&tree, repository_.get(), git_tree_entry_id(entry)) != 0)
          return git_failure("read a tree");
        below.reset(tree);
      }
      HEDDLE_ASSIGN_OR_RETURN(const git_oid id, write_tree(child, below.get()));
      if (git_treebuilder_insert(nullptr, raw, name.c_str(), &id, GIT_FILEMODE_TREE) != 0)
        return git_failure("build a tree");
    }
    for (const auto& [name, id] : folder.files) {
      if (git_treebuilder_insert(nullptr, raw, name.c_str(), &id, GIT_FILEMODE_BLOB) != 0)
        return git_failure("build a tree");
    }
    git_oid id;
    if (git_treebuilder_write(&id, raw) != 0) return git_failure("write a tree");
    return id;
  }

  std::mutex mutex_;
  Repository repository_;
  std::string directory_;  ///< of the project
  std::string prefix_;  ///< of the project inside the repository; empty or with a slash at its end
  const Clock& clock_;
  std::chrono::milliseconds lock_patience_;
};

}  // namespace

Result<std::unique_ptr<store::Git>> open_git(const std::string& directory, const Clock& clock,
                                             std::chrono::milliseconds lock_patience) {
  git_libgit2_init();
  // What is written has to survive a power loss before anybody is told of it.
  git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
  // A project may belong to another user than who runs Heddle (sudo, a container): objects and refs
  // run nothing of it.
  git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
  git_repository* raw = nullptr;
  const int code =
      git_repository_open_ext(&raw, directory.c_str(), GIT_REPOSITORY_OPEN_CROSS_FS, nullptr);
  Repository repository(raw);
  const auto fail = [](Error error) {
    git_libgit2_shutdown();
    return error;
  };
  if (code == GIT_ENOTFOUND) {
    return fail({ErrorKind::kNotFound, "git-not-found",
                 fmt::format("`{}` is in no git repository", directory),
                 "a project is a git repository: `git init && git add -A && git commit -m start`"});
  }
  if (code != 0) return fail(git_failure(fmt::format("open the repository of `{}`", directory)));
  std::string prefix;
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(directory.c_str(), nullptr),
                                                         &std::free);
  if (const char* root = git_repository_workdir(raw); root != nullptr && real) {
    const std::unique_ptr<char, decltype(&std::free)> top(::realpath(root, nullptr), &std::free);
    const std::string whole = std::string(real.get()) + "/";
    const std::string above = std::string(top ? top.get() : "") + "/";
    if (whole.size() > above.size() && whole.starts_with(above))
      prefix = whole.substr(above.size());
  }
  return std::unique_ptr<store::Git>(std::make_unique<GitRepository>(
      std::move(repository), directory, std::move(prefix), clock, lock_patience));
}

}  // namespace heddle::adapters
