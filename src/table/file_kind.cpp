#include "table/file_kind.hpp"

#include <array>
#include <fstream>
#include <span>
#include <string_view>

#include <fmt/format.h>

namespace heddle::table {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kUnpack = "unpack it, and name the Parquet or CSV file that is inside";
constexpr std::string_view kWrite = "write it as Parquet or CSV";
constexpr std::string_view kUtf8 = "save it as UTF-8; in Excel as `CSV UTF-8`";

/// Bytes at a place that tell a kind of file.
struct Mark {
  std::string_view bytes;
  std::string_view is;
  std::string_view hint;
  std::size_t at = 0;
};

constexpr Mark kMarks[] = {
    {"\x1f\x8b"sv, "compressed with gzip", kUnpack},
    {"1AY&SY"sv, "compressed with bzip2", kUnpack, 4},
    {"\xfd"
     "7zXZ\0"sv,
     "compressed with xz", kUnpack},
    {"\x28\xb5\x2f\xfd"sv, "compressed with Zstandard", kUnpack},
    {"\x04\x22\x4d\x18"sv, "compressed with LZ4", kUnpack},
    {"\xff\x06\0\0sNaPpY"sv, "compressed with Snappy", kUnpack},
    {"7z\xbc\xaf"sv, "a 7z archive", kUnpack},
    {"PK\x03\x04"sv, "a zip archive or a workbook of Excel", kWrite},
    {"\xd0\xcf\x11\xe0"sv, "a workbook of an old Excel", kWrite},
    {"ustar"sv, "a tar archive", kUnpack, 257},
    {"PARE"sv, "encrypted Parquet, which is not read", "write it without encryption"},
    {"ARROW1\0\0"sv, "an Arrow IPC (Feather) file", kWrite},
    {"FEA1\0\0\0\0"sv, "a Feather file", kWrite},
    {"Obj\x01"sv, "an Avro file", kWrite},
    {"SQLite format 3\0"sv, "a database of SQLite", kWrite},
    {"\x89HDF"sv, "an HDF5 file", kWrite},
    {"\xff\xfe"sv, "text in UTF-16", kUtf8},
    {"\xfe\xff"sv, "text in UTF-16", kUtf8},
};

constexpr Mark kTexts[] = {
    {"version https://git-lfs"sv, "a Git LFS pointer: the rows are not here", "run `git lfs pull`"},
    {"<!DOCTYPE"sv, "a web page", "fetch the file itself: this is what a server said in its place"},
    {"<!doctype"sv, "a web page", "fetch the file itself: this is what a server said in its place"},
    {"<html"sv, "a web page", "fetch the file itself: this is what a server said in its place"},
    {"{\""sv, "JSON", kWrite},
    {"[{"sv, "JSON", kWrite},
};

/// Text in UTF-16 without a mark has a null byte in its first character.
bool is_utf16(std::string_view head) {
  return head.size() > 1 && (head[0] == '\0' || head[1] == '\0');
}

bool is_text(std::string_view head) {
  for (const char c : head) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r' && c != '\n') return false;
  }
  return true;
}

}  // namespace

std::optional<Error> not_a_table(const std::string& path, Format format) {
  std::array<char, 512> bytes{};
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), bytes.size());
  const std::string_view head(bytes.data(), static_cast<std::size_t>(file.gcount()));
  const auto is = [&](std::string_view what, std::string_view hint) {
    return Error{ErrorKind::kCorrupt, "table-format",
                 fmt::format("`{}` is not {}: it is {}", path,
                             format == Format::kParquet ? "Parquet" : "CSV", what),
                 std::string(hint)};
  };
  const bool is_parquet = head.starts_with("PAR1");
  if (format == Format::kParquet && is_parquet) return std::nullopt;
  // A column may be called `PARENT`: letters tell a format only where no text follows.
  const bool text = is_text(head);
  if (is_parquet && !text) return is("Parquet", "rename it to end in `.parquet`");
  for (const Mark& mark : text ? std::span<const Mark>(kTexts) : std::span<const Mark>(kMarks)) {
    if (head.size() >= mark.at && head.substr(mark.at).starts_with(mark.bytes))
      return is(mark.is, mark.hint);
  }
  if (format == Format::kCsv) {
    return is_utf16(head) ? std::optional(is("text in UTF-16", kUtf8)) : std::nullopt;
  }
  if (!head.empty() && text) return is("text", "rename it to end in `.csv` if it is CSV");
  return std::nullopt;
}

}  // namespace heddle::table
