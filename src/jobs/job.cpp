#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "jobs/jobs.hpp"

namespace heddle::jobs {
namespace {

constexpr std::size_t kMostNotes = 64 << 10;

/// A file that is read in pieces.
class File {
 public:
  explicit File(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] bool read(void* into, std::size_t size, std::uint64_t offset) const {
    return ::pread(fd_, into, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
  }

 private:
  int fd_;
};

std::size_t aligned(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

/// The build-id among the notes of one segment.
std::optional<std::string> build_id_in(std::string_view notes) {
  while (notes.size() >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr head{};
    std::memcpy(&head, notes.data(), sizeof head);
    notes.remove_prefix(sizeof head);
    const std::size_t name = aligned(head.n_namesz), value = aligned(head.n_descsz);
    if (name > notes.size() || value > notes.size() - name) return std::nullopt;
    const bool is_it =
        head.n_type == NT_GNU_BUILD_ID && notes.substr(0, name) == std::string_view("GNU\0", 4);
    if (is_it && head.n_descsz > 0) return std::string(notes.substr(name, head.n_descsz));
    notes.remove_prefix(name + value);
  }
  return std::nullopt;
}

std::optional<std::string> build_id_of(const File& file) {
  Elf64_Ehdr head{};
  if (!file.read(&head, sizeof head, 0) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
      head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phentsize != sizeof(Elf64_Phdr))
    return std::nullopt;
  for (std::size_t i = 0; i < head.e_phnum; ++i) {
    Elf64_Phdr segment{};
    if (!file.read(&segment, sizeof segment, head.e_phoff + i * sizeof segment))
      return std::nullopt;
    if (segment.p_type != PT_NOTE || segment.p_filesz > kMostNotes) continue;
    std::string notes(segment.p_filesz, '\0');
    if (!file.read(notes.data(), notes.size(), segment.p_offset)) return std::nullopt;
    if (auto found = build_id_in(notes)) return found;
  }
  return std::nullopt;
}

bool is_inside(std::string_view path) {
  const std::filesystem::path parts(path);
  return !path.empty() && parts.is_relative() && parts.lexically_normal().native() == path &&
         std::none_of(parts.begin(), parts.end(),
                      [](const auto& part) { return part.empty() || part == ".." || part == "."; });
}

Error invalid(const Job& job, std::string why) {
  return Error{ErrorKind::kInvalid, "job-invalid", fmt::format("job `{}`: {}", job.name, why),
               "name inputs and outputs by paths below the job's folder, each once"};
}

/// Whether one is the other, or lies below it.
bool collide(std::string_view one, std::string_view other) {
  if (one.size() > other.size()) std::swap(one, other);
  return other.starts_with(one) && (other.size() == one.size() || other[one.size()] == '/');
}

}  // namespace

Result<Digest> program_digest(const std::string& path) {
  if (const auto id = build_id_of(File(path))) {
    Hasher hasher;
    hasher.update_field("heddle.program/1");
    hasher.update_field(*id);
    return hasher.finish();
  }
  return sha256_file(path);
}

Result<std::string> state_here() {
  const char* const state = std::getenv(kStateVariable);
  if (state != nullptr) return std::string(state);
  return Error{ErrorKind::kInvalid, "job-outside",
               fmt::format("this is a job's work, and `{}` is not set", kStateVariable),
               "let Heddle start it, or set it to a folder `.heddle`"};
}

Result<void> check(const Job& job) {
  if (job.program.empty()) return invalid(job, "it has no program");
  std::set<std::string, std::less<>> paths{std::string(kLog)};
  for (const auto& [path, unused] : job.inputs) {
    if (!is_inside(path) || !paths.insert(path).second)
      return invalid(job, fmt::format("input `{}`", path));
  }
  for (const std::string& path : paths) {
    // A file is no folder of another one.
    for (auto at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1)) {
      if (paths.contains(std::string_view(path).substr(0, at)))
        return invalid(job, fmt::format("input `{}` is below another one", path));
    }
  }
  for (std::string_view path : job.outputs) {
    const bool is_folder = path.ends_with('/');
    if (is_folder) path.remove_suffix(1);
    // Below a folder that is an output there may be inputs too.
    const bool is_taken = std::any_of(paths.begin(), paths.end(), [&](const std::string& taken) {
      return collide(taken, path) && !(is_folder && taken.size() > path.size());
    });
    if (!is_inside(path) || is_taken) return invalid(job, fmt::format("output `{}`", path));
  }
  return {};
}

}  // namespace heddle::jobs
