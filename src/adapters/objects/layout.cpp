#include "adapters/objects/layout.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/file.hpp"
#include "base/ids.hpp"
#include "doc/json.hpp"

namespace heddle::adapters {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLayout = R"({"imageLayoutVersion":"1.0.0"})";
constexpr std::string_view kName = "org.opencontainers.image.ref.name";

constexpr fs::perms kMayWrite =
    fs::perms::owner_write | fs::perms::group_write | fs::perms::others_write;

Error file_fault(std::string_view what, const std::string& path, const std::error_code& why) {
  return Error{ErrorKind::kIo, "object-file",
               fmt::format("cannot {} `{}`: {}", what, path, why.message()),
               "check the disk and its permissions"};
}

Result<void> fsync_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool is_kept = fd >= 0 && ::fsync(fd) == 0;
  const int code = errno;
  if (fd >= 0) ::close(fd);
  if (is_kept) return {};
  return file_fault("keep", path, {code, std::generic_category()});
}

Error corrupt(const std::string& path, std::string_view why) {
  return Error{ErrorKind::kCorrupt, "layout-corrupt", fmt::format("`{}` {}", path, why),
               "nothing was changed. Bring the file back from a backup, or write it anew: it "
               "follows from the manifests among the blobs beside it, which are unharmed"};
}

Error other_version(const std::string& path, std::string_view key, const doc::Value& found,
                    std::string_view known) {
  return Error{
      ErrorKind::kConflict, "layout-version",
      fmt::format("`{}` has `{}` {}, this program reads and writes {}; nothing was changed", path,
                  key, doc::to_json(found), known),
      "use the program that wrote it, or keep the folder for that one"};
}

/// Why an entry is none; empty: it is one.
std::string entry_fault(const doc::Value& entry) {
  if (!entry.is_object()) return "is no object";
  const doc::Value* digest = entry.find("digest");
  if (digest == nullptr || !digest->is_string()) return "has no `digest`";
  if (const auto parsed = Digest::parse(digest->as_string()); !parsed.ok())
    return fmt::format("has a `digest` that is none: {}", parsed.error().message);
  const doc::Value* annotations = entry.find("annotations");
  if (annotations == nullptr) return {};
  if (!annotations->is_object()) return "has `annotations` that are no object";
  const doc::Value* name = annotations->find(kName);
  return name == nullptr || name->is_string() ? ""
                                              : fmt::format("has a `{}` that is no text", kName);
}

/// `index.json`, every entry of it checked.
Result<doc::Value> index_of(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  auto index = doc::parse_json(text);
  if (!index.ok()) return corrupt(path, fmt::format("does not read: {}", index.error().message));
  const doc::Value* manifests = index->find("manifests");
  if (manifests == nullptr || !manifests->is_array())
    return corrupt(path, "is no OCI index: it has no list `manifests`");
  const doc::Value* version = index->find("schemaVersion");
  if (version == nullptr) return corrupt(path, "is no OCI index: it has no `schemaVersion`");
  if (*version != doc::Value(2)) return other_version(path, "schemaVersion", *version, "2");
  for (std::size_t i = 0; i < manifests->size(); ++i) {
    if (const auto fault = entry_fault(manifests->as_array()[i]); !fault.empty())
      return corrupt(path, fmt::format("is damaged: entry {} of `manifests` {}", i + 1, fault));
  }
  return index;
}

/// That `oci-layout` says a version that is known.
Result<void> check_layout_file(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  const auto layout = doc::parse_json(text);
  const doc::Value* version = layout.ok() ? layout->find("imageLayoutVersion") : nullptr;
  if (version == nullptr) {
    Error error = corrupt(path, "is damaged: it has no `imageLayoutVersion`");
    error.hint = fmt::format("write `{}` into it; the blobs beside it are unharmed", kLayout);
    return error;
  }
  if (*version != doc::Value("1.0.0"))
    return other_version(path, "imageLayoutVersion", *version, "\"1.0.0\"");
  return {};
}

class Layout final : public store::Objects {
 public:
  explicit Layout(std::string directory) : directory_(std::move(directory)) {}

  Result<Digest> put(std::string_view bytes) override {
    const Digest digest = sha256(bytes);
    const std::string path = path_of(digest);
    // Content never changes under a name; a blob a disk damaged is written anew.
    if (path_exists(path)) {
      if (const auto present = read_file(path); present.ok() && *present == bytes) return digest;
    }
    HEDDLE_TRY(write_file_atomic(path, bytes));
    return digest;
  }

  Result<std::string> get(const Digest& digest) override {
    const std::string path = path_of(digest);
    if (!path_exists(path)) return not_found(digest);
    // Checked at each reading: what is loaded may be a model that answers people.
    HEDDLE_ASSIGN_OR_RETURN(std::string bytes, read_file(path));
    if (sha256(bytes) != digest) return damaged(digest);
    return bytes;
  }

  bool has(const Digest& digest) override { return path_exists(path_of(digest)); }

  Result<Digest> add_file(const std::string& path) override {
    HEDDLE_ASSIGN_OR_RETURN(const Digest digest, sha256_file(path));
    const std::string blob = path_of(digest);
    if (path_exists(blob)) {
      // A blob that is there and damaged is written anew.
      if (const auto present = sha256_file(blob); present.ok() && *present == digest) return digest;
    }
    // Beside it first: what is there under the blob's name is whole, whenever the power fails.
    const std::string fresh = fmt::format("{}.{}", blob, uuid7());
    std::error_code failed;
    fs::create_hard_link(path, fresh, failed);
    // Of another disk, or of a file system that has no links.
    if (failed) fs::copy_file(path, fresh, failed);
    if (!failed) fs::rename(fresh, blob, failed);
    if (failed) {
      std::error_code ignored;
      fs::remove(fresh, ignored);
      return file_fault("put", blob, failed);
    }
    HEDDLE_TRY(fsync_file(blob));
    HEDDLE_TRY(fsync_dir(directory_ + "/blobs/sha256"));
    return digest;
  }

  Result<void> place(const Digest& digest, const std::string& path) override {
    const std::string blob = path_of(digest);
    if (!path_exists(blob)) return not_found(digest);
    std::error_code failed;
    // A link shares the blob's mode: nobody is to write to either.
    fs::permissions(blob, kMayWrite, fs::perm_options::remove, failed);
    fs::create_hard_link(blob, path, failed);
    if (!failed) return {};
    fs::copy_file(blob, path, failed);
    if (failed) return file_fault("place", path, failed);
    // The copy is read back; a link is the blob itself.
    HEDDLE_ASSIGN_OR_RETURN(const Digest copied, sha256_file(path));
    if (copied == digest) return {};
    fs::remove(path, failed);
    return damaged(digest);
  }

  Result<void> tag(std::string_view name, const Digest& manifest, std::string_view media_type,
                   std::uint64_t size) override {
    const std::lock_guard guard(mutex_);
    // The index is read, changed and written: two processes that do it at once would lose one's
    // tag.
    HEDDLE_ASSIGN_OR_RETURN(const FileLock lock, wait_for_lock());
    HEDDLE_ASSIGN_OR_RETURN(doc::Value index, read_index());
    doc::Value entries = doc::Value::array();
    for (const auto& entry : index.find("manifests")->as_array()) {
      const doc::Value* annotations = entry.find("annotations");
      if (annotations == nullptr || annotations->string_or(kName) != name) entries.push(entry);
    }
    entries.push(
        doc::Value::object({{"mediaType", media_type},
                            {"digest", manifest.str()},
                            {"size", static_cast<std::int64_t>(size)},
                            {"annotations", doc::Value::object({{std::string(kName), name}})}}));
    index.set("manifests", std::move(entries));
    return write_file_atomic(directory_ + "/index.json", doc::to_json(index));
  }

  Result<std::vector<std::pair<std::string, Digest>>> tags() override {
    const std::lock_guard guard(mutex_);
    HEDDLE_ASSIGN_OR_RETURN(const doc::Value index, read_index());
    std::vector<std::pair<std::string, Digest>> out;
    for (const auto& entry : index.find("manifests")->as_array()) {
      const doc::Value* annotations = entry.find("annotations");
      if (annotations == nullptr || annotations->find(kName) == nullptr) continue;
      HEDDLE_ASSIGN_OR_RETURN(const Digest digest, Digest::parse(entry.string_or("digest")));
      out.emplace_back(annotations->string_or(kName), digest);
    }
    return out;
  }

 private:
  [[nodiscard]] std::string path_of(const Digest& digest) const {
    return fmt::format("{}/blobs/sha256/{}", directory_, digest.hex());
  }

  [[nodiscard]] Error not_found(const Digest& digest) const {
    return Error{ErrorKind::kNotFound, "object-not-found",
                 fmt::format("object `{}` is not in `{}`", digest.str(), directory_),
                 "run `heddle run` to compute it again, or copy it from another store"};
  }
  [[nodiscard]] Error damaged(const Digest& digest) const {
    return Error{ErrorKind::kCorrupt, "object-corrupt",
                 fmt::format("the bytes of object `{}` do not match its digest", digest.str()),
                 fmt::format("delete `{}` and run `heddle run`", path_of(digest))};
  }

  /// Another process holds it for one small write; it is waited for up to 5 s.
  [[nodiscard]] Result<FileLock> wait_for_lock() const {
    for (int attempt = 0;; ++attempt) {
      auto lock = FileLock::acquire(directory_ + "/index.lock");
      if (lock.ok() || lock.error().kind != ErrorKind::kConflict || attempt == 500) return lock;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  [[nodiscard]] Result<doc::Value> read_index() const {
    return index_of(directory_ + "/index.json");
  }

  std::string directory_;
  std::mutex mutex_;
};

}  // namespace

Result<std::unique_ptr<store::Objects>> open_layout(const std::string& directory) {
  const std::string index = directory + "/index.json";
  const std::string layout = directory + "/oci-layout";
  // Before anything is written: work on a folder that cannot be read would be lost at its end.
  if (path_exists(layout)) HEDDLE_TRY(check_layout_file(layout));
  if (path_exists(index)) HEDDLE_TRY(index_of(index));
  HEDDLE_TRY(make_dirs(directory + "/blobs/sha256"));
  if (!path_exists(index)) {
    HEDDLE_TRY(
        write_file_atomic(index, doc::to_json(doc::Value::object(
                                     {{"schemaVersion", 2}, {"manifests", doc::Value::array()}}))));
  }
  if (!path_exists(layout)) HEDDLE_TRY(write_file_atomic(layout, kLayout));
  return std::unique_ptr<store::Objects>(std::make_unique<Layout>(directory));
}

}  // namespace heddle::adapters
