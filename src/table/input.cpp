#include "table/input.hpp"

#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/digest.hpp"
#include "doc/json.hpp"
#include "table/file_kind.hpp"

namespace heddle::table {
namespace {

namespace fs = std::filesystem;

/// What Hive writes for a missing value.
constexpr std::string_view kNoValue = "__HIVE_DEFAULT_PARTITION__";

/// Spark and Hive write `%3A` for what a name cannot hold.
std::string unescaped(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char small = static_cast<char>(c | 0x20);
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_escape =
        text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0;
    if (!is_escape) {
      out.push_back(text[i]);
      continue;
    }
    out.push_back(static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2])));
    i += 2;
  }
  return out;
}

/// Of `year=2024/month=1/part.parquet` the two folders.
std::vector<std::pair<std::string, std::optional<std::string>>> keys_in(const fs::path& name) {
  std::vector<std::pair<std::string, std::optional<std::string>>> out;
  for (const auto& piece : name.parent_path()) {
    const std::string text = piece.string();
    const auto equals = text.find('=');
    // `=x` names no column. Such a folder is one like any other.
    if (equals == 0 || equals == std::string::npos) continue;
    const std::string value = unescaped(std::string_view(text).substr(equals + 1));
    out.emplace_back(unescaped(text.substr(0, equals)),
                     value == kNoValue ? std::nullopt : std::optional(value));
  }
  return out;
}

/// Written beside the rows by Spark, Hadoop, editors and operating systems.
bool is_beside(const std::string& name) {
  return name.starts_with('.') || name.starts_with('_') || name.ends_with(".crc");
}

Result<void> add_folder(const fs::path& folder, const fs::path& base, std::vector<Part>& out) {
  std::error_code code;
  fs::recursive_directory_iterator at(folder, code);
  for (; !code && at != fs::recursive_directory_iterator(); at.increment(code)) {
    std::error_code gone;
    if (is_beside(at->path().filename().string())) {
      // `_temporary` of a job that runs holds files that may yet go.
      if (at->is_directory(gone)) at.disable_recursion_pending();
      continue;
    }
    // Spark leaves an empty file for a partition without rows.
    if (!at->is_regular_file(gone) || at->file_size(gone) == 0) continue;
    const fs::path name = at->path().lexically_relative(base);
    out.push_back({at->path().string(), name.generic_string(), keys_in(name)});
  }
  if (!code) return {};
  return Error{ErrorKind::kIo, "file-io-failed",
               fmt::format("cannot read the folder `{}`: {}", folder.string(), code.message()),
               "see that you may read it"};
}

/// The folder before the first part of a pattern that is one.
fs::path fixed_part(const std::string& pattern) {
  fs::path out;
  for (const auto& piece : fs::path(pattern)) {
    if (piece.string().find_first_of("*?[") != std::string::npos) break;
    out /= piece;
  }
  return out;
}

Result<void> add_matches(const std::string& pattern, std::vector<Part>& out) {
  glob_t found{};
  // Not in the order of the locale, in which two machines may differ: `add_path` sorts by bytes.
  const int result = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
  std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (result != 0 && result != GLOB_NOMATCH) {
    return Error{ErrorKind::kIo, "file-io-failed", fmt::format("cannot look for `{}`", pattern),
                 "see that you may read the folders in it"};
  }
  const fs::path base = fixed_part(pattern);
  for (const auto& path : paths) {
    std::error_code gone;
    if (is_beside(fs::path(path).filename().string())) continue;
    if (fs::is_directory(path, gone)) {
      HEDDLE_TRY(add_folder(path, base, out));
    } else if (fs::is_regular_file(path, gone) && fs::file_size(path, gone) > 0) {
      const fs::path name = fs::path(path).lexically_relative(base);
      out.push_back({path, name.generic_string(), keys_in(name)});
    }
  }
  return {};
}

Result<void> add_path(const std::string& path, std::vector<Part>& out) {
  const std::size_t before = out.size();
  std::error_code code;
  if (fs::is_directory(path, code)) {
    HEDDLE_TRY(add_folder(path, path, out));
    // A file whose name has such a sign is meant itself.
  } else if (fs::exists(path, code) || path.find_first_of("*?[") == std::string::npos) {
    // What is not there, is empty or no file is told where it is opened.
    out.push_back({path, fs::path(path).filename().string(), {}});
  } else {
    HEDDLE_TRY(add_matches(path, out));
  }
  if (out.size() > before) {
    std::sort(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(),
              [](const Part& a, const Part& b) { return a.name < b.name; });
    return {};
  }
  const bool is_folder = fs::is_directory(path, code);
  return Error{is_folder ? ErrorKind::kInvalid : ErrorKind::kNotFound, "table-no-files",
               is_folder ? fmt::format("the folder `{}` holds no file with rows", path)
                         : fmt::format("no file matches `{}`", path),
               "check the path; empty files and those named `_x`, `.x` and `x.crc` do not count"};
}

std::vector<std::string> names_of_keys(const Part& part) {
  std::vector<std::string> out;
  for (const auto& [name, unused] : part.keys) out.push_back(name);
  return out;
}

Result<void> check_parts(const std::vector<Part>& parts) {
  std::set<std::string> paths;
  const auto first = names_of_keys(parts.front());
  for (const Part& part : parts) {
    std::error_code code;
    // By links and `..` a file may be named in two ways.
    const auto path = fs::weakly_canonical(part.path, code).string();
    if (!paths.insert(code ? part.path : path).second) {
      return Error{
          ErrorKind::kInvalid, "table-file-twice",
          fmt::format("`{}` is named more than once: its rows would count twice", part.path),
          "name each file once"};
    }
    if (names_of_keys(part) == first) continue;
    const auto words = [](const std::vector<std::string>& names) {
      return names.empty() ? std::string("none") : fmt::format("`{}`", fmt::join(names, "`, `"));
    };
    return Error{ErrorKind::kInvalid, "table-partitions-differ",
                 fmt::format("`{}` has the partition columns {}, `{}` has {}", parts.front().name,
                             words(first), part.name, words(names_of_keys(part))),
                 "put every file below the same `name=value` folders"};
  }
  return {};
}

Result<struct stat> status_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0) return status;
  return Error{ErrorKind::kNotFound, "table-missing", fmt::format("there is no file `{}`", path),
               "check the path in `sources` of heddle.yaml"};
}

}  // namespace

std::string Form::text() const {
  const auto sign = [](const std::optional<char>& c) {
    return c ? doc::Value(std::string(1, *c)) : doc::Value();
  };
  auto out = doc::Value::object({{"format", format},
                                 {"delimiter", sign(delimiter)},
                                 {"decimal", sign(decimal)},
                                 {"quote", sign(quote)},
                                 {"escape", sign(escape)},
                                 {"encoding", encoding}});
  const auto list = [](const std::vector<std::string>& texts) {
    auto items = doc::Value::array();
    for (const auto& text : texts) items.push(text);
    return items;
  };
  out.set("names", list(names));
  if (nulls) out.set("nulls", list(*nulls));
  return doc::to_canonical_json(out);
}

std::string Input::text() const {
  if (paths.size() <= 3) return fmt::to_string(fmt::join(paths, ", "));
  return fmt::format("{} and {} more", paths.front(), paths.size() - 1);
}

Result<std::vector<Part>> parts_of(const Input& input) {
  std::vector<Part> out;
  for (const auto& path : input.paths) HEDDLE_TRY(add_path(path, out));
  if (out.empty()) {
    return Error{ErrorKind::kInvalid, "table-no-files", "no file is named",
                 "name a file, a folder or a pattern"};
  }
  HEDDLE_TRY(check_parts(out));
  return out;
}

Result<Digest> digest_of(const std::vector<Part>& parts) {
  // The digest of the one file, as sha256sum gives it: who looks for it can compare.
  if (parts.size() == 1 && parts.front().keys.empty()) return sha256_file(parts.front().path);
  Hasher hasher;
  hasher.update_field("heddle.files/1");
  for (const Part& part : parts) {
    HEDDLE_ASSIGN_OR_RETURN(const Digest digest, sha256_file(part.path));
    hasher.update_field(part.name);
    // The name counts, because it holds values of partition columns.
    hasher.update_field(digest.hex());
  }
  return hasher.finish();
}

Result<std::string> stamp_of(const std::vector<Part>& parts) {
  const auto stamp = [](const struct stat& status) {
    // The inode too: a file that was replaced may have the size and time of the one before.
    return fmt::format("{}|{}|{}.{:09}", status.st_size, status.st_ino, status.st_mtim.tv_sec,
                       status.st_mtim.tv_nsec);
  };
  if (parts.size() == 1) {
    HEDDLE_ASSIGN_OR_RETURN(const auto status, status_of(parts.front().path));
    return stamp(status);
  }
  Hasher hasher;
  for (const Part& part : parts) {
    HEDDLE_ASSIGN_OR_RETURN(const auto status, status_of(part.path));
    hasher.update_field(part.name);
    hasher.update_field(stamp(status));
  }
  return fmt::format("{} files|{}", parts.size(), hasher.finish().hex());
}

}  // namespace heddle::table
