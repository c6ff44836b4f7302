#include "train/rows_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace heddle::train {
namespace {

constexpr char kMagic[8] = {'H', 'D', 'L', 'R', 'O', 'W', 'S', '2'};
constexpr std::size_t kHeader = 32;
/// Bounds of a damaged head, low enough that the sizes below do not overflow.
constexpr std::int64_t kMaxRows = std::int64_t{1} << 36;
constexpr std::int64_t kMaxColumns = 1 << 16;

void append_rows(std::string& out, const RowsView& view, const std::vector<std::int64_t>& rows) {
  const auto columns = static_cast<std::size_t>(view.columns);
  for (const std::int64_t row : rows) {
    out.append(
        reinterpret_cast<const char*>(view.features + static_cast<std::size_t>(row) * columns),
        columns * sizeof(float));
  }
}

void append_labels(std::string& out, const RowsView& view, const std::vector<std::int64_t>& rows) {
  for (const std::int64_t row : rows)
    out.append(reinterpret_cast<const char*>(view.labels + row), sizeof(double));
}

}  // namespace

std::string encode_rows(const RowsView& train, const std::vector<std::int64_t>& train_rows,
                        const RowsView& validation,
                        const std::vector<std::int64_t>& validation_rows) {
  const std::int64_t header[3] = {static_cast<std::int64_t>(train_rows.size()),
                                  static_cast<std::int64_t>(validation_rows.size()), train.columns};
  std::string out;
  out.reserve(kHeader +
              (train_rows.size() + validation_rows.size()) *
                  (static_cast<std::size_t>(train.columns) * sizeof(float) + sizeof(double)));
  out.append(kMagic, sizeof kMagic);
  out.append(reinterpret_cast<const char*>(header), sizeof header);
  append_labels(out, train, train_rows);
  append_labels(out, validation, validation_rows);
  append_rows(out, train, train_rows);
  append_rows(out, validation, validation_rows);
  return out;
}

namespace {

/// A whole file to read from; nullptr where it has no room for a head.
void* map_file(int fd, std::size_t& size) {
  struct stat status{};
  if (::fstat(fd, &status) != 0 || status.st_size < static_cast<off_t>(kHeader)) return nullptr;
  size = static_cast<std::size_t>(status.st_size);
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  return address == MAP_FAILED ? nullptr : address;
}

bool is_within(std::int64_t value, std::int64_t least, std::int64_t most) {
  return value >= least && value <= most;
}

}  // namespace

Result<RowsFile> RowsFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return Error{errno == ENOENT ? ErrorKind::kNotFound : ErrorKind::kIo, "rows-file",
                 fmt::format("cannot open `{}`: {}", path, std::strerror(errno)),
                 "run the search again: it writes the rows anew"};
  }
  RowsFile file;
  file.address_ = map_file(fd, file.size_);
  // A mapping keeps the file, and needs no descriptor.
  ::close(fd);
  const Error corrupt{ErrorKind::kCorrupt, "rows-file",
                      fmt::format("`{}` is no file of rows, or was cut off", path),
                      "run the search again: it writes the rows anew"};
  if (file.address_ == nullptr) return corrupt;
  const auto* bytes = static_cast<const char*>(file.address_);
  std::int64_t header[3];
  std::memcpy(header, bytes + sizeof kMagic, sizeof header);
  const auto [trained, validated, columns] = header;
  if (std::memcmp(bytes, kMagic, sizeof kMagic) != 0 || !is_within(trained, 0, kMaxRows) ||
      !is_within(validated, 0, kMaxRows) || !is_within(columns, 1, kMaxColumns))
    return corrupt;
  const auto rows = static_cast<std::size_t>(trained + validated);
  const std::size_t row_size = static_cast<std::size_t>(columns) * sizeof(float) + sizeof(double);
  // To the byte: a file that was cut off, or has more, is not what was written.
  if (kHeader + rows * row_size != file.size_) return corrupt;
  // Labels first: the head keeps them aligned, whatever the count of floats is.
  const auto* labels = reinterpret_cast<const double*>(bytes + kHeader);
  const auto* features = reinterpret_cast<const float*>(labels + rows);
  file.train_ = {features, labels, trained, static_cast<int>(columns)};
  file.validation_ = {features + trained * columns, labels + trained, validated,
                      static_cast<int>(columns)};
  return file;
}

RowsFile::RowsFile(RowsFile&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)),
      size_(other.size_),
      train_(other.train_),
      validation_(other.validation_) {}

RowsFile::~RowsFile() {
  if (address_ != nullptr) ::munmap(address_, size_);
}

}  // namespace heddle::train
