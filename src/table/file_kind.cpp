#include "table/file_kind.hpp"

#include <array>
#include <fstream>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "base/file_kind.hpp"

namespace heddle::table {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kUnpack =
    "unpack it, and name the Parquet, CSV or NDJSON file that is inside";
constexpr std::string_view kWrite = "write it as Parquet, CSV or NDJSON";
constexpr std::string_view kUtf8 = "save it as UTF-8; in Excel as `CSV UTF-8`";

/// Bytes at a place that tell a kind of file.
struct Mark {
  std::string_view bytes;
  std::string_view is;
  std::string_view hint;
  std::size_t at = 0;
};

constexpr Mark kMarks[] = {
    {"\xd0\xcf\x11\xe0"sv, "a workbook of an old Excel", kWrite},
    {"PARE"sv, "encrypted Parquet, which is not read", "write it without encryption"},
    {"Obj\x01"sv, "an Avro file", kWrite},
    {"SQLite format 3\0"sv, "a database of SQLite", kWrite},
};

constexpr Mark kTexts[] = {
    {"{\""sv, "JSON", "rename it to end in `.ndjson` if each line is a row; else write it so"},
    {"[{"sv, "JSON", "write a row a line, without the list around them, as `.ndjson`"},
};

/// Letters tell a format only where no text follows: a column may be called `FEA1`.
bool is_told_by_text(FileKind::Family family) {
  return family == FileKind::Family::kLfsPointer || family == FileKind::Family::kWebPage;
}

std::string name_of(const FileKind& kind) {
  std::string out(kind.is);
  if (kind.family == FileKind::Family::kZip) out += " or a workbook of Excel";
  if (kind.family == FileKind::Family::kLfsPointer) out += ": the rows are not here";
  return out;
}

std::string_view hint_for(FileKind::Family family) {
  using Family = FileKind::Family;
  switch (family) {
    case Family::kCompressed:
    case Family::kArchive: return kUnpack;
    case Family::kLfsPointer: return "run `git lfs pull`";
    case Family::kWebPage: return "fetch the file itself: this is what a server said in its place";
    case Family::kUtf16: return kUtf8;
    default: return kWrite;
  }
}

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

namespace {

std::string_view name_of(Format format) {
  switch (format) {
    case Format::kParquet: return "Parquet";
    case Format::kCsv: return "CSV";
    default: return "NDJSON";
  }
}

/// What is no table of the format is, and what to do about it.
struct Other {
  std::string what;
  std::string_view hint;
};

/// Nothing when the bytes may be of the format.
std::optional<Other> other_than(std::string_view head, Format format) {
  const bool is_parquet = head.starts_with("PAR1");
  if (format == Format::kParquet && is_parquet) return std::nullopt;
  // A column may be called `PARENT`: letters tell a format only where no text follows.
  const bool text = is_text(head);
  if (is_parquet && !text) return Other{"Parquet", "rename it to end in `.parquet`"};
  const auto other = file_kind(head);
  if (other && is_told_by_text(other->family) == text)
    return Other{name_of(*other), hint_for(other->family)};
  if (format == Format::kJson && text && head.starts_with('{')) return std::nullopt;
  for (const Mark& mark : text ? std::span<const Mark>(kTexts) : std::span<const Mark>(kMarks)) {
    if (head.size() >= mark.at && head.substr(mark.at).starts_with(mark.bytes))
      return Other{std::string(mark.is), mark.hint};
  }
  if (format != Format::kParquet)
    return is_utf16(head) ? std::optional(Other{"text in UTF-16", kUtf8}) : std::nullopt;
  if (!head.empty() && text) return Other{"text", "rename it to end in `.csv` if it is CSV"};
  return std::nullopt;
}

}  // namespace

std::optional<Error> not_a_table(const std::string& path, Format format) {
  std::array<char, 512> bytes{};
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), bytes.size());
  const auto other = other_than({bytes.data(), static_cast<std::size_t>(file.gcount())}, format);
  if (!other) return std::nullopt;
  return Error{ErrorKind::kCorrupt, "table-format",
               fmt::format("`{}` is not {}: it is {}", path, name_of(format), other->what),
               std::string(other->hint)};
}

}  // namespace heddle::table
