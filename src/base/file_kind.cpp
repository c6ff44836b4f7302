#include "base/file_kind.hpp"

namespace heddle {
namespace {

using namespace std::string_view_literals;
using Family = FileKind::Family;

/// Bytes at a place that tell a kind of file.
struct Mark {
  std::string_view bytes;
  FileKind kind;
  std::size_t at = 0;
};

constexpr FileKind kWebPage{Family::kWebPage, "a web page"};
constexpr FileKind kUtf16{Family::kUtf16, "text in UTF-16"};

constexpr Mark kMarks[] = {
    {"\x1f\x8b"sv, {Family::kCompressed, "compressed with gzip"}},
    {"BZh"sv, {Family::kCompressed, "compressed with bzip2"}},
    {"\xfd"
     "7zXZ\0"sv,
     {Family::kCompressed, "compressed with xz"}},
    {"\x28\xb5\x2f\xfd"sv, {Family::kCompressed, "compressed with Zstandard"}},
    {"\x04\x22\x4d\x18"sv, {Family::kCompressed, "compressed with LZ4"}},
    {"\xff\x06\0\0sNaPpY"sv, {Family::kCompressed, "compressed with Snappy"}},
    {"7z\xbc\xaf"sv, {Family::kArchive, "a 7z archive"}},
    {"Rar!\x1a"sv, {Family::kArchive, "a RAR archive"}},
    {"ustar"sv, {Family::kArchive, "a tar archive"}, 257},
    {"PK\x03\x04"sv, {Family::kZip, "a zip archive"}},
    {"PK\x05\x06"sv, {Family::kZip, "an empty zip archive"}},
    {"version https://git-lfs"sv, {Family::kLfsPointer, "a Git LFS pointer"}},
    {"<!DOCTYPE"sv, kWebPage},
    {"<!doctype"sv, kWebPage},
    {"<html"sv, kWebPage},
    {"<HTML"sv, kWebPage},
    {"\xff\xfe"sv, kUtf16},
    {"\xfe\xff"sv, kUtf16},
    {"ARROW1"sv, {Family::kArrow, "an Arrow IPC (Feather) file"}},
    {"FEA1"sv, {Family::kArrow, "a Feather file"}},
    {"\x89HDF"sv, {Family::kHdf5, "an HDF5 file"}},
};

}  // namespace

std::optional<FileKind> file_kind(std::string_view head) noexcept {
  // Servers send pages with empty lines before them.
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  for (const Mark& mark : kMarks) {
    const std::size_t at = mark.kind.family == Family::kWebPage ? first : mark.at;
    if (head.size() >= at && head.substr(at).starts_with(mark.bytes)) return mark.kind;
  }
  return std::nullopt;
}

}  // namespace heddle
