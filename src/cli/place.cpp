#include "cli/place.hpp"

#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/file.hpp"
#include "base/log.hpp"
#include "doc/json.hpp"

namespace heddle::cli {
namespace {

constexpr std::string_view kFormat = "heddle.place/1";

struct Place {
  std::string root;
  std::int64_t folder = 0;  ///< inode of `.heddle`
  bool operator==(const Place&) const = default;
};

/// The folder's number on its disk; nullopt where there is none.
std::optional<std::int64_t> folder_at(const std::string& root) {
  struct stat found{};
  if (::stat(control::Home(root).dir().c_str(), &found) != 0) return std::nullopt;
  return static_cast<std::int64_t>(found.st_ino);
}

std::optional<Place> read_place(const std::string& path) {
  const auto text = read_file(path);
  const auto value = text.ok() ? doc::parse_json(*text) : Result<doc::Value>(text.error());
  if (!value.ok() || value->string_or("format") != kFormat) return std::nullopt;
  return Place{value->string_or("root"), value->int_or("folder")};
}

Result<void> write_place(const std::string& path, const Place& place) {
  return write_file_atomic(
      path, doc::to_json(doc::Value::object(
                {{"format", kFormat}, {"root", place.root}, {"folder", place.folder}})) +
                "\n");
}

/// Two planes start at once: the second waits until the first has looked.
Result<FileLock> lock_of(const control::Home& home) {
  for (;;) {
    auto lock = FileLock::acquire(home.dir() + "/place.lock");
    if (lock.ok() || lock.error().kind != ErrorKind::kConflict) return lock;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Result<void> forget_secrets(const control::Home& home) {
  std::error_code failed;
  std::filesystem::remove_all(home.tokens(), failed);
  if (!failed) std::filesystem::remove(home.owner_secret(), failed);
  if (!failed) return make_dirs(home.tokens());
  return Error{
      ErrorKind::kIo, "place-secrets",
      fmt::format("the tokens of a copied project cannot be taken away: {}", failed.message()),
      fmt::format("remove `{}` and `{}`: they open the project it was copied from", home.tokens(),
                  home.owner_secret())};
}

}  // namespace

Result<void> settle_place(const control::Home& home) {
  const auto folder = folder_at(home.root());
  if (!folder) return {};
  const std::string path = home.dir() + "/place.json";
  const Place here{home.root(), *folder};
  // Mostly nothing has changed, and then no lock is taken.
  if (read_place(path) == here) return {};
  const auto lock = lock_of(home);
  if (!lock.ok()) return lock.error();
  const auto known = read_place(path);  // another process may have been here meanwhile
  if (known == here) return {};
  // Not one that was moved: then nothing is at the place it came from.
  const bool is_copy = known && known->root != here.root && known->folder != here.folder &&
                       folder_at(known->root) == known->folder;
  if (is_copy) {
    HEDDLE_TRY(forget_secrets(home));
    log::warn(
        "this project is a copy of `{}`: it gets its own tokens and owner's secret; its ledger "
        "goes "
        "on from what was copied, under the same key",
        known->root);
  }
  return write_place(path, here);
}

}  // namespace heddle::cli
