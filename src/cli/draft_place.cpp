#include "cli/draft_place.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include <fmt/format.h>

#include "base/file.hpp"

namespace heddle::cli {
namespace {

namespace fs = std::filesystem;

/// The folders of this path that are not there, the highest first.
std::vector<fs::path> missing_folders(fs::path folder) {
  std::vector<fs::path> out;
  std::error_code ignored;
  for (; !folder.empty() && !fs::exists(folder, ignored); folder = folder.parent_path())
    out.push_back(folder);
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

std::string in_shell(const std::string& path) {
  // Quoted or not, `-x` would be an option of that command.
  if (path.starts_with('-')) return in_shell("./" + path);
  const bool is_plain = !path.empty() && std::all_of(path.begin(), path.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '/' || c == '.' || c == '_' || c == '-' || c == '+' ||
           c == '@' || c >= 0x80;
  });
  if (is_plain) return path;
  std::string out = "'";
  for (const char c : path) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

Result<void> put_in_place(const std::string& drafted, const std::vector<draft::File>& files,
                          const std::string& directory) {
  std::error_code failed;
  if (!path_exists(directory)) {
    // In one step: nobody sees half of a draft.
    fs::rename(drafted, directory, failed);
    if (!failed) return {};
    return Error{ErrorKind::kIo, "init-write",
                 fmt::format("`{}` cannot be made: {}", directory, failed.message()),
                 "name a folder that can be written"};
  }
  std::vector<fs::path> done;  // folders before what is in them
  for (const auto& file : files) {
    const fs::path to = fs::path(directory) / file.path;
    // Its own rules stay.
    if (file.path == ".gitignore" && path_exists(to.string())) continue;
    // Each that is made, not only the deepest: all of them go again.
    for (const auto& folder : missing_folders(to.parent_path())) {
      if (failed) break;
      if (fs::create_directory(folder, failed)) done.push_back(folder);
    }
    // Written and not moved there: a folder that is there already may be on another file system
    // than what it stands in, as a mounted volume is.
    auto written = failed ? Result<void>(Error{ErrorKind::kIo, "init-write", failed.message(), ""})
                          : write_file_atomic(to.string(), file.text);
    if (!written.ok()) {
      std::error_code ignored;  // a file that stays is named by the next try
      for (auto each = done.rbegin(); each != done.rend(); ++each) fs::remove(*each, ignored);
      return Error{ErrorKind::kIo, "init-write",
                   fmt::format("`{}` cannot be written: {}", to.string(), written.error().message),
                   "nothing is left of the draft: make room or name another folder"};
    }
    done.push_back(to);
  }
  return {};
}

}  // namespace heddle::cli
