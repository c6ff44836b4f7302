#include "adapters/git/walk.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>

#include "base/file.hpp"

namespace heddle::adapters {
namespace {

using Entry = store::Git::Entry;

constexpr int kMostLinks = 32;  ///< one more is taken for a circle, as file systems do

Error not_found(std::string_view shown) {
  return {ErrorKind::kNotFound, "git-file-not-found",
          fmt::format("the commit has no file `{}`", shown)};
}

Error outside(std::string_view shown, std::string_view target) {
  return {
      ErrorKind::kUnprocessable, "git-link-outside",
      fmt::format("`{}` is a symbolic link to `{}`, which is not in the repository", shown, target),
      "put the file itself into the repository: a commit holds the link, not what it leads to"};
}

std::vector<std::string> components_of(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    if (slash != 0) parts.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

Entry entry_of(const git_tree_entry* entry) {
  Entry out;
  out.name = git_tree_entry_name(entry);
  out.id = hex(*git_tree_entry_id(entry));
  switch (git_tree_entry_filemode(entry)) {
    case GIT_FILEMODE_TREE: out.kind = Entry::Kind::kFolder; break;
    case GIT_FILEMODE_COMMIT: out.kind = Entry::Kind::kModule; break;
    case GIT_FILEMODE_LINK: out.kind = Entry::Kind::kLink; break;
    case GIT_FILEMODE_BLOB_EXECUTABLE: out.executable = true; break;
    default: break;
  }
  return out;
}

/// The path that a link stands for: its target, from the folder `before` that holds it, then what
/// came after the link. False when that leads out of the tree. `before` has no links any more, so
/// `..` can be taken away by name.
bool follow(std::vector<std::string> before, std::string_view target,
            const std::vector<std::string>& parts, std::size_t at, std::vector<std::string>& out) {
  if (target.starts_with("/")) return false;
  for (auto& name : components_of(target)) {
    if (name == ".") continue;
    if (name != "..") {
      before.push_back(std::move(name));
      continue;
    }
    // Above the repository there is nothing that a commit holds.
    if (before.empty()) return false;
    before.pop_back();
  }
  before.insert(before.end(), parts.begin() + static_cast<std::ptrdiff_t>(at) + 1, parts.end());
  out = std::move(before);
  return true;
}

/// Whether zlib's stream in `bytes` comes to its end.
bool is_whole(const std::string& bytes) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return false;
  std::array<unsigned char, 1 << 14> out{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<unsigned>(bytes.size());
  int code = Z_OK;
  while (code == Z_OK) {
    stream.next_out = out.data();
    stream.avail_out = static_cast<unsigned>(out.size());
    code = inflate(&stream, Z_NO_FLUSH);
  }
  inflateEnd(&stream);
  return code == Z_STREAM_END;
}

}  // namespace

Result<void> check_whole(git_repository* repository, const std::string& id) {
  // The objects of a linked work tree lie with the main one.
  const char* folder = git_repository_commondir(repository);
  if (folder == nullptr || id.size() < 3) return {};
  const auto bytes =
      read_file(fmt::format("{}objects/{}/{}", folder, id.substr(0, 2), id.substr(2)));
  if (!bytes.ok() || is_whole(*bytes)) return {};  // packed, or whole
  return Error{ErrorKind::kIo, "git-failed",
               fmt::format("cannot read the object {}: its file ends too soon", id),
               "see what `git fsck` says of the project's repository"};
}

std::vector<Entry> entries_of(const git_tree* tree) {
  std::vector<Entry> entries;
  const std::size_t count = git_tree_entrycount(tree);
  entries.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    entries.push_back(entry_of(git_tree_entry_byindex(tree, i)));
  }
  return entries;
}

Result<std::string> blob_bytes(git_repository* repository, const std::string& id) {
  HEDDLE_TRY(check_whole(repository, id));
  git_oid oid;
  git_blob* raw = nullptr;
  if (git_oid_fromstr(&oid, id.c_str()) != 0 || git_blob_lookup(&raw, repository, &oid) != 0) {
    return git_failure(fmt::format("read the object {}", id));
  }
  const Blob blob(raw);
  return std::string(static_cast<const char*>(git_blob_rawcontent(raw)),
                     static_cast<std::size_t>(git_blob_rawsize(raw)));
}

Result<Tree> tree_by_id(git_repository* repository, const std::string& id) {
  HEDDLE_TRY(check_whole(repository, id));
  git_oid oid;
  git_tree* raw = nullptr;
  if (git_oid_fromstr(&oid, id.c_str()) != 0 || git_tree_lookup(&raw, repository, &oid) != 0) {
    return git_failure(fmt::format("read the tree {}", id));
  }
  return Tree(raw);
}

Result<Entry> find_in_tree(git_repository* repository, const git_tree* top, std::string_view path,
                           std::string_view shown) {
  std::vector<std::string> parts;
  // The path is taken apart as a link's target is: `.`, `..` and doubled slashes mean what they do
  // there.
  if (!follow({}, path, {""}, 0, parts)) return not_found(shown);
  int links = 0;
  Tree held;
  const git_tree* tree = top;
  Entry found;
  found.kind = Entry::Kind::kFolder;
  found.id = hex(*git_tree_id(top));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const git_tree_entry* raw = git_tree_entry_byname(tree, parts[i].c_str());
    if (raw == nullptr) return not_found(shown);
    found = entry_of(raw);
    if (found.kind == Entry::Kind::kModule) {
      return Error{ErrorKind::kUnprocessable, "git-submodule",
                   fmt::format("`{}` is in a submodule: its files are not in the commit", shown),
                   "put the definitions into the project's own repository"};
    }
    if (found.kind == Entry::Kind::kLink) {
      HEDDLE_ASSIGN_OR_RETURN(const std::string target, blob_bytes(repository, found.id));
      const auto here = parts.begin() + static_cast<std::ptrdiff_t>(i);
      std::vector<std::string> before(parts.begin(), here);
      if (++links > kMostLinks) return not_found(shown);
      if (!follow(std::move(before), target, parts, i, parts)) return outside(shown, target);
      // From the top again: the target may itself lead through links.
      tree = top;
      found.kind = Entry::Kind::kFolder;
      found.id = hex(*git_tree_id(top));
      i = static_cast<std::size_t>(-1);
      continue;
    }
    if (i + 1 == parts.size()) return found;
    // A file has nothing below it.
    if (found.kind != Entry::Kind::kFolder) return not_found(shown);
    HEDDLE_ASSIGN_OR_RETURN(held, tree_by_id(repository, found.id));
    tree = held.get();
  }
  return found;
}

}  // namespace heddle::adapters
