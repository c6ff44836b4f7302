#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "expr/datum.hpp"

namespace heddle::table {

/// What is declared of how a source is written. What is not declared is found in the file by the
/// rules of docs/files.md: nothing else is guessed. Everything but `format` is of text (CSV).
struct Form {
  std::string format{};              ///< `csv`, `ndjson`, `parquet`, `arrow`; empty: by name
  std::optional<char> delimiter{};   ///< between cells
  std::optional<char> decimal{};     ///< `.` or `,`
  std::optional<char> quote{};       ///< `\0`: no cell is quoted; absent: `"`
  std::optional<char> escape{};      ///< before a quote inside a quoted cell; absent: it is doubled
  std::string encoding{};            ///< `utf-8`, `utf-16`, `latin-1`, `windows-1252`; empty: by
                                     ///< the byte order mark, else UTF-8
  std::vector<std::string> names{};  ///< of the columns, where the first line is a row already
  /// Cells without quotes that are missing values; absent: empty, `NULL`, `null`.
  std::optional<std::vector<std::string>> nulls{};

  bool operator==(const Form&) const = default;
  /// Nothing is declared.
  [[nodiscard]] bool empty() const { return *this == Form{}; }
  /// The same for equal declarations: for keys.
  [[nodiscard]] std::string text() const;
};

/// Where rows are: one file, a folder, a pattern (`data/*.csv`), or several of them, and how they
/// are written. A value type.
struct Input {
  std::vector<std::string> paths{};
  Form form{};

  Input() = default;
  Input(std::string path) : paths{std::move(path)} {}    // NOLINT: a path is an input
  Input(const char* path) : Input(std::string(path)) {}  // NOLINT
  Input(std::vector<std::string> all, Form written)
      : paths(std::move(all)), form(std::move(written)) {}
  /// For people: the paths, or the first and how many there are.
  [[nodiscard]] std::string text() const;
};

/// One file of an input.
struct Part {
  std::string path;
  std::string name;  ///< from the named folder on, where the file was found in one; else its own
  /// What the folders on its way say of every row: `year=2024`. Nothing is a missing value.
  std::vector<std::pair<std::string, std::optional<std::string>>> keys{};
};

/// The files of an input: those of a folder and of the folders in it, in the order of their names,
/// without hidden ones (`.x`), those of writers (`_SUCCESS`, `x.crc`) and empty ones. A path that
/// is there is that file or folder, whatever characters it has; else `*`, `?` and `[...]` match.
/// kNotFound `table-missing`, `table-no-files`; kInvalid when their partition folders differ.
[[nodiscard]] Result<std::vector<Part>> parts_of(const Input& input);

/// Over the names and bytes of the files; of one file, of its bytes alone.
[[nodiscard]] Result<Digest> digest_of(const std::vector<Part>& parts);
/// Over sizes, inodes and times of the last write; changes whenever a file is written to.
[[nodiscard]] Result<std::string> stamp_of(const std::vector<Part>& parts);

/// How the text of the input's first file is written, in words, the parts that are not usual:
/// "delimiter `;`, decimal comma, gzip"; empty: nothing unusual, or no text. `types`: what a
/// contract says of its columns.
[[nodiscard]] Result<std::string> form_in_words(
    const Input& input, const std::map<std::string, expr::Type, std::less<>>& types);

}  // namespace heddle::table
