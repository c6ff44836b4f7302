#include "table/file_kind.hpp"

#include <algorithm>
#include <fstream>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "base/file_kind.hpp"

namespace heddle::table {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kUnpack =
    "unpack it, and name the Parquet, Arrow, CSV or NDJSON file that is inside; CSV and NDJSON may "
    "stay compressed with gzip or Zstandard";
constexpr std::string_view kWrite = "write it as Parquet, Arrow IPC, CSV or NDJSON";
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

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

/// What is no table of the format is, and what to do about it.
struct Other {
  std::string what;
  std::string_view hint;
};

/// A file of another format of ours.
std::optional<Other> other_format(std::string_view head, Format format) {
  if (head.starts_with("PAR1") && format != Format::kParquet)
    return Other{"Parquet", "rename it to end in `.parquet`"};
  const bool is_arrow = head.starts_with("ARROW1") || head.starts_with("\xff\xff\xff\xff"sv);
  if (is_arrow && format != Format::kArrow)
    return Other{"Arrow IPC", "rename it to end in `.arrow`"};
  if (head.starts_with("FEA1") && format == Format::kArrow) {
    return Other{"Feather of version 1, which is not read",
                 "write it as Arrow IPC: `pyarrow.feather.write_feather` does"};
  }
  return std::nullopt;
}

/// The bytes say that they are of the format, packed or marked as its text may be.
bool is_of(std::string_view head, Format format, Packing inside) {
  switch (format) {
    case Format::kParquet: return head.starts_with("PAR1");
    case Format::kArrow: return head.starts_with("ARROW1");
    default: break;
  }
  const auto kind = file_kind(head);
  if (kind && kind->family == FileKind::Family::kUtf16) return true;
  return inside == Packing::kNone && packing_of(head) != Packing::kNone;
}

/// By bytes at the beginning that nothing else has.
std::optional<Other> other_mark(std::string_view head, bool text) {
  for (const Mark& mark : text ? std::span<const Mark>(kTexts) : std::span<const Mark>(kMarks)) {
    if (head.size() >= mark.at && head.substr(mark.at).starts_with(mark.bytes))
      return Other{std::string(mark.is), mark.hint};
  }
  return std::nullopt;
}

/// Nothing when the bytes may be of the format.
std::optional<Other> other_than(std::string_view head, Format format, Packing inside) {
  if (is_of(head, format, inside)) return std::nullopt;
  // A column may be called `PARENT`: letters tell a format only where no text follows.
  const bool text = is_text(head);
  if (!text) {
    if (auto other = other_format(head, format)) return other;
  }
  const auto other = file_kind(head);
  if (other && is_told_by_text(other->family) == text)
    return Other{name_of(*other), hint_for(other->family)};
  if (format == Format::kJson && text && head.starts_with('{')) return std::nullopt;
  if (auto marked = other_mark(head, text)) return marked;
  if (is_text(format) && is_utf16(head)) return Other{"text in UTF-16 without a mark", kUtf8};
  if (!is_text(format) && text && !head.empty())
    return Other{"text", "rename it to end in `.csv` if it is CSV"};
  return std::nullopt;
}

}  // namespace

std::string_view name_of(Format format) {
  switch (format) {
    case Format::kParquet: return "Parquet";
    case Format::kCsv: return "CSV";
    case Format::kArrow: return "Arrow IPC";
    default: return "NDJSON";
  }
}

std::string_view name_of(Packing packing) {
  switch (packing) {
    case Packing::kGzip: return "gzip";
    case Packing::kZstd: return "Zstandard";
    case Packing::kBzip2: return "bzip2";
    case Packing::kLz4: return "LZ4";
    default: return "";
  }
}

Packing packing_of(std::string_view head) noexcept {
  if (is_text(head)) return Packing::kNone;
  if (head.starts_with("\x1f\x8b"sv)) return Packing::kGzip;
  if (head.starts_with("\x28\xb5\x2f\xfd"sv)) return Packing::kZstd;
  if (head.starts_with("BZh")) return Packing::kBzip2;
  if (head.starts_with("\x04\x22\x4d\x18"sv)) return Packing::kLz4;
  return Packing::kNone;
}

std::optional<Named> format_named(std::string_view path) {
  const std::string small = lower(path.substr(path.rfind('/') + 1));
  std::string_view name = small;
  bool is_packed = false;
  for (const std::string_view ending : {".gz", ".zst", ".zstd", ".bz2", ".lz4"}) {
    if (!name.ends_with(ending) || is_packed) continue;
    name.remove_suffix(ending.size());
    is_packed = true;
  }
  const auto ends = [&](std::initializer_list<std::string_view> endings) {
    return std::any_of(endings.begin(), endings.end(),
                       [&](std::string_view ending) { return name.ends_with(ending); });
  };
  if (ends({".csv"})) return Named{Format::kCsv, std::nullopt};
  if (ends({".tsv", ".tab"})) return Named{Format::kCsv, '\t'};
  if (ends({".psv"})) return Named{Format::kCsv, '|'};
  if (ends({".ndjson", ".jsonl"})) return Named{Format::kJson, std::nullopt};
  if (is_packed) return std::nullopt;  // what is read by places is packed inside
  if (ends({".parquet", ".pq"})) return Named{Format::kParquet, std::nullopt};
  if (ends({".arrow", ".arrows", ".feather", ".ipc"})) return Named{Format::kArrow, std::nullopt};
  return std::nullopt;
}

std::string head_of(const std::string& path) {
  std::string bytes(512, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

std::optional<Error> not_a_table(const std::string& path, std::string_view head, Format format,
                                 Packing inside) {
  const auto other = other_than(head.substr(0, 512), format, inside);
  if (!other) return std::nullopt;
  const std::string packed =
      inside == Packing::kNone ? "" : fmt::format(", compressed with {}", name_of(inside));
  return Error{
      ErrorKind::kCorrupt, "table-format",
      fmt::format("`{}` is not {}: it is {}{}", path, name_of(format), other->what, packed),
      std::string(other->hint)};
}

}  // namespace heddle::table
