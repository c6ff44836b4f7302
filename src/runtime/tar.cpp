#include "runtime/tar.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.hpp"

namespace heddle::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = 512;

/// Of a ustar header: offset and length.
struct Field {
  std::size_t at, size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12},
    kTime{136, 12}, kSum{148, 8}, kMagic{257, 8}, kPrefix{345, 155};
constexpr std::size_t kType = 156;

using Header = std::array<char, kBlock>;

void put_octal(Header& header, Field field, std::uint64_t value) {
  for (std::size_t i = field.size - 1; i-- > 0;) {
    header[field.at + i] = static_cast<char>('0' + (value & 7));
    value >>= 3;
  }
}

std::uint64_t checksum(const char* header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const bool in_sum = i >= kSum.at && i < kSum.at + kSum.size;
    // The field itself counts as spaces: the sum is made before it is written.
    sum += in_sum ? ' ' : static_cast<unsigned char>(header[i]);
  }
  return sum;
}

Error not_packed(std::string what) {
  return Error{ErrorKind::kInvalid, "runtime-files", std::move(what),
               "keep plain files in the worker's folder"};
}
Error corrupt(std::string what) {
  return Error{ErrorKind::kCorrupt, "runtime-tar", fmt::format("the runtime's files: {}", what),
               "build the bundle again with `heddle run`"};
}
Error failed(const std::string& path) {
  return Error{ErrorKind::kIo, "runtime-unpack",
               fmt::format("cannot write `{}`: {}", path, std::strerror(errno)),
               "check the disk and its permissions"};
}

bool put_path(Header& header, const std::string& path) {
  if (path.size() <= kName.size) {
    std::copy(path.begin(), path.end(), header.begin());
    return true;
  }
  // Split at a slash: what is before it goes into the prefix.
  const std::size_t slash = path.rfind('/', kPrefix.size);
  if (slash == std::string::npos || path.size() - slash - 1 > kName.size ||
      slash + 1 == path.size())
    return false;
  std::copy(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(slash),
            header.begin() + kPrefix.at);
  std::copy(path.begin() + static_cast<std::ptrdiff_t>(slash) + 1, path.end(), header.begin());
  return true;
}

std::string_view text(const char* header, Field field) {
  const std::string_view all(header + field.at, field.size);
  return all.substr(0, all.find('\0'));
}

/// False when the field is no octal number.
bool octal(const char* header, Field field, std::uint64_t& out) {
  out = 0;
  std::string_view digits(header + field.at, field.size);
  while (!digits.empty() && (digits.back() == '\0' || digits.back() == ' '))
    digits.remove_suffix(1);
  // Twelve octal digits are 64 GiB; more would be another format's.
  if (digits.empty() || digits.size() > 12) return false;
  for (const char c : digits) {
    if (c < '0' || c > '7') return false;
    out = out * 8 + static_cast<std::uint64_t>(c - '0');
  }
  return true;
}

/// A relative path of plain names.
bool is_plain(std::string_view path) {
  if (path.empty() || path.size() > 255) return false;
  while (true) {
    const std::size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    if (name.empty() || name == "." || name == "..") return false;
    if (std::any_of(name.begin(), name.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\\'; }))
      return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

Result<std::vector<PackedFile>> list(const std::string& folder, const TarLimits& limits) {
  std::vector<PackedFile> found;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const fs::file_status status = it->symlink_status(error);
    if (error) break;
    const std::string relative = it->path().lexically_relative(folder).generic_string();
    // Written anew by each interpreter, and with times in it: a bundle would not be the same twice.
    if (it->path().filename() == "__pycache__") {
      if (fs::is_directory(status)) it.disable_recursion_pending();
      continue;
    }
    if (fs::is_directory(status)) continue;
    if (!fs::is_regular_file(status))
      return not_packed(fmt::format("`{}` is neither a file nor a folder", relative));
    if (!is_plain(relative))
      return not_packed(fmt::format("`{}` is no name for a bundle", relative));
    if (found.size() == limits.files)
      return Error{ErrorKind::kTooLarge, "runtime-files",
                   fmt::format("`{}` has more than {} files", folder, limits.files),
                   "leave out what the worker does not need"};
    found.push_back({relative, (status.permissions() & fs::perms::owner_exec) != fs::perms::none});
  }
  if (error)
    return Error{ErrorKind::kNotFound, "runtime-files",
                 fmt::format("cannot read the worker's folder `{}`: {}", folder, error.message()),
                 "check `runtime.files` of the model"};
  if (found.empty()) return not_packed(fmt::format("the worker's folder `{}` is empty", folder));
  // By path: the order of a folder is its file system's, and the digest must not follow it.
  std::sort(found.begin(), found.end(),
            [](const PackedFile& a, const PackedFile& b) { return a.path < b.path; });
  return found;
}

/// One entry of an archive that was checked.
Result<void> write_entry(const std::string& path, std::string_view content, bool executable) {
  // Into a folder that was just made: nothing of that name can be there, and no link is followed.
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        executable ? 0755 : 0644);
  if (fd < 0) return failed(path);
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const Error error = failed(path);
      ::close(fd);
      return error;
    }
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  ::close(fd);
  return {};
}

/// The entries of an archive so far: each once, and none that is a file where another has a folder.
class Entries {
 public:
  Result<void> add(const std::string& path, bool is_folder) {
    if (!seen_.insert(path).second)
      return corrupt(fmt::format("`{}` appears more than once", path));
    for (std::size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      const std::string folder = path.substr(0, slash);
      if (files_.contains(folder)) return both(folder);
      folders_.insert(folder);
    }
    if (!is_folder && folders_.contains(path)) return both(path);
    (is_folder ? folders_ : files_).insert(path);
    return {};
  }
  [[nodiscard]] std::size_t size() const noexcept { return seen_.size(); }

 private:
  static Error both(const std::string& path) {
    return corrupt(fmt::format("`{}` is a file and a folder", path.substr(0, 100)));
  }

  std::set<std::string> seen_, files_, folders_;
};

/// One header of an archive that somebody else may have made: nothing in it is believed.
struct EntryHeader {
  std::string path{};
  std::uint64_t size = 0;
  std::uint64_t mode = 0;
  bool is_folder = false;
};

Result<EntryHeader> read_header(const char* header) {
  std::uint64_t sum = 0;
  // First: of a header that was not written so, no field means anything.
  if (!octal(header, kSum, sum) || sum != checksum(header))
    return corrupt("a header's checksum is wrong");
  if (std::memcmp(header + kMagic.at,
                  "ustar\0"
                  "00",
                  kMagic.size) != 0)
    return corrupt("it is no ustar archive");
  EntryHeader out;
  if (!octal(header, kSize, out.size) || !octal(header, kMode, out.mode))
    return corrupt("a header's number is wrong");
  out.path = text(header, kPrefix);
  if (!out.path.empty()) out.path += '/';
  out.path += text(header, kName);
  const char type = header[kType];
  out.is_folder = type == '5';
  if (out.is_folder && out.path.ends_with('/')) out.path.pop_back();
  // Links and devices would lead out of the folder.
  if (type != '0' && type != '\0' && !out.is_folder)
    return corrupt(fmt::format("`{}` is neither a file nor a folder", out.path.substr(0, 100)));
  if (!is_plain(out.path))
    return corrupt(fmt::format("an entry has the path `{}`", out.path.substr(0, 100)));
  if (out.is_folder && out.size != 0) return corrupt("a folder has contents");
  return out;
}

Result<void> write_to(const std::string& folder, const EntryHeader& header,
                      std::string_view contents) {
  const std::string target = folder + "/" + header.path;
  if (header.is_folder) return make_dirs(target);
  HEDDLE_TRY(make_dirs(fs::path(target).parent_path().string()));
  return write_entry(target, contents, (header.mode & 0100) != 0);
}

bool is_zero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

Result<void> unpack_all(std::string_view archive, const std::string& folder,
                        const TarLimits& limits) {
  Entries seen;
  std::size_t bytes = 0;
  std::size_t at = 0;
  while (true) {
    if (archive.size() - at < kBlock) return corrupt("the archive has no end");
    const char* const block = archive.data() + at;
    at += kBlock;
    if (is_zero({block, kBlock})) break;
    HEDDLE_ASSIGN_OR_RETURN(const EntryHeader header, read_header(block));
    HEDDLE_TRY(seen.add(header.path, header.is_folder));
    if (seen.size() > limits.files) return corrupt(fmt::format("more than {} files", limits.files));
    // Differences, so that no sum of sizes can wrap round.
    if (header.size > archive.size() - at || header.size > limits.bytes - bytes)
      return corrupt(fmt::format("`{}` is larger than the archive or the limit", header.path));
    bytes += header.size;
    HEDDLE_TRY(write_to(folder, header, archive.substr(at, header.size)));
    at += std::min(archive.size() - at, (header.size + kBlock - 1) / kBlock * kBlock);
  }
  // Two readers would see two archives in what follows the end.
  if (!is_zero(archive.substr(at))) return corrupt("bytes follow the end");
  return {};
}

}  // namespace

Result<std::vector<PackedFile>> packed_files(const std::string& folder, const TarLimits& limits) {
  return list(folder, limits);
}

Result<std::string> pack_folder(const std::string& folder, const TarLimits& limits) {
  HEDDLE_ASSIGN_OR_RETURN(const auto found, list(folder, limits));
  std::string out;
  for (const PackedFile& file : found) {
    HEDDLE_ASSIGN_OR_RETURN(const std::string content, read_file(folder + "/" + file.path));
    if (content.size() > limits.bytes - std::min(limits.bytes, out.size())) {
      return Error{ErrorKind::kTooLarge, "runtime-files",
                   fmt::format("`{}` has more than {} bytes", folder, limits.bytes),
                   "leave out what the worker does not need"};
    }
    Header header{};
    if (!put_path(header, file.path))
      return not_packed(fmt::format("the path `{}` is too long for an archive", file.path));
    put_octal(header, kMode, file.executable ? 0755 : 0644);
    // No owner, no group, no time: the same files give the same bytes on every machine.
    put_octal(header, kUid, 0);
    put_octal(header, kGid, 0);
    put_octal(header, kSize, content.size());
    put_octal(header, kTime, 0);
    header[kType] = '0';
    std::memcpy(header.data() + kMagic.at,
                "ustar\0"
                "00",
                kMagic.size);
    // Six digits, a NUL and a space: the one field that is written otherwise.
    put_octal(header, {kSum.at, 7}, checksum(header.data()));
    header[kSum.at + 7] = ' ';
    out.append(header.data(), header.size());
    out.append(content);
    out.append((kBlock - content.size() % kBlock) % kBlock, '\0');
  }
  out.append(2 * kBlock, '\0');
  return out;
}

Result<void> unpack(std::string_view archive, const std::string& folder, const TarLimits& limits) {
  if (path_exists(folder))
    return Error{ErrorKind::kConflict, "runtime-unpack",
                 fmt::format("`{}` is there already", folder), "remove it"};
  HEDDLE_TRY(make_dirs(folder));
  Result<void> done = unpack_all(archive, folder, limits);
  std::error_code ignored;
  if (!done.ok()) fs::remove_all(folder, ignored);
  return done;
}

}  // namespace heddle::runtime
